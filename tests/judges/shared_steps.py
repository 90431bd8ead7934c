"""Spark with one bundle, under optimistic concurrency control, and tarn write to one table, in turns and at once; writes down what is not as it must be.

    python shared_steps.py BUNDLE_JAR BUNDLE_VERSION FOLDER

FOLDER/shared.json gets {"<scenario>": [… what is wrong …]}. Needs no network.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from savepoint_steps import SETTINGS, Bench  # noqa: E402

from support.spark_session import start_spark  # noqa: E402
from support.tarn import hudi_rows, tarn_binary  # noqa: E402

# What docs/formats/hudi.md asks of a writer beside tarn.
BESIDE_TARN = SETTINGS | {
    "hoodie.write.concurrency.mode": "optimistic_concurrency_control", "hoodie.cleaner.policy.failed.writes": "LAZY", "hoodie.clean.failed.writes.policy": "LAZY",
    "hoodie.write.lock.provider": "org.apache.hudi.client.transaction.lock.FileSystemBasedLockProvider", "hoodie.write.lock.filesystem.expire": "10",
    "hoodie.write.lock.wait_time_ms": "2000", "hoodie.write.lock.num_retries": "30", "hoodie.write.lock.client.wait_time_ms": "100", "hoodie.write.lock.client.num_retries": "200",
    "hoodie.index.type": "SIMPLE"}
CONFLICTS = ("ConcurrentModificationException", "HoodieWriteConflictException", "Cannot resolve conflicts")
COUNT = 12  # Rows of one write.
FIRST = 9000  # Ids from here on are in base files before both begin: the index that Spark has here looks at nothing else.


class TarnWriter:
    """tarn, told line by line."""

    def __init__(self, path: Path, folder: Path):
        folder.mkdir()
        program = Path(tarn_binary()).resolve().parent / "hudi_shared_writer"
        self.process = subprocess.Popen([program, path, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, line: str) -> tuple[str, str]:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        assert answer, f"tarn ended at {line!r}"
        kind, _, rest = answer.partition(" ")
        return kind, rest

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(60) == 0


class Shared:
    """A table with what was acknowledged: by row, the newest write that it was in."""

    def __init__(self, bench: Bench, scenario: str):
        self.bench, self.path, self.folder = bench, bench.copy(scenario, "mor"), bench.folder / scenario
        self.frame_schema = bench.spark.read.format("hudi").load(str(self.path)).schema
        self.newest: dict[int, tuple[str, str]] = {}
        self.lock = threading.Lock()
        self.commits, self.conflicts = {"tarn": 0, "spark": 0}, {"tarn": 0, "spark": 0}
        self.wrong: list[str] = []
        for tenant in range(3):
            assert self.spark(tenant, "begin"), self.wrong

    @staticmethod
    def numbers(tenant: int) -> range:
        return range(FIRST + tenant, FIRST + tenant + 3 * COUNT, 3)

    def _acknowledge(self, who: str, instant: str, tenant: int, name: str):
        with self.lock:
            self.commits[who] += 1
            for number in self.numbers(tenant):
                # Commits to one file group complete in the order of their instants, or one of them fails.
                self.newest[number] = max(self.newest.get(number, ("", "")), (instant, name))

    def tarn(self, writer: TarnWriter, tenant: int, name: str) -> bool:
        kind, rest = writer.tell(f"upsert {self.numbers(tenant).start} {COUNT} {name} {time.time_ns() // 1000}")
        if kind == "done":
            self._acknowledge("tarn", rest, tenant, name)
            return True
        if kind != "conflict" and "is not after" not in rest:
            self.wrong.append(f"tarn: {kind} {rest}")
        self.conflicts["tarn"] += 1
        return False

    def spark(self, tenant: int, name: str) -> bool:
        lsn = time.time_ns() // 1000
        known = {"id": lambda number: number, "tenant_id": lambda number: number % 3, "_lsn": lambda number: lsn, "name": lambda number: name}
        fields = [field for field in self.frame_schema.fields if not field.name.startswith("_hoodie_")]
        rows = [tuple(known[field.name](number) if field.name in known else None for field in fields) for number in self.numbers(tenant)]
        frame = self.bench.spark.createDataFrame(rows, type(self.frame_schema)(fields))
        before = self._spark_instants()
        try:
            frame.write.format("hudi").options(**BESIDE_TARN | {
                "hoodie.table.name": "mor", "hoodie.datasource.write.operation": "upsert", "hoodie.datasource.write.table.type": "MERGE_ON_READ"}).mode("append").save(str(self.path))
        except Exception as error:
            if not any(word in str(error) for word in CONFLICTS):
                self.wrong.append(f"Spark: {str(error)[:600]}")
            self.conflicts["spark"] += 1
            return False
        made = self._spark_instants() - before
        if len(made) != 1:
            self.wrong.append(f"Spark made {sorted(made)}")
            return False
        self._acknowledge("spark", made.pop(), tenant, name)
        return True

    def _spark_instants(self) -> set[str]:
        """Told by the names of their files."""
        found = set()
        for path in (self.path / ".hoodie").glob("2*.deltacommit"):
            stats = [stat for some in json.loads(path.read_text())["partitionToWriteStats"].values() for stat in some]
            if not all(_is_ours(stat["path"]) for stat in stats):
                found.add(path.name.split(".")[0])
        return found

    def check(self, what: str):
        rows = {row["id"]: row for row in hudi_rows(self.path, [])}
        lost = {number: (rows.get(number, {}).get("name"), name) for number, (_, name) in self.newest.items() if rows.get(number, {}).get("name") != name}
        if lost:
            self.wrong.append(f"{what}: {len(lost)} rows are not what was acknowledged last, such as {list(lost.items())[:3]}")
        self.wrong += self.bench.compare(self.path, None, what)


def _is_ours(path: str) -> bool:
    """Log files of tarn have a token of their commit's time; base files 0-0-0."""
    name = path.rsplit("/", 1)[-1]
    return name.split("_")[1] == "0-0-0" if name.endswith(".parquet") else re.match(r"0-\d{5}-", name.rsplit("_", 1)[-1]) is not None


def in_turns(bench: Bench) -> tuple[list[str], Shared]:
    shared = Shared(bench, "in_turns")
    writer = TarnWriter(shared.path, shared.folder / "writer")
    for turn in range(3):
        # Tarn has not looked since: its first try meets what Spark wrote.
        if not shared.spark(turn % 3, f"spark{turn}"):
            shared.wrong.append(f"turn {turn}: Spark met a conflict with nobody")
        if shared.tarn(writer, turn % 3, f"unaware{turn}"):
            shared.wrong.append(f"turn {turn}: tarn overwrote what it had not seen")
        if not shared.tarn(writer, turn % 3, f"tarn{turn}"):
            shared.wrong.append(f"turn {turn}: tarn's second try failed")
        shared.check(f"turn {turn}")
    kind, rest = writer.tell("compact")
    if kind != "done" or rest == "-":
        shared.wrong.append(f"compaction: {kind} {rest}")
    shared.check("compaction")
    if not shared.spark(0, "last"):
        shared.wrong.append("Spark failed behind the compaction")
    shared.check("behind the compaction")
    writer.close()
    return shared.wrong, shared


def at_once(bench: Bench) -> tuple[list[str], Shared]:
    shared = Shared(bench, "at_once")
    writer, stop = TarnWriter(shared.path, shared.folder / "writer"), threading.Event()

    def write():
        for turn in range(10_000):
            if stop.is_set():
                return
            # Of three partitions two, and now and then the one that Spark mostly writes to.
            tenant = 2 if turn % 12 == 11 else turn % 2
            shared.tarn(writer, tenant, f"tarn{turn}")
            stop.wait(0.1)
    thread = threading.Thread(target=write)
    thread.start()
    try:
        for turn in range(8):
            tenant = 1 if turn % 4 == 3 else 2
            shared.spark(tenant, f"spark{turn}")
    finally:
        stop.set()
        thread.join()
    if not shared.commits["spark"] or not shared.commits["tarn"]:
        shared.wrong.append(f"not both wrote: {shared.commits}, conflicts {shared.conflicts}")
    writer.tell("refresh")
    shared.check("at once")
    writer.close()
    left = [path.name for path in (shared.path / ".hoodie").glob("*.inflight") if not (path.parent / path.name.replace(".inflight", "")).exists()]
    if [name for name in left if not name.endswith("rollback.inflight")] and not shared.conflicts["spark"]:
        shared.wrong.append(f"left: {left}")
    return shared.wrong, shared


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("jar")
    parser.add_argument("bundle")
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    spark = start_spark(given.jar, given.folder / "warehouse")
    bench, found = Bench(spark, given.bundle, given.folder), {}
    for scenario in (in_turns, at_once):
        try:
            found[scenario.__name__], shared = scenario(bench)
            print(scenario.__name__, "commits", shared.commits, "conflicts", shared.conflicts, flush=True)
        except Exception:
            found[scenario.__name__] = [traceback.format_exc()[-3000:]]
    (given.folder / "shared.json").write_text(json.dumps(found, indent=1))
    spark.stop()


if __name__ == "__main__":
    main()
