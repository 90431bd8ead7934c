-- Which subscriptions may end in the coming month.
-- Of those that pay on as_of()'s day (as in mrr_monthly). The risk is the share of the tenant's subscription months of
-- the same age group (subscription_months; the complete ones) that ended in churn, drawn towards the tenant's share over
-- all ages as by 20 more months of it, so that a group of few months says little. NULL where the tenant has no complete
-- month. How good it is: churn_risk_backtest.
WITH months AS (
  SELECT tenant_id, age_from, count(*) AS months, count(*) FILTER (WHERE churned) AS churned
  FROM subscription_months
  WHERE is_complete
  GROUP BY 1, 2
),
all_ages AS (
  SELECT tenant_id, sum(months) AS months, sum(churned) AS churned
  FROM months
  GROUP BY 1
),
days AS (
  SELECT
    s.tenant_id,
    s.id,
    s.customer_id,
    s.plan,
    s.currency,
    s.price,
    CAST(coalesce(s.trial_ends_at, s.started_at) AT TIME ZONE t.time_zone AS DATE) AS pays_from,
    CAST(s.ended_at AT TIME ZONE t.time_zone AS DATE) AS ends_on,
    CAST(as_of() AT TIME ZONE t.time_zone AS DATE) AS today
  FROM subscriptions s
  JOIN tenants t ON t.id = s.tenant_id
),
paying AS (
  SELECT *, date_diff('month', pays_from, today) + 1 AS months_paid
  FROM days
  WHERE pays_from <= today AND (ends_on IS NULL OR ends_on > today)
),
aged AS (
  SELECT
    *,
    CASE WHEN months_paid <= 2 THEN 1 WHEN months_paid <= 5 THEN 3 WHEN months_paid <= 11 THEN 6 ELSE 12 END AS age_from
  FROM paying
)
SELECT
  p.tenant_id,
  p.id AS subscription_id,
  p.customer_id,
  p.plan,
  p.currency,
  p.price,
  CAST(p.months_paid AS INTEGER) AS months_paid,
  CAST((coalesce(m.churned, 0) * a.months + 20 * a.churned) / (a.months * (coalesce(m.months, 0) + 20)) AS DECIMAL(18, 4)) AS churn_risk
FROM aged p
LEFT JOIN all_ages a ON a.tenant_id = p.tenant_id
LEFT JOIN months m ON m.tenant_id = p.tenant_id AND m.age_from = p.age_from
