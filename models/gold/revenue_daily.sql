-- Revenue of each day.
-- Revenue: the totals of orders that are paid, shipped or delivered. Pending orders are not paid yet; cancelled and
-- refunded ones are out, on the day on which they were placed. Days are those of the tenant's time zone.
SELECT
  o.tenant_id,
  CAST(o.placed_at AT TIME ZONE t.time_zone AS DATE) AS day,
  o.currency,
  CAST(count(*) AS BIGINT) AS orders,
  CAST(count(DISTINCT o.customer_id) AS BIGINT) AS customers,
  CAST(sum(o.total) AS DECIMAL(18, 2)) AS revenue
FROM orders o
JOIN tenants t ON t.id = o.tenant_id
WHERE o.status IN ('paid', 'shipped', 'delivered')
GROUP BY 1, 2, 3
