-- What each customer pays a month, for the models that follow customers from month to month.
-- Paying on a day: the trial, or without one the start, is not after that day, and the end, if any, is after it.
-- MRR of a month: the monthly prices of the customer's subscriptions that pay on its last day, or on as_of()'s day in
-- the month that is under way. Days are those of the tenant's time zone; a month in which a customer pays nothing has
-- no row.
WITH paid AS (
  SELECT
    s.tenant_id,
    s.customer_id,
    s.currency,
    s.price,
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
days AS (
  SELECT tenant_id, month, least(CAST(month + INTERVAL 1 MONTH AS DATE) - 1, today) AS day
  FROM months
)
SELECT
  d.tenant_id,
  d.month,
  p.customer_id,
  p.currency,
  CAST(count(*) AS BIGINT) AS paying_subscriptions,
  CAST(sum(p.price) AS DECIMAL(18, 2)) AS mrr
FROM days d
JOIN paid p ON p.tenant_id = d.tenant_id AND p.pays_from <= d.day AND (p.ends_on IS NULL OR p.ends_on > d.day)
GROUP BY 1, 2, 3, 4
