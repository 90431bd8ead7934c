"""Savepoints, restores and plans of compactions that tarn and Spark with one bundle make for each other; writes down what is not as it must be.

    python savepoint_steps.py BUNDLE_JAR BUNDLE_VERSION FOLDER [--only SCENARIO…]

FOLDER/savepoints.json gets {"<scenario> <table>": […what is wrong…]}. Needs no network.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.sample_tables import Rows, as_sample, write_sample_tables  # noqa: E402
from support.spark_session import start_spark  # noqa: E402
from support.tarn import hudi_rows, tarn_binary  # noqa: E402

SETTINGS = {"hoodie.metadata.enable": "false", "hoodie.embed.timeline.server": "false", "hoodie.compact.inline": "false", "hoodie.clean.automatic": "false",
            "hoodie.archive.automatic": "false", "hoodie.compact.inline.max.delta.commits": "1", "hoodie.upsert.shuffle.parallelism": "1", "hoodie.delete.shuffle.parallelism": "1",
            "hoodie.write.complex.keygen.validation.enable": "false", "hoodie.write.table.version": "6", "hoodie.write.auto.upgrade": "false"}
COLUMNS = "id, tenant_id, name, cast(amount as string) amount, _lsn"
# Of the sample's moments, the one that is saved: behind a compaction, with logs, before a reload of everything and commits larger than memory.
SAVED = {"mor": 9, "flat": 9, "cow": 2}


# Said of the logs that Spark itself writes behind the plan of a compaction; tarn's tokens have the day of the commit.
WITHOUT_BASE = re.compile(r"log\.\d+_(?!0-\d{5}-)[-\d]+' without its baseFile")


def example(found: Rows, expected: Rows) -> str:
    differing = [number for number in sorted(found.keys() | expected.keys()) if found.get(number) != expected.get(number)]
    return "".join(f"; {number}: {found.get(number)}, not {expected.get(number)}" for number in differing[:3]) + f" ({len(differing)} differ)"


def run(*arguments) -> str:
    done = subprocess.run([str(argument) for argument in arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{' '.join(map(str, arguments))}: {done.stdout}{done.stderr}"
    return done.stdout


def tarn(command: str, *arguments) -> str:
    return run(tarn_binary(), "hudi", command, *arguments)


class Bench:
    """One Spark, and tables that it and tarn write in turn."""

    def __init__(self, spark, bundle: str, folder: Path):
        self.spark, self.bundle, self.folder = spark, bundle, folder
        self.sample = write_sample_tables(folder / "sample")

    def copy(self, scenario: str, table: str) -> Path:
        """A lake's worth of folders with one table; Spark 1.x takes the time of a timeline's file for that of its completion."""
        target = self.folder / scenario
        shutil.copytree(self.folder / "sample" / table, target / table)
        if table != "cow":
            shutil.copytree(self.folder / "sample/_tarn" / table, target / "_tarn" / table)
        for path in (target / table / ".hoodie").glob("2*"):
            then = datetime.datetime.strptime(path.name[:14], "%Y%m%d%H%M%S").replace(tzinfo=datetime.timezone.utc).timestamp()
            os.utime(path, (then, then))
        return target / table

    def call(self, text: str):
        return self.spark.sql(f"call {text}").collect()

    def name(self, path: Path) -> str:
        name = self.own(path)
        self.spark.sql(f"create table if not exists {name} using hudi location '{path}'")
        self.spark.sql(f"refresh table {name}")
        return name

    def spark_rows(self, path: Path, **options: str) -> Rows:
        self.spark.catalog.clearCache()
        frame = self.spark.read.format("hudi").options(**options).load(str(path)).selectExpr(*[part.strip() for part in COLUMNS.split(",")])
        return as_sample([row.asDict() for row in frame.collect()])

    def compare(self, path: Path, expected: Rows | None, what: str) -> list[str]:
        """What Spark and tarn read, against each other or what is known."""
        theirs, ours = self.spark_rows(path), as_sample(hudi_rows(path, []))
        wrong = []
        if expected is not None and theirs != expected:
            wrong.append(f"{what}: Spark reads {len(theirs)} rows, not the {len(expected)} of then{example(theirs, expected)}")
        known = theirs if expected is None else expected
        if ours != known:
            wrong.append(f"{what}: tarn reads {len(ours)} rows, not the {len(known)} of then or of Spark{example(ours, known)}")
        check = subprocess.run([tarn_binary(), "hudi", "check", str(path), "--json"], capture_output=True, text=True, timeout=120)
        report = json.loads(check.stdout)[0] if check.stdout else {"faults": [{"where": "check", "what": check.stderr}]}
        return wrong + [f"{what}: {fault['where']}: {fault['what']}" for fault in report["faults"] if not WITHOUT_BASE.search(fault["what"])][:5]

    def write(self, frame, path: Path, operation: str, is_mor: bool):
        properties = (path / ".hoodie/hoodie.properties").read_text().splitlines()
        name, = [line.partition("=")[2] for line in properties if line.startswith("hoodie.table.name=")]
        frame.write.format("hudi").options(**SETTINGS | {
            "hoodie.table.name": name, "hoodie.datasource.write.operation": operation,
            "hoodie.datasource.write.table.type": "MERGE_ON_READ" if is_mor else "COPY_ON_WRITE"}).mode("append").save(str(path))

    def compact(self, path: Path):
        for operation in ("schedule", "run"):
            self.call(f"run_compaction(op => '{operation}', path => '{path}')")

    def plans(self, path: Path) -> list[str]:
        return sorted(plan.name.split(".")[0] for plan in (path / ".hoodie").glob("2*.compaction.requested"))

    def go_on(self, path: Path, is_mor: bool) -> list[str]:
        """Spark writes on."""
        name, wrong = self.name(path), []
        steps = [f"update {name} set name = 'up', _lsn = 3000001 where id % 5 = 1", f"delete from {name} where id % 7 = 2"]
        for step in steps:
            before = self.spark_rows(path)
            self.spark.sql(step)
            wrong += self.compare(path, None, step.split()[0])
            if self.spark_rows(path) == before:
                wrong.append(f"{step} changed nothing")
        if is_mor:
            before, plans = self.spark_rows(path), len(self.plans(path))
            self.compact(path)
            if len(self.plans(path)) == plans:
                wrong.append("Spark planned no compaction")
            wrong += self.compare(path, before, "compaction")
        frame = self.spark.read.format("hudi").load(str(path))
        frame = frame.drop(*[column for column in frame.columns if column.startswith("_hoodie_")]).where("id % 3 = 0")
        changed = frame.selectExpr(*[{"_lsn": "bigint(4000000) as _lsn", "name": "concat('upsert ', id) as name"}.get(column, column) for column in frame.columns])
        rows = changed.collect()  # Not read again while the table is written.
        frame = self.spark.createDataFrame(rows, changed.schema)
        self.write(frame, path, "upsert", is_mor)
        if sum(row[3] == 4000000 for row in self.spark_rows(path).values()) != len(rows):
            wrong.append(f"of {len(rows)} rows upserted not all are there once")
        return wrong + self.compare(path, None, "upsert")

    # Scenarios.
    def spark_sees_and_restores_ours(self, path: Path, instant: str, rows: Rows) -> list[str]:
        tarn("savepoint", path, "--at", instant, "--comment", "before the import")
        shown = [row.asDict() for row in self.call(f"show_savepoints(path => '{path}')")]
        wrong = [] if [row["savepoint_time"] for row in shown] == [instant] else [f"Spark shows {shown}"]
        self.call(f"rollback_to_savepoint(path => '{path}', instant_time => '{instant}')")
        return wrong + self.compare(path, rows, "Spark's restore")

    def spark_goes_on_after_ours(self, path: Path, instant: str, rows: Rows) -> list[str]:
        tarn("savepoint", path, "--at", instant)
        tarn("restore", path, "--to", instant)
        wrong = self.compare(path, rows, "tarn's restore") + self.go_on(path, path.name != "cow")
        # And back once more, over what Spark wrote.
        tarn("restore", path, "--to", instant)
        return wrong + self.compare(path, rows, "tarn's second restore")

    def spark_s_savepoint_outlives_our_clean(self, path: Path, instant: str, rows: Rows) -> list[str]:
        self.call(f"create_savepoint(path => '{path}', commit_time => '{instant}')")
        listed = json.loads(tarn("savepoint", path, "--list", "--json"))
        wrong = [] if [one["instant"] for one in listed] == [instant] else [f"tarn lists {listed}"]
        before = self.spark_rows(path)
        self.sample_program(path, "--services")
        if not list((path / ".hoodie").glob("*.clean")):
            wrong.append("nothing was cleaned")
        wrong += self.compare(path, before, "after the clean")
        if as_sample(hudi_rows(path, ["--as-of", instant])) != rows:
            wrong.append("tarn does not read the savepoint as of then")
        self.call(f"rollback_to_savepoint(path => '{path}', instant_time => '{instant}')")
        return wrong + self.compare(path, rows, "Spark's restore behind the clean")

    # Tables of Spark's.
    def make(self, path: Path, kind: str):
        text = ", ".join(f"{key} = '{value}'" for key, value in {
            "type": kind, "primaryKey": "id", "preCombineField": "_lsn", **SETTINGS}.items())
        self.spark.sql(f"create table {self.own(path)} (id bigint, name string, amount decimal(12,2), _lsn bigint, tenant_id bigint) using hudi "
                       f"tblproperties ({text}) partitioned by (tenant_id) location '{path}'")

    def own(self, path: Path) -> str:
        return f"sample.{path.parent.name}_{path.name}"  # The database is that of the sample's properties.

    def insert(self, path: Path, first: int, count: int, tag: str, how: str = "insert into"):
        self.spark.sql(f"{how} {self.own(path)} select id, concat('{tag} ', id) name, cast(id as decimal(12,2)) amount, bigint({first}) _lsn, id % 3 tenant_id "
                       f"from range({first}, {first + count})")

    def restores_what_spark_wrote(self, path: Path, kind: str) -> list[str]:
        """Updates, a compaction, a replaced partition, a rollback after the savepoint."""
        self.make(path, kind)
        self.insert(path, 1, 60, "first")
        self.spark.sql(f"update {self.own(path)} set name = 'up', _lsn = 1000 where id % 4 = 0")
        saved = max(one.name.split(".")[0] for one in (path / ".hoodie").glob("2*commit"))
        rows = self.spark_rows(path)
        tarn("savepoint", path, "--at", saved)
        wrong: list[str] = []
        self.insert(path, 100, 30, "second")
        if kind == "mor":
            self.compact(path)
        self.spark.sql(f"update {self.own(path)} set name = 'down', _lsn = 2000 where id % 3 = 0")
        newest = max(one.name.split(".")[0] for one in (path / ".hoodie").glob("2*commit"))
        if self.bundle == "0.15.0":  # 1.2.0 looks for the timeline where version 8 has it.
            self.call(f"rollback_to_instant(table => '{self.own(path)}', instant_time => '{newest}')")
        over = self.spark.sql("select id, 'over' name, cast(1.5 as decimal(12,2)) amount, bigint(3000) _lsn, bigint(1) tenant_id from range(500, 510)")
        self.write(over, path, "insert_overwrite", kind == "mor")
        if not list((path / ".hoodie").glob("*.replacecommit")):
            wrong.append("Spark replaced nothing")
        self.spark.sql(f"delete from {self.own(path)} where id % 5 = 0")
        wrong += self.compare(path, None, "before the restore")
        if self.spark_rows(path) == rows:
            wrong.append("nothing was changed")
        tarn("restore", path, "--to", saved)
        wrong += self.compare(path, rows, "tarn's restore")
        self.spark.sql(f"refresh table {self.own(path)}")
        return wrong + self.go_on(path, kind == "mor")

    def reads_what_spark_restored(self, path: Path, kind: str) -> list[str]:
        self.make(path, kind)
        self.insert(path, 1, 60, "first")
        self.spark.sql(f"update {self.own(path)} set name = 'up', _lsn = 1000 where id % 4 = 0")
        saved = max(one.name.split(".")[0] for one in (path / ".hoodie").glob("2*commit"))
        rows = self.spark_rows(path)
        self.call(f"create_savepoint(path => '{path}', commit_time => '{saved}')")
        self.insert(path, 100, 30, "second")
        self.spark.sql(f"delete from {self.own(path)} where id % 5 = 0")
        cut_off = shutil.copytree(path, path.with_name(f"{kind}_cut_off"))
        self.call(f"rollback_to_savepoint(path => '{path}', instant_time => '{saved}')")
        wrong = self.compare(path, rows, "Spark's restore") + self.finish_for_spark(path, cut_off, saved, rows)
        tarn("savepoint", path, "--delete", "--at", saved)
        if self.call(f"show_savepoints(path => '{path}')"):
            wrong.append("Spark still shows the savepoint that tarn deleted")
        return wrong + self.compare(path, rows, "without the savepoint")

    def finish_for_spark(self, path: Path, cut_off: Path, saved: str, rows: Rows) -> list[str]:
        """As if Spark had died when the newest commit was no longer to be seen."""
        for state in ("requested", "inflight"):
            for begun in (path / ".hoodie").glob(f"2*.restore.{state}"):
                shutil.copy2(begun, cut_off / ".hoodie")
        newest = max(one.name for one in (cut_off / ".hoodie").glob("2*commit"))
        (cut_off / ".hoodie" / newest).unlink()
        wrong = [] if as_sample(hudi_rows(cut_off, [])) == rows else ["tarn does not read a restore under way as done"]
        tarn("restore", cut_off, "--to", saved)
        if not list((cut_off / ".hoodie").glob("2*.restore")):
            wrong.append("tarn did not go on with Spark's restore")
        return wrong + self.compare(cut_off, rows, "Spark's restore that tarn ended")

    # Plans of compactions.
    def tarn_makes_what_spark_planned(self, path: Path, kind: str) -> list[str]:
        """Of a table of Spark's, with Spark's changes behind the plan; then of the sample, with both writers'."""
        if kind == "spark":
            self.make(path, "mor")
            self.insert(path, 1, 60, "first")
            self.spark.sql(f"update {self.own(path)} set name = 'up', _lsn = 1000 where id % 4 = 0")
        name, known = self.name(path), self.plans(path)
        self.call(f"run_compaction(op => 'schedule', path => '{path}')")
        plan, = set(self.plans(path)) - set(known)
        self.spark.sql(f"update {name} set name = 'behind', _lsn = 1500000 where id % 3 = 0")
        self.spark.sql(f"delete from {name} where id % 5 = 0")
        wrong = self.compare(path, None, "Spark behind the plan")
        if not list(path.rglob(f".*_{plan}.log.*")):
            wrong.append("Spark wrote nothing behind its plan")
        if kind != "spark":
            before = self.spark_rows(path)
            self.sample_program(path, "--upsert")
            wrong += self.compare(path, None, "tarn behind the plan")
            if sum(row[3] == 1600000 for row in self.spark_rows(path).values()) != 60 or before == self.spark_rows(path):
                wrong.append("not all of tarn's rows are there")
            if not list(path.rglob(f".*_{plan}.log.*_0-*")):
                wrong.append("tarn wrote nothing behind the plan")
        before = self.spark_rows(path)
        self.sample_program(path, "--services")
        wrong += self.compare(path, before, "the plan made by tarn")
        if not (path / f".hoodie/{plan}.commit").exists():
            wrong.append("the plan was not made")
        return wrong + self.go_on(path, True)

    def sample_program(self, path: Path, what: str):
        run(Path(tarn_binary()).resolve().parent / "hudi_sample", path.parent, what, path.name)

    def run(self, only: list[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}

        def attempt(name: str, action):
            if only and name not in only:
                return
            begun = time.monotonic()
            try:
                found[name] = action()
            except Exception:  # noqa: BLE001 Told as what went wrong.
                error = traceback.format_exc()
                found[name] = [error[:2500] + " … " + error[-500:]]
            print(f"{name}: {time.monotonic() - begun:.1f} s, {len(found[name])} wrong", flush=True)
        for scenario in ("spark_sees_and_restores_ours", "spark_goes_on_after_ours", "spark_s_savepoint_outlives_our_clean"):
            for table in SAVED:
                if table == "cow" and scenario == "spark_s_savepoint_outlives_our_clean":
                    continue  # Its partitions are replaced whole: the sample has nothing to compact.
                instant, rows = self.sample.moments[table][SAVED[table]]
                attempt(f"{scenario} {table}", lambda: getattr(self, scenario)(self.copy(scenario, table), instant, rows))
        for scenario in ("restores_what_spark_wrote", "reads_what_spark_restored"):
            for kind in ("mor", "cow"):
                attempt(f"{scenario} {kind}", lambda: getattr(self, scenario)(self.folder / scenario / kind, kind))
        scenario = "tarn_makes_what_spark_planned"
        attempt(f"{scenario} spark", lambda: self.tarn_makes_what_spark_planned(self.folder / scenario / "own", "spark"))
        for table in ("mor", "flat"):
            attempt(f"{scenario} {table}", lambda: self.tarn_makes_what_spark_planned(self.copy(scenario, table), table))
        return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("jar")
    parser.add_argument("bundle")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", help="these scenarios, each with its table")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    spark = start_spark(arguments.jar, arguments.folder / "_warehouse", spark__sql__adaptive__enabled="false")
    for name, value in SETTINGS.items():
        spark.sql(f"set {name}={value}")
    spark.sql("create database if not exists sample")  # As the tables' properties have it.
    found = Bench(spark, arguments.bundle, arguments.folder).run(arguments.only)
    (arguments.folder / "savepoints.json").write_text(json.dumps(found, indent=1))
    spark.stop()


if __name__ == "__main__":
    main()
