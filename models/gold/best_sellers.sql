-- The 50 products of each tenant and currency that bring the most revenue.
-- Revenue is that of lines (quantity times unit price less the discount) of paid, shipped and delivered orders. Equal
-- revenue is ranked by product_id. sku, name and category are NULL for a product that is not in Silver.
WITH sales AS (
  SELECT
    i.tenant_id,
    o.currency,
    i.product_id,
    count(DISTINCT o.id) AS orders,
    sum(i.quantity) AS units,
    sum(i.quantity * i.unit_price - i.discount) AS revenue
  FROM order_items i
  JOIN orders o ON o.tenant_id = i.tenant_id AND o.id = i.order_id
  WHERE o.status IN ('paid', 'shipped', 'delivered')
  GROUP BY 1, 2, 3
),
ranked AS (
  SELECT *, row_number() OVER (PARTITION BY tenant_id, currency ORDER BY revenue DESC, product_id) AS place
  FROM sales
)
SELECT
  r.tenant_id,
  r.currency,
  r.product_id,
  CAST(r.place AS INTEGER) AS place,
  p.sku,
  p.name,
  p.category,
  CAST(r.orders AS BIGINT) AS orders,
  CAST(r.units AS BIGINT) AS units,
  CAST(r.revenue AS DECIMAL(18, 2)) AS revenue
FROM ranked r
LEFT JOIN products p ON p.tenant_id = r.tenant_id AND p.id = r.product_id
WHERE r.place <= 50
