-- How the buyers of one month buy on in the months after.
-- Cohort: the month of a customer's first paid, shipped or delivered order. month_number: months since then, 0 for the
-- first. Active: at least one such order in that month. Months are those of the tenant's time zone; a month in which
-- nobody of the cohort bought has no row.
WITH active AS (
  SELECT DISTINCT
    o.tenant_id,
    o.customer_id,
    CAST(date_trunc('month', o.placed_at AT TIME ZONE t.time_zone) AS DATE) AS month
  FROM orders o
  JOIN tenants t ON t.id = o.tenant_id
  WHERE o.status IN ('paid', 'shipped', 'delivered')
),
firsts AS (
  SELECT tenant_id, customer_id, min(month) AS cohort_month
  FROM active
  GROUP BY 1, 2
),
sizes AS (
  SELECT tenant_id, cohort_month, count(*) AS cohort_size
  FROM firsts
  GROUP BY 1, 2
)
SELECT
  f.tenant_id,
  f.cohort_month,
  CAST(date_diff('month', f.cohort_month, a.month) AS INTEGER) AS month_number,
  CAST(s.cohort_size AS BIGINT) AS cohort_size,
  CAST(count(*) AS BIGINT) AS active_customers,
  CAST(count(*) / s.cohort_size AS DECIMAL(18, 4)) AS retention_rate
FROM firsts f
JOIN active a ON a.tenant_id = f.tenant_id AND a.customer_id = f.customer_id
JOIN sizes s ON s.tenant_id = f.tenant_id AND s.cohort_month = f.cohort_month
GROUP BY f.tenant_id, f.cohort_month, a.month, s.cohort_size
