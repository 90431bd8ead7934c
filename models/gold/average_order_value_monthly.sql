-- Trend of the average order value.
-- Average order value: revenue (totals of paid, shipped and delivered orders) over the number of those orders. The
-- change is against the calendar month before, NULL when that one had no orders. Months are those of the tenant's
-- time zone.
WITH months AS (
  SELECT
    o.tenant_id,
    CAST(date_trunc('month', o.placed_at AT TIME ZONE t.time_zone) AS DATE) AS month,
    o.currency,
    count(*) AS orders,
    sum(o.total) AS revenue
  FROM orders o
  JOIN tenants t ON t.id = o.tenant_id
  WHERE o.status IN ('paid', 'shipped', 'delivered')
  GROUP BY 1, 2, 3
)
SELECT
  m.tenant_id,
  m.month,
  m.currency,
  CAST(m.orders AS BIGINT) AS orders,
  CAST(m.revenue AS DECIMAL(18, 2)) AS revenue,
  CAST(m.revenue / m.orders AS DECIMAL(18, 4)) AS average_order_value,
  CAST(m.revenue / m.orders - b.revenue / b.orders AS DECIMAL(18, 4)) AS change
FROM months m
LEFT JOIN months b
  ON b.tenant_id = m.tenant_id AND b.currency = m.currency AND b.month = CAST(m.month - INTERVAL 1 MONTH AS DATE)
