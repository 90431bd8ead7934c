-- How good the risk of subscription_churn_risk would have been.
-- For each complete month: the risks as they would have been computed on its eve, from the complete months before it
-- alone, against what came. expected_churned: the risks' sum. brier_score: the mean of the squared difference between
-- risk and what came (1 churned, 0 not); 0 is perfect. brier_of_share: the same of the plainest guess, the tenant's
-- share over all ages; a model that is worth anything is below it. A tenant's first complete month, before which there
-- is nothing to learn from, has no row.
WITH groups AS (
  SELECT tenant_id, month, age_from, count(*) AS months, count(*) FILTER (WHERE churned) AS churned
  FROM subscription_months
  WHERE is_complete
  GROUP BY 1, 2, 3
),
learned AS (
  SELECT
    g.tenant_id,
    g.month,
    g.age_from,
    g.months,
    g.churned,
    sum(b.months) AS all_months,
    sum(b.churned) AS all_churned,
    coalesce(sum(b.months) FILTER (WHERE b.age_from = g.age_from), 0) AS known_months,
    coalesce(sum(b.churned) FILTER (WHERE b.age_from = g.age_from), 0) AS known_churned
  FROM groups g
  JOIN groups b ON b.tenant_id = g.tenant_id AND b.month < g.month
  GROUP BY 1, 2, 3, 4, 5
),
risks AS (
  SELECT
    tenant_id,
    month,
    months,
    churned,
    (known_churned * all_months + 20 * all_churned) / (all_months * (known_months + 20)) AS risk,
    all_churned / all_months AS share
  FROM learned
)
SELECT
  tenant_id,
  month,
  CAST(sum(months) AS BIGINT) AS subscriptions,
  CAST(sum(churned) AS BIGINT) AS churned,
  CAST(sum(months * risk) AS DECIMAL(18, 4)) AS expected_churned,
  CAST(sum(churned * (1 - risk) * (1 - risk) + (months - churned) * risk * risk) / sum(months) AS DECIMAL(18, 4)) AS brier_score,
  CAST(sum(churned * (1 - share) * (1 - share) + (months - churned) * share * share) / sum(months) AS DECIMAL(18, 4)) AS brier_of_share
FROM risks
GROUP BY 1, 2
