-- What the buyers of one month spend in the months after.
-- Cohort and month_number as in customer_cohorts. Revenue: totals of the cohort's paid, shipped and delivered orders of
-- that month in the currency. cumulative_revenue: of all months up to it; per_customer: that over the cohort's size, a
-- lifetime value at that age. A month in which nobody of the cohort bought in the currency has no row.
WITH bought AS (
  SELECT
    o.tenant_id,
    o.customer_id,
    o.currency,
    o.total,
    CAST(date_trunc('month', o.placed_at AT TIME ZONE t.time_zone) AS DATE) AS month
  FROM orders o
  JOIN tenants t ON t.id = o.tenant_id
  WHERE o.status IN ('paid', 'shipped', 'delivered')
),
firsts AS (
  SELECT tenant_id, customer_id, min(month) AS cohort_month
  FROM bought
  GROUP BY 1, 2
),
sizes AS (
  SELECT tenant_id, cohort_month, count(*) AS cohort_size
  FROM firsts
  GROUP BY 1, 2
),
monthly AS (
  SELECT
    f.tenant_id,
    f.cohort_month,
    b.currency,
    date_diff('month', f.cohort_month, b.month) AS month_number,
    count(DISTINCT b.customer_id) AS customers,
    sum(b.total) AS revenue
  FROM firsts f
  JOIN bought b ON b.tenant_id = f.tenant_id AND b.customer_id = f.customer_id
  GROUP BY 1, 2, 3, 4
)
SELECT
  m.tenant_id,
  m.cohort_month,
  CAST(m.month_number AS INTEGER) AS month_number,
  m.currency,
  CAST(s.cohort_size AS BIGINT) AS cohort_size,
  CAST(m.customers AS BIGINT) AS customers,
  CAST(m.revenue AS DECIMAL(18, 2)) AS revenue,
  CAST(sum(m.revenue) OVER w AS DECIMAL(18, 2)) AS cumulative_revenue,
  CAST(sum(m.revenue) OVER w / s.cohort_size AS DECIMAL(18, 4)) AS per_customer
FROM monthly m
JOIN sizes s ON s.tenant_id = m.tenant_id AND s.cohort_month = m.cohort_month
WINDOW w AS (PARTITION BY m.tenant_id, m.cohort_month, m.currency ORDER BY m.month_number)
