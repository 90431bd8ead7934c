-- Every month of every subscription that paid before it, for the models of churn.
-- Paying on a day: the trial, or without one the start, is not after that day, and the end, if any, is after it. A row
-- for each month on whose eve the subscription paid. months_paid: calendar months since the first paying day's.
-- age_from: the least months_paid of its age group: 1 to 2, 3 to 5, 6 to 11, 12 and more. churned: it ended in the month,
-- up to as_of()'s day. is_complete: the month ended before that day. Days are those of the tenant's time zone.
WITH paid AS (
  SELECT
    s.tenant_id,
    s.id,
    CAST(coalesce(s.trial_ends_at, s.started_at) AT TIME ZONE t.time_zone AS DATE) AS pays_from,
    CAST(s.ended_at AT TIME ZONE t.time_zone AS DATE) AS ends_on,
    CAST(as_of() AT TIME ZONE t.time_zone AS DATE) AS today
  FROM subscriptions s
  JOIN tenants t ON t.id = s.tenant_id
),
spans AS (
  SELECT tenant_id, min(date_trunc('month', pays_from)) AS first_month, max(today) AS today
  FROM paid
  GROUP BY 1
),
months AS (
  SELECT tenant_id, CAST(unnest(generate_series(first_month, CAST(today AS TIMESTAMP), INTERVAL 1 MONTH)) AS DATE) AS month
  FROM spans
),
lived AS (
  SELECT
    m.tenant_id,
    m.month,
    CAST(m.month + INTERVAL 1 MONTH AS DATE) AS next_month,
    p.id,
    p.ends_on,
    p.today,
    date_diff('month', p.pays_from, m.month) AS months_paid
  FROM months m
  JOIN paid p ON p.tenant_id = m.tenant_id AND p.pays_from < m.month AND (p.ends_on IS NULL OR p.ends_on >= m.month)
)
SELECT
  tenant_id,
  month,
  id AS subscription_id,
  CAST(months_paid AS INTEGER) AS months_paid,
  CAST(CASE WHEN months_paid <= 2 THEN 1 WHEN months_paid <= 5 THEN 3 WHEN months_paid <= 11 THEN 6 ELSE 12 END AS INTEGER) AS age_from,
  coalesce(ends_on < next_month AND ends_on <= today, false) AS churned,
  next_month <= today AS is_complete
FROM lived
