-- Subscriptions lost and won by month.
-- Paying on a day: the trial, or without one the start, is not after that day, and the end, if any, is after it.
-- paying_at_start: those that pay on the last day of the month before. Churned: of those, which ended in the month.
-- started_paying: those whose first paying day is in the month. Trials that end unpaid are no churn. Days are those of
-- the tenant's time zone; the month that is under way counts so far.
WITH paid AS (
  SELECT
    s.tenant_id,
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
  SELECT tenant_id, today, CAST(unnest(generate_series(first_month, CAST(today AS TIMESTAMP), INTERVAL 1 MONTH)) AS DATE) AS month
  FROM spans
),
counted AS (
  SELECT
    m.tenant_id,
    m.month,
    count(*) FILTER (WHERE p.pays_from < m.month AND (p.ends_on IS NULL OR p.ends_on >= m.month)) AS paying_at_start,
    count(*) FILTER (
      WHERE p.pays_from < m.month AND p.ends_on >= m.month AND p.ends_on <= m.today
        AND p.ends_on < CAST(m.month + INTERVAL 1 MONTH AS DATE)) AS churned,
    count(*) FILTER (
      WHERE p.pays_from >= m.month AND p.pays_from <= m.today
        AND p.pays_from < CAST(m.month + INTERVAL 1 MONTH AS DATE)
        AND (p.ends_on IS NULL OR p.ends_on > p.pays_from)) AS started_paying
  FROM months m
  JOIN paid p ON p.tenant_id = m.tenant_id
  GROUP BY 1, 2
)
SELECT
  tenant_id,
  month,
  CAST(paying_at_start AS BIGINT) AS paying_at_start,
  CAST(churned AS BIGINT) AS churned,
  CAST(started_paying AS BIGINT) AS started_paying,
  CAST(churned / nullif(paying_at_start, 0) AS DECIMAL(18, 4)) AS churn_rate
FROM counted
