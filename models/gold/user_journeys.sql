-- The 50 ways through the site that each tenant's visitors take most.
-- Path: the kinds of a session's events in the order of time, the same kind in a row counted once. Events of the same
-- moment follow the funnel's order. has_purchase: the path has a purchase. Equal numbers are ranked by
-- the path's text.
WITH steps AS (
  SELECT
    tenant_id,
    session_id,
    id,
    kind,
    occurred_at,
    CASE kind
      WHEN 'page_view' THEN 1 WHEN 'product_view' THEN 2 WHEN 'add_to_cart' THEN 3 WHEN 'checkout' THEN 4 ELSE 5
    END AS step_number
  FROM events
),
followed AS (
  SELECT
    *,
    lag(kind) OVER (PARTITION BY tenant_id, session_id ORDER BY occurred_at, step_number, id) AS kind_before
  FROM steps
),
paths AS (
  SELECT tenant_id, session_id, string_agg(kind, ' > ' ORDER BY occurred_at, step_number, id) AS path
  FROM followed
  WHERE kind_before IS NULL OR kind_before <> kind
  GROUP BY 1, 2
),
counted AS (
  SELECT tenant_id, path, count(*) AS sessions
  FROM paths
  GROUP BY 1, 2
),
ranked AS (
  SELECT
    tenant_id,
    path,
    sessions,
    row_number() OVER (PARTITION BY tenant_id ORDER BY sessions DESC, path) AS place,
    sessions / sum(sessions) OVER (PARTITION BY tenant_id) AS share
  FROM counted
)
SELECT
  tenant_id,
  path,
  CAST(place AS INTEGER) AS place,
  CAST(sessions AS BIGINT) AS sessions,
  CAST(share AS DECIMAL(18, 4)) AS share,
  path LIKE '%purchase%' AS has_purchase
FROM ranked
WHERE place <= 50
