-- Who is on which plan today.
-- Paying on a day: the trial, or without one the start, is not after that day, and the end, if any, is after it.
-- On trial: started, the trial's last day is after as_of()'s day, and not ended. Today is as_of()'s day in the tenant's
-- time zone. Share: of the tenant's paying subscriptions, over all plans and currencies.
WITH today AS (
  SELECT
    s.tenant_id,
    s.plan,
    s.currency,
    s.price,
    CAST(s.started_at AT TIME ZONE t.time_zone AS DATE) AS started_on,
    CAST(coalesce(s.trial_ends_at, s.started_at) AT TIME ZONE t.time_zone AS DATE) AS pays_from,
    CAST(s.ended_at AT TIME ZONE t.time_zone AS DATE) AS ends_on,
    CAST(as_of() AT TIME ZONE t.time_zone AS DATE) AS day
  FROM subscriptions s
  JOIN tenants t ON t.id = s.tenant_id
),
plans AS (
  SELECT
    tenant_id,
    plan,
    currency,
    count(*) FILTER (WHERE pays_from <= day) AS paying,
    count(*) FILTER (WHERE pays_from > day) AS on_trial,
    coalesce(sum(price) FILTER (WHERE pays_from <= day), 0) AS mrr
  FROM today
  WHERE started_on <= day AND (ends_on IS NULL OR ends_on > day)
  GROUP BY 1, 2, 3
)
SELECT
  tenant_id,
  plan,
  currency,
  CAST(paying AS BIGINT) AS paying,
  CAST(on_trial AS BIGINT) AS on_trial,
  CAST(mrr AS DECIMAL(18, 2)) AS mrr,
  CAST(paying / nullif(sum(paying) OVER (PARTITION BY tenant_id), 0) AS DECIMAL(18, 4)) AS share
FROM plans
