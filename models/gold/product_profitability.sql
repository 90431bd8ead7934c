-- What each product earns.
-- Only lines in the product's own currency, that its cost is in; units sold in others are counted aside. Revenue:
-- quantity times unit price less the discount, of paid, shipped and delivered orders. Cost: units at today's cost.
-- Margin: profit over revenue. Products without such a sale, and those that a rule refused, have no row.
WITH sales AS (
  SELECT
    p.tenant_id,
    p.id AS product_id,
    p.sku,
    p.category,
    p.currency,
    coalesce(sum(i.quantity) FILTER (WHERE o.currency = p.currency), 0) AS units,
    coalesce(sum(i.quantity) FILTER (WHERE o.currency <> p.currency), 0) AS units_in_other_currencies,
    coalesce(sum(i.quantity * i.unit_price - i.discount) FILTER (WHERE o.currency = p.currency), 0) AS revenue,
    coalesce(sum(i.quantity * p.cost) FILTER (WHERE o.currency = p.currency), 0) AS cost
  FROM order_items i
  JOIN orders o ON o.tenant_id = i.tenant_id AND o.id = i.order_id
  JOIN products p ON p.tenant_id = i.tenant_id AND p.id = i.product_id
  WHERE o.status IN ('paid', 'shipped', 'delivered')
  GROUP BY 1, 2, 3, 4, 5
)
SELECT
  tenant_id,
  product_id,
  sku,
  category,
  currency,
  CAST(units AS BIGINT) AS units,
  CAST(units_in_other_currencies AS BIGINT) AS units_in_other_currencies,
  CAST(revenue AS DECIMAL(18, 2)) AS revenue,
  CAST(cost AS DECIMAL(18, 2)) AS cost,
  CAST(revenue - cost AS DECIMAL(18, 2)) AS profit,
  CAST((revenue - cost) / nullif(revenue, 0) AS DECIMAL(18, 4)) AS margin
FROM sales
