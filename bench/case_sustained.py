"""The highest rate of changes that tarn keeps up with, beside the generator, for ten minutes."""

from .case_freshness import Measured, create_markers, measure_rate
from .marker_writer import WRITERS
from .measure import Bench, median, percentile, result

ROWS_PER_TRANSACTION = 100
LADDER = (10_000, 15_000, 20_000, 30_000, 40_000, 60_000, 80_000, 120_000)
TRIAL_S, LONG_S = 20, 600
# One that keeps up is done soon after the generator: Silver's interval is 10 s.
MOST_DRAINED_S = 15


def _thirds(waits_ms: list[float]) -> tuple[float, float]:
    """Medians of the first and of the last third of the time."""
    each = len(waits_ms) // WRITERS
    by_writer = [waits_ms[at:at + each] for at in range(0, each * WRITERS, each)]
    third = max(1, each // 3)
    return (median(wait for waits in by_writer for wait in waits[:third]), median(wait for waits in by_writer for wait in waits[-third:]))


def _is_held(rate: int, run: Measured) -> bool:
    first, last = _thirds(run.waits_ms["queryable"])
    return run.changes_per_s >= 0.95 * rate and run.drained_s <= MOST_DRAINED_S and last <= 2 * first + 100


def sustained(bench: Bench):
    create_markers(bench)
    held, trial_s, long_s = 0, TRIAL_S, LONG_S
    ladder = LADDER
    if bench.smoke:
        ladder, trial_s, long_s = (1_000,), 2, 3
    for rate in ladder:
        run = measure_rate(bench, rate, ROWS_PER_TRANSACTION, trial_s)
        if not _is_held(rate, run) and not bench.smoke:
            print(f" ({rate:,}/s not held in {trial_s} s: the generator reached {run.changes_per_s:,.0f})", end="")
            break
        held = rate
    # A rate that is held for a while may not be held for long.
    for rate in [rate for rate in reversed(ladder) if rate <= held]:
        run = measure_rate(bench, rate, ROWS_PER_TRANSACTION, long_s)
        if _is_held(rate, run) or bench.smoke:
            break
        print(f" ({rate:,}/s not held in {long_s} s)", end="")
    else:
        raise RuntimeError("no rate was held")
    first, last = _thirds(run.waits_ms["queryable"])
    yield result("sustained.changes_per_s", run.changes_per_s, "changes/s")
    yield result("sustained.queryable_first_third_ms", first, "ms")
    yield result("sustained.queryable_last_third_ms", last, "ms")
    yield result("sustained.queryable.p99_ms", percentile(run.waits_ms["queryable"], 0.99), "ms")
    yield result("sustained.hudi.p99_ms", percentile(run.waits_ms["hudi"], 0.99), "ms")
    yield result("sustained.drained_s", run.drained_s, "s")
    yield result("sustained.changes_per_cpu_s", run.changes_per_s * long_s / run.cpu_s, "changes/CPU-s")
