-- How long customers wait before they order again.
-- Over paid, shipped and delivered orders, whatever their currency. Gap: local days from one order of a customer to the
-- next one; orders of the same moment follow their numbers. It counts in the month of the later order, in the tenant's
-- time zone. Median and quartiles are gaps that occurred: the smallest with at least that share of all at or below it.
WITH placed AS (
  SELECT
    o.tenant_id,
    o.customer_id,
    o.id,
    o.placed_at,
    CAST(o.placed_at AT TIME ZONE t.time_zone AS DATE) AS day
  FROM orders o
  JOIN tenants t ON t.id = o.tenant_id
  WHERE o.status IN ('paid', 'shipped', 'delivered')
),
gaps AS (
  SELECT
    tenant_id,
    CAST(date_trunc('month', day) AS DATE) AS month,
    customer_id,
    day - lag(day) OVER (PARTITION BY tenant_id, customer_id ORDER BY placed_at, id) AS days
  FROM placed
),
ranked AS (
  SELECT
    tenant_id,
    month,
    customer_id,
    days,
    row_number() OVER (PARTITION BY tenant_id, month ORDER BY days) AS place,
    count(*) OVER (PARTITION BY tenant_id, month) AS gaps
  FROM gaps
  WHERE days IS NOT NULL
)
SELECT
  tenant_id,
  month,
  CAST(count(*) AS BIGINT) AS repeat_orders,
  CAST(count(DISTINCT customer_id) AS BIGINT) AS customers,
  CAST(sum(days) / count(*) AS DECIMAL(18, 4)) AS average_days,
  CAST(min(days) FILTER (WHERE place * 4 >= gaps) AS BIGINT) AS first_quartile_days,
  CAST(min(days) FILTER (WHERE place * 2 >= gaps) AS BIGINT) AS median_days,
  CAST(min(days) FILTER (WHERE place * 4 >= gaps * 3) AS BIGINT) AS third_quartile_days
FROM ranked
GROUP BY 1, 2
