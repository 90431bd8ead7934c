-- Revenue of the categories month by month.
-- Revenue is that of lines (quantity times unit price less the discount) of paid, shipped and delivered orders. Growth
-- is against the calendar month before, NULL when that one had none. A product that is not in Silver counts as
-- '(unknown)'. Months are those of the tenant's time zone.
WITH sales AS (
  SELECT
    o.tenant_id,
    o.id,
    o.currency,
    CAST(date_trunc('month', o.placed_at AT TIME ZONE t.time_zone) AS DATE) AS month
  FROM orders o
  JOIN tenants t ON t.id = o.tenant_id
  WHERE o.status IN ('paid', 'shipped', 'delivered')
),
months AS (
  SELECT
    i.tenant_id,
    o.month,
    coalesce(p.category, '(unknown)') AS category,
    o.currency,
    sum(i.quantity) AS units,
    sum(i.quantity * i.unit_price - i.discount) AS revenue
  FROM order_items i
  JOIN sales o ON o.tenant_id = i.tenant_id AND o.id = i.order_id
  LEFT JOIN products p ON p.tenant_id = i.tenant_id AND p.id = i.product_id
  GROUP BY 1, 2, 3, 4
)
SELECT
  m.tenant_id,
  m.month,
  m.category,
  m.currency,
  CAST(m.units AS BIGINT) AS units,
  CAST(m.revenue AS DECIMAL(18, 2)) AS revenue,
  CAST(b.revenue AS DECIMAL(18, 2)) AS previous_revenue,
  CAST(m.revenue / nullif(b.revenue, 0) - 1 AS DECIMAL(18, 4)) AS growth
FROM months m
LEFT JOIN months b
  ON b.tenant_id = m.tenant_id AND b.category = m.category AND b.currency = m.currency
  AND b.month = CAST(m.month - INTERVAL 1 MONTH AS DATE)
