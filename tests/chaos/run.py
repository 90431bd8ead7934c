"""scripts/chaos: many seeds, or one, or as many as fit into a time. Ends with 1 when one failed."""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time
import traceback
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from pathlib import Path
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from chaos.seed_run import run_seed  # noqa: E402


def attempt(seed: int, size: float) -> tuple[int, float, str, str]:
    """Seed, seconds, what was done, what failed."""
    started, done, failure = time.monotonic(), "", ""
    try:
        done = run_seed(seed, size)
    except KeyboardInterrupt:
        raise
    except BaseException:
        failure = traceback.format_exc()
    return seed, time.monotonic() - started, done, failure


def write_report(path: Path, outcomes: list[tuple[int, float, str, str]]):
    """One JUnit test case a seed."""
    suite = ElementTree.Element("testsuite", name="chaos", tests=str(len(outcomes)))
    for seed, seconds, _, failure in outcomes:
        case = ElementTree.SubElement(suite, "testcase", classname="chaos", name=f"seed {seed}", time=f"{seconds:.1f}")
        if failure:
            ElementTree.SubElement(case, "failure", message=failure.strip().splitlines()[-1]).text = failure
    ElementTree.ElementTree(suite).write(path)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__, epilog="Example: scripts/chaos --seeds 50 --first 1000")
    parser.add_argument("--seeds", type=int, default=10, help="how many (default: 10)")
    parser.add_argument("--first", type=int, default=None, help="the first of them (default: a random one)")
    parser.add_argument("--seed", type=int, default=None, help="just this one")
    parser.add_argument("--minutes", type=float, default=None, help="seeds until so many minutes are over")
    parser.add_argument("--size", type=float, default=1, help="times as many transactions in a round")
    parser.add_argument("--together", type=int, default=int(os.environ.get("JOBS", "2")) + 1, help="seeds at a time")
    results = os.environ.get("TARN_TEST_RESULTS")
    parser.add_argument("--report", type=Path, default=Path(results) / "chaos.xml" if results else None, help="writes a JUnit report there")
    return parser.parse_args()


def main() -> int:
    a = arguments()
    first = a.seed if a.seed is not None else a.first if a.first is not None else random.SystemRandom().randrange(1 << 31)
    count = 1 if a.seed is not None else a.seeds if a.minutes is None else 1 << 31
    deadline = time.monotonic() + a.minutes * 60 if a.minutes is not None else float("inf")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    outcomes, given, running = [], 0, set()
    with ProcessPoolExecutor(a.together) as pool:
        while running or (given < count and time.monotonic() < deadline):
            while len(running) < a.together and given < count and time.monotonic() < deadline:
                running.add(pool.submit(attempt, first + given, a.size))
                given += 1
            over, running = wait(running, return_when=FIRST_COMPLETED)
            for future in over:
                outcomes.append(future.result())
                seed, seconds, what, failure = outcomes[-1]
                print(f"seed {seed}: {'FAILED' if failure else what} ({seconds:.1f} s)", flush=True)
                if failure:
                    print(failure, flush=True)
    if a.report:
        write_report(a.report, outcomes)
    failed = [seed for seed, _, _, failure in outcomes if failure]
    print(f"{len(outcomes)} seeds, {len(failed)} failed" + "".join(f"\n  again: scripts/chaos --seed {seed}" for seed in failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
