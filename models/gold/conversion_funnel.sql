-- How far visits go, by month.
-- The steps: 1 page_view, 2 product_view, 3 add_to_cart, 4 checkout, 5 purchase. A session reaches every step up to its
-- furthest one, even if it came in later. It counts in the month of its first event, in the tenant's time zone.
WITH steps AS (
  SELECT 1 AS step_number, 'page_view' AS step
  UNION ALL SELECT 2, 'product_view'
  UNION ALL SELECT 3, 'add_to_cart'
  UNION ALL SELECT 4, 'checkout'
  UNION ALL SELECT 5, 'purchase'
),
furthest_steps AS (
  SELECT tenant_id, month, furthest_step AS furthest, count(*) AS sessions
  FROM sessions
  GROUP BY 1, 2, 3
),
funnel AS (
  SELECT
    f.tenant_id,
    f.month,
    s.step_number,
    s.step,
    sum(f.sessions) FILTER (WHERE f.furthest >= s.step_number) AS sessions,
    sum(f.sessions) FILTER (WHERE f.furthest >= s.step_number - 1) AS before,
    sum(f.sessions) AS all_sessions
  FROM furthest_steps f
  CROSS JOIN steps s
  GROUP BY 1, 2, 3, 4
)
SELECT
  tenant_id,
  month,
  CAST(step_number AS INTEGER) AS step_number,
  step,
  CAST(coalesce(sessions, 0) AS BIGINT) AS sessions,
  CAST(coalesce(sessions, 0) / before AS DECIMAL(18, 4)) AS share_of_previous,
  CAST(coalesce(sessions, 0) / all_sessions AS DECIMAL(18, 4)) AS share_of_all
FROM funnel
