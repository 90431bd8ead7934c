"""Lets Spark with one bundle write to copies of tables that tarn wrote, and compares what both read after each step.

    python spark_changes.py BUNDLE_JAR FOLDER RESULT NAME,NAME

FOLDER/<table> are tables, FOLDER/histories.json is what the program that wrote them printed; the copies lie in FOLDER/changed. RESULT gets
{"<table>": {"<number> <step>": […what is not alike…]}}.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from matrix import CASES, Case  # noqa: E402
from oracle import History, View, active_commits, canonical  # noqa: E402
from other_readers import tarn_reads  # noqa: E402
from spark_views import failure, rows_of  # noqa: E402
from support.spark_session import start_spark  # noqa: E402
from tables import histories_of  # noqa: E402

# An upsert comes behind a compaction: the indexes that Spark has by default look for keys in base files alone, and tarn puts new ones
# into logs, so that Spark would insert such a row again.
STEPS = {"mor": ("update", "delete", "compact", "upsert", "update", "rollback", "cluster", "delete", "clean", "compact", "upsert"),
         "cow": ("update", "delete", "upsert", "rollback", "cluster", "update", "clean", "delete")}
SETTINGS = {"hoodie.metadata.enable": "false", "hoodie.embed.timeline.server": "false", "hoodie.compact.inline": "false", "hoodie.clean.automatic": "false",
            "hoodie.archive.automatic": "false", "hoodie.insert.shuffle.parallelism": "1", "hoodie.upsert.shuffle.parallelism": "1",
            "hoodie.delete.shuffle.parallelism": "1", "hoodie.bulkinsert.shuffle.parallelism": "1",
            "hoodie.write.complex.keygen.validation.enable": "false",
            # As often as it is asked: by itself Spark passes over a compaction with fewer than five commits since the last one.
            "hoodie.compact.inline.max.delta.commits": "1",
            # Otherwise clustering writes small decimals as integers, at which Spark's own next update of the file fails.
            "hoodie.parquet.writelegacyformat.enabled": "true"}
LATEST = View("latest")


class Copy:
    """One table's copy."""

    def __init__(self, spark, folder: Path, case: Case, history: History):
        self.spark, self.case, self.history = spark, case, history
        self.path = folder / "changed" / case.name
        shutil.copytree(folder / case.name, self.path)
        self.name = f"conformance.{case.name}"
        spark.sql(f"create table {self.name} using hudi location '{self.path}'")
        self.count = 0

    @property
    def newest(self) -> int:
        """Above every _lsn that is there."""
        self.count += 1
        return 10**6 + self.count

    def some(self, share: int) -> str:
        return f"pmod(hash(id, code, {self.count}), {share}) = 0"

    def update(self):
        self.spark.sql(f"update {self.name} set c_text = 'updated', c_money = 1.5, _lsn = {self.newest} where {self.some(4)}")

    def delete(self):
        self.count += 1
        self.spark.sql(f"delete from {self.name} where {self.some(6)}")

    def upsert(self):
        """By rows, whose keys Spark makes itself."""
        frame = self.spark.read.format("hudi").load(str(self.path))
        rows = frame.drop(*[name for name in frame.columns if name.startswith("_hoodie_")]).where(self.some(5))
        rows = rows.selectExpr(*[{"_lsn": f"bigint({self.newest}) as _lsn", "c_text": "concat('up ', coalesce(c_text, '')) as c_text"}.get(name, f"`{name}`") for name in rows.columns])
        options = {"hoodie.table.name": self.case.name, "hoodie.datasource.write.operation": "upsert",
                   "hoodie.datasource.write.table.type": "MERGE_ON_READ" if self.case.type == "mor" else "COPY_ON_WRITE"}
        rows.cache()
        rows.count()
        rows.write.format("hudi").options(**SETTINGS | options).mode("append").save(str(self.path))
        rows.unpersist()

    def compact(self):
        for operation in ("schedule", "run"):
            self.spark.sql(f"call run_compaction(op => '{operation}', path => '{self.path}')").collect()

    def cluster(self):
        self.spark.sql(f"call run_clustering(path => '{self.path}')").collect()

    def clean(self):
        self.spark.sql(f"call run_clean(table => '{self.name}', retain_commits => 1)").collect()

    def rollback(self):
        self.spark.sql(f"call rollback_to_instant(table => '{self.name}', instant_time => '{active_commits(self.path)[-1]}')").collect()

    def compare(self) -> list[str]:
        """What Spark reads and tarn does not, and the reverse."""
        self.spark.sql(f"refresh table {self.name}")
        columns = self.history.columns
        kinds = dict(columns) | dict.fromkeys(self.case.partitions, "folder")
        sides = [Counter(tuple(canonical(row.get(name), kinds[name]) for name, _ in columns) for row in rows)
                 for rows in (rows_of(self.spark, self.path, columns, LATEST), tarn_reads(self.path, columns, LATEST))]
        found = [f"only {reader}: {row}" for reader, row in [*(("Spark", row) for row in sides[0] - sides[1]), *(("tarn", row) for row in sides[1] - sides[0])]]
        at = [number for number, (name, _) in enumerate(columns) if name in self.case.identities]
        identities = Counter(tuple(row[number] for number in at) for row in sides[1].elements())
        return (found + [f"{identity} is there {count} times" for identity, count in identities.items() if count > 1])[:6]

    def run(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for number, step in enumerate(STEPS[self.case.type]):
            before = len(active_commits(self.path))
            try:
                getattr(self, step)()
                wrong = self.compare()
                if step in ("update", "delete", "upsert", "compact", "cluster") and len(active_commits(self.path)) <= before:
                    wrong.append("Spark made no commit")
            except Exception as error:  # noqa: BLE001 Told as what went wrong.
                wrong = [failure(error)]
            found[f"{number} {step}"] = wrong
        return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("jar")
    parser.add_argument("folder", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("names")
    arguments = parser.parse_args()
    histories = histories_of(arguments.folder)
    spark = start_spark(arguments.jar, arguments.folder / "_changed_warehouse", spark__sql__adaptive__enabled="false")
    for name, value in SETTINGS.items():
        spark.sql(f"set {name}={value}")
    spark.sql("create database conformance")  # As the tables' properties have it.
    result = {}
    for case in [case for case in CASES if case.name in arguments.names.split(",")]:
        begun = time.monotonic()
        result[case.name] = Copy(spark, arguments.folder, case, histories[case.name]).run()
        arguments.result.write_text(json.dumps(result))
        print(f"{case.name}: {time.monotonic() - begun:.1f} s", flush=True)
    spark.stop()


if __name__ == "__main__":
    main()
