-- When the shelf will be empty, by product.
-- units_sold: of paid, shipped and delivered orders of the last 30 local days before as_of()'s day. days_of_cover: how
-- many days the stock lasts at that pace, rounded down; NULL when nothing was sold. out_on: as_of()'s day and that many
-- days. is_out: the stock is nothing now. Products that a rule refused (negative stock) are out; inactive ones, too.
WITH days AS (
  SELECT id AS tenant_id, time_zone, CAST(as_of() AT TIME ZONE time_zone AS DATE) AS today
  FROM tenants
),
sales AS (
  SELECT o.tenant_id, o.id, d.today - CAST(o.placed_at AT TIME ZONE d.time_zone AS DATE) AS days_ago
  FROM orders o
  JOIN days d ON d.tenant_id = o.tenant_id
  WHERE o.status IN ('paid', 'shipped', 'delivered')
    -- 33 days before the day's beginning somewhere: a coarse bound that spares most of the conversions
    AND o.placed_at >= date_trunc('day', as_of()) - INTERVAL 792 HOURS
),
sold AS (
  SELECT i.tenant_id, i.product_id, sum(i.quantity) AS units
  FROM order_items i
  JOIN sales o ON o.tenant_id = i.tenant_id AND o.id = i.order_id
  WHERE o.days_ago BETWEEN 1 AND 30
  GROUP BY 1, 2
)
SELECT
  p.tenant_id,
  p.id AS product_id,
  p.sku,
  CAST(p.stock AS BIGINT) AS stock,
  CAST(coalesce(s.units, 0) AS BIGINT) AS units_sold,
  CAST(p.stock * 30 // s.units AS BIGINT) AS days_of_cover,
  d.today + CAST(p.stock * 30 // s.units AS INTEGER) AS out_on,
  p.stock = 0 AS is_out
FROM products p
JOIN days d ON d.tenant_id = p.tenant_id
LEFT JOIN sold s ON s.tenant_id = p.tenant_id AND s.product_id = p.id
WHERE p.is_active
