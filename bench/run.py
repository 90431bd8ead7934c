"""Runs the benchmarks that exist, prints a table and writes build/bench/results.json.

    make bench                    all of them
    make bench BENCH=full_load    those whose name has the text or begins it; commas separate several
    make bench BENCH_SMOKE=1      everything tiny, to keep it working

Yardsticks run in the same invocation, in turn with ours; ratios are of medians. CPU-seconds are of the measured process
and its children, from the operating system.
"""

import datetime
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

from .bars import bars_of
from .cases import CASES
from .measure import Bench

ROOT = Path(__file__).resolve().parents[1]


def number(value: float) -> str:
    return f"{value:,.3f}" if abs(value) < 10 else f"{value:,.1f}"


def show(results: list[dict]):
    width = max((len(r["name"]) for r in results), default=0)
    print(f"\n{'name':<{width}}  {'value':>14} {'unit':<13} {'ratio':>7}  {'bar':<44} yardstick")
    for r in results:
        ratio = "" if r["ratio"] is None else f"{r['ratio']:.2f}"
        bars = ", ".join(f"{text}: {'met' if met else 'MISSED'}" for text, met in bars_of(r))
        print(f"{r['name']:<{width}}  {number(r['value']):>14} {r['unit']:<13} {ratio:>7}  {bars:<44} {r['yardstick'] or ''}")


def selected(case: str, wanted: str) -> bool:
    """`freshness` and `freshness.5000.hudi` both ask for the case `freshness`; commas separate several."""
    return any(text in case or text.startswith(case) for text in wanted.split(","))


def main() -> int:
    wanted = os.environ.get("BENCH", "")
    smoke = os.environ.get("BENCH_SMOKE", "") not in ("", "0")
    tarn = Path(os.environ.get("TARN_BIN", ROOT / "build" / "bench" / "tarn")).absolute()
    if not tarn.exists():
        print(f"bench: {tarn} is missing; `make bench` builds it", file=sys.stderr)
        return 2
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # So that what was started is ended and removed.
    results, failed = [], []
    with tempfile.TemporaryDirectory(prefix="tarn-bench-", dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        with Bench(Path(folder), tarn, smoke) as bench:
            for name, case in CASES.items():
                if not selected(name, wanted):
                    continue
                started = time.monotonic()
                print(f"bench: {name} …", end="", flush=True)
                try:
                    for result in case(bench):
                        results.append({**result, "commit": commit, "date": datetime.date.today().isoformat(), "smoke": smoke})
                except Exception:  # The figures of the other cases are worth having.
                    failed.append(name)
                    traceback.print_exc()
                print(f" {time.monotonic() - started:.1f} s", flush=True)
    show(results)
    if smoke:
        print("\nA tiny run: neither its values nor what they say of the bars mean anything.")
    out = ROOT / "build" / "bench"
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(results, indent=1))
    if failed:
        print(f"bench: failed: {', '.join(failed)}", file=sys.stderr)
        return 1
    return 0 if results else 2


if __name__ == "__main__":
    sys.exit(main())
