-- What made the MRR of one month that of the next.
-- By customer and currency, MRR as in customer_mrr_monthly, each month against the one before. New: paid in no month
-- before. Reactivated: paid in an earlier month, but not in the one before. Expansion, contraction: pays more, less,
-- than in the month before. Churned: paid in the month before and pays nothing now. Every amount is positive;
-- opening + new + reactivated + expansion - contraction - churned = closing.
WITH numbered AS (
  SELECT
    tenant_id, customer_id, currency, month, mrr,
    lag(month) OVER (PARTITION BY tenant_id, customer_id, currency ORDER BY month) AS month_before,
    lag(mrr) OVER (PARTITION BY tenant_id, customer_id, currency ORDER BY month) AS mrr_before,
    max(month) OVER (PARTITION BY tenant_id) AS newest_month
  FROM customer_mrr_monthly
),
came AS (
  SELECT
    tenant_id, currency, month,
    CASE WHEN month_before = CAST(month - INTERVAL 1 MONTH AS DATE) THEN mrr_before ELSE 0 END AS opening,
    CASE WHEN month_before IS NULL THEN mrr ELSE 0 END AS new_mrr,
    CASE WHEN month_before < CAST(month - INTERVAL 1 MONTH AS DATE) THEN mrr ELSE 0 END AS reactivated,
    CASE WHEN month_before = CAST(month - INTERVAL 1 MONTH AS DATE) THEN greatest(mrr - mrr_before, 0) ELSE 0 END AS expansion,
    CASE WHEN month_before = CAST(month - INTERVAL 1 MONTH AS DATE) THEN greatest(mrr_before - mrr, 0) ELSE 0 END AS contraction,
    0 AS churned,
    mrr AS closing
  FROM numbered
),
pairs AS (
  SELECT
    n.tenant_id, n.currency, n.customer_id, n.mrr, CAST(n.month + INTERVAL 1 MONTH AS DATE) AS month
  FROM numbered n
  WHERE n.month < n.newest_month
),
went AS (
  SELECT
    p.tenant_id, p.currency, p.month,
    p.mrr AS opening, 0 AS new_mrr, 0 AS reactivated, 0 AS expansion, 0 AS contraction, p.mrr AS churned, 0 AS closing
  FROM pairs p
  LEFT JOIN customer_mrr_monthly c
    ON c.tenant_id = p.tenant_id AND c.customer_id = p.customer_id AND c.currency = p.currency AND c.month = p.month
  WHERE c.customer_id IS NULL
),
moves AS (
  SELECT * FROM came
  UNION ALL
  SELECT * FROM went
)
SELECT
  tenant_id,
  month,
  currency,
  CAST(sum(opening) AS DECIMAL(18, 2)) AS opening_mrr,
  CAST(sum(new_mrr) AS DECIMAL(18, 2)) AS new_mrr,
  CAST(sum(reactivated) AS DECIMAL(18, 2)) AS reactivated_mrr,
  CAST(sum(expansion) AS DECIMAL(18, 2)) AS expansion_mrr,
  CAST(sum(contraction) AS DECIMAL(18, 2)) AS contraction_mrr,
  CAST(sum(churned) AS DECIMAL(18, 2)) AS churned_mrr,
  CAST(sum(closing) AS DECIMAL(18, 2)) AS closing_mrr
FROM moves
GROUP BY 1, 2, 3
