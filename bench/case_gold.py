"""Gold from scratch and after changes, and the comparison of the whole lake with its source."""

from .measure import Bench, median, result
from .shop import change_shop, serve_shop


def gold(bench: Bench):
    served = serve_shop(bench)
    yield result(f"gold.full.{served.scale}_s", served.full_s, "s")
    for _ in range(2 * bench.runs):
        if len(served.incremental_s) < bench.runs:
            change_shop(bench, served)
    if served.incremental_s:
        yield result("gold.incremental.1000_s", median(served.incremental_s), "s")
        yield result("gold.incremental.changes", median(served.changes), "changes")
    else:
        print(" (no run of Gold met all the changes at once)", end="")


def verify(bench: Bench):
    served = serve_shop(bench)
    rates = []
    for _ in range(bench.runs):
        outcome = served.client.verify()
        if not outcome["ok"]:
            raise RuntimeError(f"Silver differs from the source: {outcome}")
        rows = sum(t["source_good"]["rows"] + t["source_refused"]["rows"] for t in outcome["tables"])
        rates.append(rows / outcome["seconds"])
    yield result("verify.rows_per_s", median(rates), "rows/s")
