-- Monthly and annual recurring revenue.
-- MRR of a month: that of all customers (customer_mrr_monthly, which says what paying is): the monthly prices of the
-- subscriptions that pay on its last day, or on as_of()'s day in the month that is under way. ARR: twelve times that. A
-- month without a paying subscription has no row.
SELECT
  tenant_id,
  month,
  currency,
  CAST(sum(paying_subscriptions) AS BIGINT) AS paying_subscriptions,
  CAST(sum(mrr) AS DECIMAL(18, 2)) AS mrr,
  CAST(sum(mrr) * 12 AS DECIMAL(18, 2)) AS arr
FROM customer_mrr_monthly
GROUP BY 1, 2, 3
