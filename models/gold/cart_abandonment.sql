-- Carts that were filled and left, by month.
-- Cart: a session with an add_to_cart. Purchased: it has a purchase too. Open: it has none and its last event is of
-- as_of()'s local day or later, so it may still come. Abandoned: the rest. Rate: abandoned over carts that are not
-- open. A session counts in the month of its first event, in the tenant's time zone.
WITH carts AS (
  SELECT
    s.tenant_id,
    s.month,
    CASE
      WHEN s.has_purchase THEN 'purchased'
      WHEN s.last_day >= CAST(as_of() AT TIME ZONE t.time_zone AS DATE) THEN 'open'
      ELSE 'abandoned'
    END AS outcome
  FROM sessions s
  JOIN tenants t ON t.id = s.tenant_id
  WHERE s.has_cart
)
SELECT
  tenant_id,
  month,
  CAST(count(*) AS BIGINT) AS carts,
  CAST(count(*) FILTER (WHERE outcome = 'purchased') AS BIGINT) AS purchased,
  CAST(count(*) FILTER (WHERE outcome = 'abandoned') AS BIGINT) AS abandoned,
  CAST(count(*) FILTER (WHERE outcome = 'open') AS BIGINT) AS still_open,
  CAST(
    count(*) FILTER (WHERE outcome = 'abandoned') / nullif(count(*) FILTER (WHERE outcome <> 'open'), 0)
    AS DECIMAL(18, 4)) AS abandonment_rate
FROM carts
GROUP BY 1, 2
