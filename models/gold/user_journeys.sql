-- The 50 ways through the site that each tenant's visitors take most.
-- Path: the kinds of a session's events in the order of time, the same kind in a row counted once. Events of the same
-- moment follow the funnel's order. has_purchase: the path has a purchase. Equal numbers are ranked by
-- the path's text.
WITH digits AS (
  SELECT tenant_id, path, count(*) AS sessions
  FROM sessions
  GROUP BY 1, 2
),
once AS (
  SELECT
    tenant_id,
    sessions,
    regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(
      path, '1+', '1', 'g'), '2+', '2', 'g'), '3+', '3', 'g'), '4+', '4', 'g'), '5+', '5', 'g') AS path
  FROM digits
),
counted AS (
  SELECT
    tenant_id,
    rtrim(replace(replace(replace(replace(replace(
      path, '1', 'page_view > '), '2', 'product_view > '), '3', 'add_to_cart > '), '4', 'checkout > '),
      '5', 'purchase > '), ' >') AS path,
    sum(sessions) AS sessions
  FROM once
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
