-- Every visit, for the models that count visits.
-- The steps: 1 page_view, 2 product_view, 3 add_to_cart, 4 checkout, 5 purchase. furthest_step: the highest of its
-- events. month: of its first event, last_day: of its last, in the tenant's time zone. device: the alphabetically first
-- of its events'. milliseconds: from its first event to its last. path: the step of each event in the order of time,
-- a digit each; events of the same moment in the order of the steps.
WITH steps AS (
  SELECT
    tenant_id,
    session_id,
    device,
    occurred_at,
    CASE kind
      WHEN 'page_view' THEN 1 WHEN 'product_view' THEN 2 WHEN 'add_to_cart' THEN 3 WHEN 'checkout' THEN 4 ELSE 5
    END AS step
  FROM events
)
SELECT
  s.tenant_id,
  s.session_id,
  CAST(date_trunc('month', min(s.occurred_at) AT TIME ZONE t.time_zone) AS DATE) AS month,
  CAST(max(s.occurred_at) AT TIME ZONE t.time_zone AS DATE) AS last_day,
  min(s.device) AS device,
  CAST(count(*) AS BIGINT) AS events,
  CAST(epoch_ms(max(s.occurred_at)) - epoch_ms(min(s.occurred_at)) AS BIGINT) AS milliseconds,
  CAST(max(s.step) AS INTEGER) AS furthest_step,
  max(CASE WHEN s.step = 3 THEN 1 ELSE 0 END) = 1 AS has_cart,
  max(CASE WHEN s.step = 5 THEN 1 ELSE 0 END) = 1 AS has_purchase,
  -- One number to sort by: the moment, then the step.
  string_agg(chr(48 + s.step), '' ORDER BY epoch_us(s.occurred_at) * 8 + s.step) AS path
FROM steps s
JOIN tenants t ON t.id = s.tenant_id
GROUP BY s.tenant_id, s.session_id, t.time_zone
