-- How much of a month's MRR its customers still pay in the next one.
-- Of the customers that paid in the month before (opening, as in mrr_movements). Net: opening and expansion less
-- contraction and churn, over opening. Gross: opening less contraction and churn, over opening. The month that is under
-- way counts so far. Months in which nobody had paid before are left out.
SELECT
  tenant_id,
  month,
  currency,
  opening_mrr,
  CAST(opening_mrr + expansion_mrr - contraction_mrr - churned_mrr AS DECIMAL(18, 2)) AS kept_mrr,
  CAST((opening_mrr + expansion_mrr - contraction_mrr - churned_mrr) / opening_mrr AS DECIMAL(18, 4)) AS net_retention,
  CAST((opening_mrr - contraction_mrr - churned_mrr) / opening_mrr AS DECIMAL(18, 4)) AS gross_retention
FROM mrr_movements
WHERE opening_mrr > 0
