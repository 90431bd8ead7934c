-- How many of the buyers are still there.
-- By the local date of a customer's last paid, shipped or delivered order, against the local date of as_of():
-- active: at most 30 days ago; lapsing: 31 to 90 days ago; churned: longer ago. Share: of all who ever bought.
WITH last_orders AS (
  SELECT
    o.tenant_id,
    o.customer_id,
    CAST(as_of() AT TIME ZONE t.time_zone AS DATE) - CAST(max(o.placed_at) AT TIME ZONE t.time_zone AS DATE) AS days_ago
  FROM orders o
  JOIN tenants t ON t.id = o.tenant_id
  WHERE o.status IN ('paid', 'shipped', 'delivered')
  GROUP BY o.tenant_id, o.customer_id, t.time_zone
),
states AS (
  SELECT
    tenant_id,
    CASE WHEN days_ago <= 30 THEN 'active' WHEN days_ago <= 90 THEN 'lapsing' ELSE 'churned' END AS state,
    count(*) AS customers
  FROM last_orders
  GROUP BY 1, 2
)
SELECT
  tenant_id,
  state,
  CAST(customers AS BIGINT) AS customers,
  CAST(customers / sum(customers) OVER (PARTITION BY tenant_id) AS DECIMAL(18, 4)) AS share
FROM states
