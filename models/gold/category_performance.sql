-- How the categories do over the whole history.
-- Revenue here is that of lines: quantity times unit price less the discount, of paid, shipped and delivered orders.
-- Lines that a rule refused are missing. A product that is not in Silver counts as '(unknown)'. The share is of the
-- tenant's revenue in the same currency.
WITH categories AS (
  SELECT
    i.tenant_id,
    coalesce(p.category, '(unknown)') AS category,
    o.currency,
    count(DISTINCT o.id) AS orders,
    sum(i.quantity) AS units,
    sum(i.quantity * i.unit_price - i.discount) AS revenue
  FROM order_items i
  JOIN orders o ON o.tenant_id = i.tenant_id AND o.id = i.order_id
  LEFT JOIN products p ON p.tenant_id = i.tenant_id AND p.id = i.product_id
  WHERE o.status IN ('paid', 'shipped', 'delivered')
  GROUP BY 1, 2, 3
)
SELECT
  tenant_id,
  category,
  currency,
  CAST(orders AS BIGINT) AS orders,
  CAST(units AS BIGINT) AS units,
  CAST(revenue AS DECIMAL(18, 2)) AS revenue,
  CAST(revenue / nullif(sum(revenue) OVER (PARTITION BY tenant_id, currency), 0) AS DECIMAL(18, 4)) AS share
FROM categories
