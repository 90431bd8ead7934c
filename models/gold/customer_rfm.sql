-- Which customers are worth what effort: recency, frequency, monetary value.
-- Over paid, shipped and delivered orders of one currency. recency_days: local days from the last one to as_of()'s day.
-- Scores 1 to 5, 5 is best: the tenant's customers of that currency in five parts of equal size, by recency, by the
-- number of orders, by what they spent; equal values are ordered by the customer's number. Segment: champions (all of
-- r, f and m at least 4), loyal (r at least 3, f at least 4), new (r at least 4, f at most 2), at risk (r at most 2, f
-- at least 3), lost (r at most 2, f at most 2), and the others.
WITH totals AS (
  SELECT
    o.tenant_id,
    o.customer_id,
    o.currency,
    CAST(as_of() AT TIME ZONE t.time_zone AS DATE) - CAST(max(o.placed_at) AT TIME ZONE t.time_zone AS DATE) AS recency_days,
    count(*) AS frequency,
    sum(o.total) AS monetary
  FROM orders o
  JOIN tenants t ON t.id = o.tenant_id
  WHERE o.status IN ('paid', 'shipped', 'delivered')
  GROUP BY o.tenant_id, o.customer_id, o.currency, t.time_zone
),
scored AS (
  SELECT
    *,
    ntile(5) OVER (PARTITION BY tenant_id, currency ORDER BY recency_days DESC, customer_id) AS r,
    ntile(5) OVER (PARTITION BY tenant_id, currency ORDER BY frequency, customer_id) AS f,
    ntile(5) OVER (PARTITION BY tenant_id, currency ORDER BY monetary, customer_id) AS m
  FROM totals
)
SELECT
  tenant_id,
  customer_id,
  currency,
  CAST(recency_days AS BIGINT) AS recency_days,
  CAST(frequency AS BIGINT) AS frequency,
  CAST(monetary AS DECIMAL(18, 2)) AS monetary,
  CAST(r AS INTEGER) AS r,
  CAST(f AS INTEGER) AS f,
  CAST(m AS INTEGER) AS m,
  CASE
    WHEN r >= 4 AND f >= 4 AND m >= 4 THEN 'champions'
    WHEN r >= 3 AND f >= 4 THEN 'loyal'
    WHEN r >= 4 AND f <= 2 THEN 'new'
    WHEN r <= 2 AND f >= 3 THEN 'at risk'
    WHEN r <= 2 THEN 'lost'
    ELSE 'others'
  END AS segment
FROM scored
