-- How long visits last and how much happens in them, by month and device.
-- Duration: seconds from a session's first event to its last. Bounce: a session of one event. A session counts in the
-- month of its first event, in the tenant's time zone, and for the alphabetically first of its devices.
SELECT
  tenant_id,
  month,
  device,
  CAST(count(*) AS BIGINT) AS sessions,
  CAST(sum(events) AS BIGINT) AS events,
  CAST(sum(events) / count(*) AS DECIMAL(18, 4)) AS events_per_session,
  CAST(sum(milliseconds) / 1000 / count(*) AS DECIMAL(18, 4)) AS average_seconds,
  CAST(count(*) FILTER (WHERE events = 1) / count(*) AS DECIMAL(18, 4)) AS bounce_rate
FROM sessions
GROUP BY 1, 2, 3
