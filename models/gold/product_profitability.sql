-- What each product earns.
-- Only lines in the product's own currency, that its cost is in; units sold in others are counted aside. Revenue:
-- quantity times unit price less the discount, of paid, shipped and delivered orders. Cost: units at today's cost.
-- Margin: profit over revenue. Products without such a sale, and those that a rule refused, have no row.
-- Lines are added up before the products come in: planned as one, the three tables may meet by tenant first, where every
-- order of a tenant meets each of its products.
WITH sold AS (
  SELECT
    i.tenant_id,
    i.product_id,
    o.currency,
    CAST(sum(i.quantity) AS BIGINT) AS units,
    sum(i.quantity * i.unit_price - i.discount) AS revenue
  FROM order_items i
  JOIN orders o ON o.tenant_id = i.tenant_id AND o.id = i.order_id
  WHERE o.status IN ('paid', 'shipped', 'delivered')
  GROUP BY 1, 2, 3
),
sales AS (
  SELECT
    p.tenant_id,
    p.id AS product_id,
    p.sku,
    p.category,
    p.currency,
    coalesce(sum(s.units) FILTER (WHERE s.currency = p.currency), 0) AS units,
    coalesce(sum(s.units) FILTER (WHERE s.currency <> p.currency), 0) AS units_in_other_currencies,
    coalesce(sum(s.revenue) FILTER (WHERE s.currency = p.currency), 0) AS revenue,
    coalesce(sum(s.units * p.cost) FILTER (WHERE s.currency = p.currency), 0) AS cost
  FROM sold s
  JOIN products p ON p.tenant_id = s.tenant_id AND p.id = s.product_id
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
