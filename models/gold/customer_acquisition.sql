-- New customers by month.
-- New: the account was opened in that month of the tenant's time zone. converted: of those, who has placed an order
-- that is paid, shipped or delivered, within 30 days of opening the account. total_customers: all so far.
WITH first_orders AS (
  SELECT tenant_id, customer_id, min(placed_at) AS first_at
  FROM orders
  WHERE status IN ('paid', 'shipped', 'delivered')
  GROUP BY 1, 2
),
months AS (
  SELECT
    c.tenant_id,
    CAST(date_trunc('month', c.created_at AT TIME ZONE t.time_zone) AS DATE) AS month,
    count(*) AS new_customers,
    count(*) FILTER (WHERE c.marketing_opt_in) AS opted_in,
    count(*) FILTER (WHERE f.first_at < c.created_at + INTERVAL 720 HOURS) AS converted
  FROM customers c
  JOIN tenants t ON t.id = c.tenant_id
  LEFT JOIN first_orders f ON f.tenant_id = c.tenant_id AND f.customer_id = c.id
  GROUP BY 1, 2
)
SELECT
  tenant_id,
  month,
  CAST(new_customers AS BIGINT) AS new_customers,
  CAST(opted_in AS BIGINT) AS opted_in,
  CAST(converted AS BIGINT) AS converted,
  CAST(sum(new_customers) OVER (PARTITION BY tenant_id ORDER BY month) AS BIGINT) AS total_customers
FROM months
