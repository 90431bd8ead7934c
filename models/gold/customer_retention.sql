-- Which of a month's buyers come back in the next one.
-- Active: at least one paid, shipped or delivered order in that month of the tenant's time zone. Retained: active in
-- this month and in the calendar month before. Rate: retained over those active in the month before.
WITH active AS (
  SELECT DISTINCT
    o.tenant_id,
    o.customer_id,
    CAST(date_trunc('month', o.placed_at AT TIME ZONE t.time_zone) AS DATE) AS month
  FROM orders o
  JOIN tenants t ON t.id = o.tenant_id
  WHERE o.status IN ('paid', 'shipped', 'delivered')
),
months AS (
  SELECT a.tenant_id, a.month, count(*) AS active_customers, count(b.customer_id) AS retained_customers
  FROM active a
  LEFT JOIN active b
    ON b.tenant_id = a.tenant_id AND b.customer_id = a.customer_id AND b.month = CAST(a.month - INTERVAL 1 MONTH AS DATE)
  GROUP BY 1, 2
)
SELECT
  m.tenant_id,
  m.month,
  CAST(m.active_customers AS BIGINT) AS active_customers,
  CAST(b.active_customers AS BIGINT) AS previous_customers,
  CAST(m.retained_customers AS BIGINT) AS retained_customers,
  CAST(m.retained_customers / b.active_customers AS DECIMAL(18, 4)) AS retention_rate
FROM months m
LEFT JOIN months b ON b.tenant_id = m.tenant_id AND b.month = CAST(m.month - INTERVAL 1 MONTH AS DATE)
