-- What each customer has brought so far.
-- Lifetime value: the totals of the customer's paid, shipped and delivered orders, by currency. Customers without such
-- an order have no row; those whose account a rule refused have one, for their orders are there.
SELECT
  o.tenant_id,
  o.customer_id,
  o.currency,
  CAST(count(*) AS BIGINT) AS orders,
  CAST(sum(o.total) AS DECIMAL(18, 2)) AS lifetime_value,
  CAST(sum(o.total) / count(*) AS DECIMAL(18, 4)) AS average_order_value,
  min(o.placed_at) AS first_order_at,
  max(o.placed_at) AS last_order_at
FROM orders o
WHERE o.status IN ('paid', 'shipped', 'delivered')
GROUP BY 1, 2, 3
