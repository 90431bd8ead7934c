-- How often the shelf is sold, by category.
-- Cost of sales: units of paid, shipped and delivered orders of the last 90 local days before as_of()'s day, at today's
-- cost of the product, whatever currency they were sold in. Stock value: units on the shelf at today's cost. Turnover:
-- cost of sales a year over the stock value; days_of_stock: how long the shelf lasts at that pace. Both NULL when they
-- would divide by nothing. Products that a rule refused (negative stock) are out.
WITH days AS (
  SELECT id AS tenant_id, time_zone, CAST(as_of() AT TIME ZONE time_zone AS DATE) AS today
  FROM tenants
),
sales AS (
  SELECT o.tenant_id, o.id, d.today - CAST(o.placed_at AT TIME ZONE d.time_zone AS DATE) AS days_ago
  FROM orders o
  JOIN days d ON d.tenant_id = o.tenant_id
  WHERE o.status IN ('paid', 'shipped', 'delivered')
    -- 93 days before the day's beginning somewhere: a coarse bound that spares most of the conversions
    AND o.placed_at >= date_trunc('day', as_of()) - INTERVAL 2232 HOURS
),
sold AS (
  SELECT i.tenant_id, i.product_id, sum(i.quantity) AS units
  FROM order_items i
  JOIN sales o ON o.tenant_id = i.tenant_id AND o.id = i.order_id
  WHERE o.days_ago BETWEEN 1 AND 90
  GROUP BY 1, 2
),
categories AS (
  SELECT
    p.tenant_id,
    p.category,
    p.currency,
    count(*) AS products,
    sum(p.stock) AS stock_units,
    sum(p.stock * p.cost) AS stock_value,
    coalesce(sum(s.units), 0) AS units_sold,
    coalesce(sum(s.units * p.cost), 0) AS cost_of_sales
  FROM products p
  LEFT JOIN sold s ON s.tenant_id = p.tenant_id AND s.product_id = p.id
  GROUP BY 1, 2, 3
)
SELECT
  tenant_id,
  category,
  currency,
  CAST(products AS BIGINT) AS products,
  CAST(stock_units AS BIGINT) AS stock_units,
  CAST(stock_value AS DECIMAL(18, 2)) AS stock_value,
  CAST(units_sold AS BIGINT) AS units_sold,
  CAST(cost_of_sales AS DECIMAL(18, 2)) AS cost_of_sales,
  CAST(cost_of_sales * 365 / 90 / nullif(stock_value, 0) AS DECIMAL(18, 4)) AS turnover,
  CAST(stock_value * 90 / nullif(cost_of_sales, 0) AS DECIMAL(18, 4)) AS days_of_stock
FROM categories
