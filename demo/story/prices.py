"""What Athena would ask for a query: us-east-1, price list of 2026-11-01."""

PRICE_DATE = "2026-11-01"
REGION = "us-east-1"
DOLLARS_PER_TB = 5.00
BYTES_PER_TB = 10**12
MINIMUM_BYTES = 10 * 10**6  # each query counts as 10 MB at least


def athena_dollars(bytes_scanned: int) -> float:
    return max(bytes_scanned, MINIMUM_BYTES) / BYTES_PER_TB * DOLLARS_PER_TB
