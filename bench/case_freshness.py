"""From a commit in PostgreSQL to Bronze, to a published version of the Hudi tables, and to an answer of SQL.

Only the answer is looked for while it runs: one connection asks for the four marker rows again and again, with a pause
after each answer. When Bronze's manifest and the lake's version were published is told afterwards by their files' change
times, which the last step of publishing sets, after its sync (put-if-absent: link, sync of the folder, unlink). The
kernel's clock for files has steps of some milliseconds.
"""

import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from demo.story.client import Client

from .marker_writer import SCHEMA, WRITERS
from .measure import Bench, Lake, cpu_seconds, lsn_value, median, percentile, result

ROOT = Path(__file__).resolve().parents[1]
ROWS_PER_TRANSACTION = {100: 2, 1_000: 10, 5_000: 20, 20_000: 50}
MARKERS = 10_000
LEAST_S = 60
PAUSE_S = 0.01

Steps = list[tuple[list[int], int]]  # (number each writer's marker has reached, when in ns), in the order of time


class Looker:
    """Asks by SQL what the markers are, until it is told to end."""

    def __init__(self, client: Client):
        self.client, self.steps, self.waits_s, self._ended = client, [], [], threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self):
        while not self._ended.wait(PAUSE_S):
            asked = time.monotonic()
            answer = self.client.query("SELECT writer, n FROM marker")
            now = time.time_ns()
            self.waits_s.append(time.monotonic() - asked)
            seen = {row["writer"]: row["n"] for row in answer.rows}
            self.steps.append(([seen[writer] for writer in range(WRITERS)], now))

    def end(self):
        self._ended.set()
        self._thread.join()


def _published(folder: Path) -> list[tuple[dict, int]]:
    """What the files of a folder say and when they were published, by name."""
    return [(json.loads(file.read_text()), file.stat().st_ctime_ns) for file in sorted(folder.glob("*.json"))]


def _bronze_steps(lake: Lake, start: list[int]) -> list[tuple[int, list[int], int]]:
    """(commit LSN, markers, when) of each manifest."""
    reached, steps = list(start), []
    for manifest, when in _published(lake.path / "_tarn/bronze/changes"):
        for event in manifest["events"]:
            if "file" in event and "/marker/" in event["file"]["path"]:
                rows = pq.read_table(lake.path / event["file"]["path"], columns=["writer", "n"], partitioning=None)
                for row in rows.to_pylist():
                    reached[row["writer"]] = max(reached[row["writer"]], row["n"])
        steps.append((lsn_value(manifest["last_commit"]), list(reached), when))
    return steps


def _hudi_steps(lake: Lake, bronze: list[tuple[int, list[int], int]]) -> Steps:
    """The lake's versions, each with what Bronze held up to its position."""
    steps, at = [], 0
    for lsn, when in sorted((lsn_value(version["lsn"]), when) for version, when in _published(lake.path / "_tarn/versions")):
        while at + 1 < len(bronze) and bronze[at + 1][0] <= lsn:
            at += 1
        if bronze and bronze[at][0] <= lsn:
            steps.append((bronze[at][1], when))
    return steps


def _waits_ms(committed_ns: list[list[int]], before: list[int], steps: Steps) -> list[float]:
    """For each marker, from its commit to the first step that has it."""
    waits = []
    for writer, times in enumerate(committed_ns):
        at = 0
        for number, committed in enumerate(times, before[writer] + 1):
            while at < len(steps) and steps[at][0][writer] < number:
                at += 1
            if at == len(steps):
                raise RuntimeError(f"marker {number} of writer {writer} never came")
            waits.append((steps[at][1] - committed) / 1e6)
    return waits


@dataclass
class Measured:
    changes_per_s: float              # Which the generator reached.
    waits_ms: dict[str, list[float]]  # Of each marker, by stage; writer by writer, in the order of their commits.
    asked_s: list[float]              # What an answer took.
    drained_s: float                  # From the generator's end until Silver's files have all.
    cpu_s: float                # tarn's, from its start to then.


def measure_rate(bench: Bench, rate: int, rows: int, seconds: float) -> Measured:
    """One rate, in transactions of so many rows, with a lake of its own."""
    before = [row[0] for row in bench.sql("freshness", "SELECT n FROM marker ORDER BY writer")]
    lake = bench.lake("freshness")
    client = lake.start()
    lake.wait_streaming(client)
    looker = Looker(lake.connect())
    done = subprocess.run([sys.executable, "-m", "bench.marker_writer", bench.dsn("freshness"), str(rate), str(rows), str(seconds)],
                          cwd=ROOT, check=True, capture_output=True, text=True)
    ended = time.monotonic()
    lake.wait_caught_up(client)
    drained_s = time.monotonic() - ended
    cpu_s = cpu_seconds(lake.process.pid)
    time.sleep(0.5)  # The looker's last look.
    looker.end()
    lake.remove()
    written = json.loads(done.stdout)
    bronze = _bronze_steps(lake, before)
    waits = {stage: _waits_ms(written["committed_ns"], before, steps) for stage, steps in (
        ("bronze", [(reached, when) for _, reached, when in bronze]), ("queryable", looker.steps), ("hudi", _hudi_steps(lake, bronze)))}
    return Measured(written["changes_per_s"], waits, looker.waits_s, drained_s, cpu_s)


def create_markers(bench: Bench):
    if "markers" in bench.shared:
        return
    bench.create("freshness")
    for statement in SCHEMA.split(";"):
        bench.sql("freshness", statement)
    bench.shared["markers"] = True


def freshness(bench: Bench):
    create_markers(bench)
    for rate in (1_000,) if bench.smoke else ROWS_PER_TRANSACTION:
        rows = ROWS_PER_TRANSACTION[rate]
        seconds = 2 if bench.smoke else max(LEAST_S, MARKERS * rows / rate)
        measured = measure_rate(bench, rate, rows, seconds)
        if measured.changes_per_s < 0.95 * rate and not bench.smoke:
            print(f" (this machine's generator reached {measured.changes_per_s:,.0f} of {rate:,} changes/s: no figures for that rate)", end="")
            continue
        for stage, values in measured.waits_ms.items():
            for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999)):
                yield result(f"freshness.{rate}.{stage}.{name}_ms", percentile(values, share), "ms")
        yield result(f"freshness.{rate}.markers", len(measured.waits_ms["hudi"]), "markers")
        yield result(f"freshness.{rate}.look_ms", 1000 * median(measured.asked_s), "ms")
        yield result(f"freshness.{rate}.drained_s", measured.drained_s, "s")
