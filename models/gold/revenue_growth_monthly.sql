-- Growth of revenue, month over month.
-- Revenue: totals of paid, shipped and delivered orders. Growth: revenue over that of the calendar month before, less
-- one; NULL when that one had none. is_complete: the month is over. All by the tenant's time zone.
WITH periods AS (
  SELECT
    o.tenant_id,
    t.time_zone,
    CAST(date_trunc('month', o.placed_at AT TIME ZONE t.time_zone) AS DATE) AS month,
    o.currency,
    sum(o.total) AS revenue
  FROM orders o
  JOIN tenants t ON t.id = o.tenant_id
  WHERE o.status IN ('paid', 'shipped', 'delivered')
  GROUP BY 1, 2, 3, 4
)
SELECT
  p.tenant_id,
  p.month,
  p.currency,
  CAST(p.revenue AS DECIMAL(18, 2)) AS revenue,
  CAST(b.revenue AS DECIMAL(18, 2)) AS previous_revenue,
  CAST(p.revenue / nullif(b.revenue, 0) - 1 AS DECIMAL(18, 4)) AS growth,
  CAST(p.month + INTERVAL 1 MONTH AS DATE) <= CAST(as_of() AT TIME ZONE p.time_zone AS DATE) AS is_complete
FROM periods p
LEFT JOIN periods b
  ON b.tenant_id = p.tenant_id AND b.currency = p.currency AND b.month = CAST(p.month - INTERVAL 1 MONTH AS DATE)
