-- What next month's revenue may be, and how wrong this guess was until now.
-- The guess for a month: the mean of the revenue of the three complete months before it (revenue as in revenue_daily,
-- a month without orders is nothing). Complete: it ended before as_of()'s day, and the tenant had sold something in the
-- currency by its beginning. forecast_month: the first that is not complete. Back-test: the same guess for each complete
-- month that has three complete ones before it: mean_error (guess less truth; what it leans to) and
-- mean_absolute_error in money, and the latter over the mean of those months' revenue as error_share. A tenant and
-- currency of fewer than three complete months has no guess.
WITH monthly AS (
  SELECT tenant_id, currency, CAST(date_trunc('month', day) AS DATE) AS month, sum(revenue) AS revenue
  FROM revenue_daily
  GROUP BY 1, 2, 3
),
spans AS (
  SELECT
    m.tenant_id,
    m.currency,
    CAST(min(m.month) + INTERVAL 1 MONTH AS DATE) AS first_month,
    CAST(date_trunc('month', CAST(as_of() AT TIME ZONE t.time_zone AS DATE)) AS DATE) AS forecast_month
  FROM monthly m
  JOIN tenants t ON t.id = m.tenant_id
  GROUP BY m.tenant_id, m.currency, t.time_zone
),
months AS (
  SELECT
    tenant_id, currency, forecast_month,
    CAST(unnest(generate_series(CAST(first_month AS TIMESTAMP), CAST(forecast_month AS TIMESTAMP), INTERVAL 1 MONTH)) AS DATE) AS month
  FROM spans
),
filled AS (
  SELECT c.tenant_id, c.currency, c.forecast_month, c.month, coalesce(m.revenue, 0) AS revenue
  FROM months c
  LEFT JOIN monthly m ON m.tenant_id = c.tenant_id AND m.currency = c.currency AND m.month = c.month
),
guessed AS (
  SELECT
    *,
    CAST(sum(revenue) OVER w / 3 AS DECIMAL(18, 2)) AS guess,
    count(*) OVER w AS months_before
  FROM filled
  WINDOW w AS (PARTITION BY tenant_id, currency ORDER BY month ROWS BETWEEN 3 PRECEDING AND 1 PRECEDING)
)
SELECT
  tenant_id,
  currency,
  forecast_month,
  CAST(max(guess) FILTER (WHERE month = forecast_month) AS DECIMAL(18, 2)) AS forecast,
  CAST(count(*) FILTER (WHERE month < forecast_month) AS BIGINT) AS tested_months,
  CAST(sum(guess - revenue) FILTER (WHERE month < forecast_month)
    / nullif(count(*) FILTER (WHERE month < forecast_month), 0) AS DECIMAL(18, 4)) AS mean_error,
  CAST(sum(abs(guess - revenue)) FILTER (WHERE month < forecast_month)
    / nullif(count(*) FILTER (WHERE month < forecast_month), 0) AS DECIMAL(18, 4)) AS mean_absolute_error,
  CAST(sum(abs(guess - revenue)) FILTER (WHERE month < forecast_month)
    / nullif(sum(revenue) FILTER (WHERE month < forecast_month), 0) AS DECIMAL(18, 4)) AS error_share
FROM guessed
WHERE months_before = 3
GROUP BY 1, 2, 3
