-- How far visits go, by month and device.
-- Steps and months as in conversion_funnel, device as in sessions. One row a month and device: the visits that reach
-- each step, and how many of them buy.
SELECT
  tenant_id,
  month,
  device,
  CAST(count(*) AS BIGINT) AS sessions,
  CAST(count(*) FILTER (WHERE furthest_step >= 2) AS BIGINT) AS viewed_a_product,
  CAST(count(*) FILTER (WHERE furthest_step >= 3) AS BIGINT) AS filled_a_cart,
  CAST(count(*) FILTER (WHERE furthest_step >= 4) AS BIGINT) AS went_to_checkout,
  CAST(count(*) FILTER (WHERE furthest_step >= 5) AS BIGINT) AS purchased,
  CAST(count(*) FILTER (WHERE furthest_step >= 5) / count(*) AS DECIMAL(18, 4)) AS conversion_rate
FROM sessions
GROUP BY 1, 2, 3
