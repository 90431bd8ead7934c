"""Makes Hudi tables with Spark and one bundle, and writes down what Spark reads from them, for every way of reading.

    python make_hudi_tables.py BUNDLE_JAR BUNDLE_VERSION FOLDER SEED [--all-hudi-tables] [--only NAME,NAME]

FOLDER/<table> is a table, FOLDER/<table>.json {"moments": […], "reads": [{"arguments": […], "rows": […]}]}. Needs no network.
"""

from __future__ import annotations

import argparse
import datetime
import decimal
import json
import os
import random
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from hudi_matrix import KEYGEN, Case, cases_of  # noqa: E402

from support.spark_session import start_spark  # noqa: E402

CITIES = ("oslo", "são/paulo", "a=b", "x y")
COUNTRIES = ("no", "br")
DAY = datetime.datetime(2026, 3, 1, tzinfo=datetime.timezone.utc)


def plain(value):
    """A value as JSON that the test compares; exact."""
    if isinstance(value, decimal.Decimal):
        return {"decimal": format(value, "f")}
    if isinstance(value, datetime.datetime):
        return {"time": value.replace(tzinfo=None).isoformat(timespec="microseconds")}
    if isinstance(value, datetime.date):
        return {"date": value.isoformat()}
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": bytes(value).hex()}
    if isinstance(value, (list, tuple)) and not hasattr(value, "asDict"):
        return [plain(item) for item in value]
    if hasattr(value, "asDict"):
        return {name: plain(item) for name, item in value.asDict().items()}
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return value


class Table:
    def __init__(self, spark, case: Case, folder: Path, bundle: str, seed: int):
        self.spark, self.case, self.bundle = spark, case, bundle
        self.path = str(folder / case.name)
        self.random = random.Random(f"{seed} {bundle} {case.name}")
        self.rows: dict[int, dict] = {}
        self.next_id, self.clock = 1, 0
        self.wide = False
        self.marks: list[str] = []  # Instants after each step.

    # Rows.
    def row(self, number: int) -> dict:
        self.clock += 1
        r, n = self.random, self.clock
        old = self.rows.get(number)
        row = {"id": number, "name": r.choice((f"name {n:05}", f"näme {n:05}", None if "name" not in self.order else f"{n}")),
               "country": old["country"] if old else r.choice(COUNTRIES), "city": old["city"] if old else r.choice(CITIES),
               "amount": decimal.Decimal(n * 100 + r.randrange(100)).scaleb(-2), "price": n + r.random(), "count": r.randrange(1000),
               "ts": 1772323200000 + n * 1000 * 60 * 30, "day": (DAY + datetime.timedelta(days=n)).date(),
               "at": DAY + datetime.timedelta(days=n, microseconds=r.randrange(10**6)), "flag": r.random() < .5,
               "data": r.randbytes(3), "small": r.random() * 10}
        if self.case.options.get("nested"):
            row |= {"tags": [f"t{n}", "x"] if n % 3 else None, "attributes": {"a": n} if n % 4 else {}, "place": {"x": n, "y": {"z": f"z{n}"}} if n % 5 else None,
                    "places": [{"x": n, "y": {"z": "q"}}] if n % 2 else []}
        if self.wide:
            row["more"] = f"more {n}"
        return row

    @property
    def order(self) -> str:
        return self.case.options.get("order", "ts")

    def schema(self) -> str:
        text = ("id int, name string, country string, city string, amount decimal(12,2), price double, count %s, ts bigint, day date, at timestamp, "
                "flag boolean, data binary, small %s") % (("bigint", "double") if self.wide else ("int", "float"))
        if self.case.options.get("nested"):
            text += ", tags array<string>, attributes map<string,int>, place struct<x: int, y: struct<z: string>>, places array<struct<x: int, y: struct<z: string>>>"
        return text + (", more string" if self.wide else "") + (", _hoodie_is_deleted boolean" if any("mark_deleted" in s for s in self.case.steps) else "")

    def frame(self, rows: list[dict]):
        from pyspark.sql.types import _parse_datatype_string
        schema = _parse_datatype_string(self.schema())
        return self.spark.createDataFrame([tuple(row.get(f.name) for f in schema.fields) for row in rows], schema).coalesce(1)

    # Writing.
    def options(self) -> dict[str, str]:
        case = self.case
        options = {"hoodie.table.name": case.name, "hoodie.datasource.write.table.type": "MERGE_ON_READ" if case.type == "mor" else "COPY_ON_WRITE",
                   "hoodie.datasource.write.recordkey.field": ",".join(case.keys), "hoodie.datasource.write.precombine.field": self.order,
                   "hoodie.datasource.write.partitionpath.field": ",".join(case.partitions), "hoodie.datasource.write.hive_style_partitioning": str(case.hive).lower(),
                   "hoodie.datasource.write.keygenerator.class": f"{KEYGEN}{case.keygen}KeyGenerator", "hoodie.datasource.write.partitionpath.urlencode": "true",
                   "hoodie.insert.shuffle.parallelism": "1", "hoodie.upsert.shuffle.parallelism": "1", "hoodie.bulkinsert.shuffle.parallelism": "1",
                   "hoodie.delete.shuffle.parallelism": "1", "hoodie.compact.inline": "false", "hoodie.datasource.compaction.async.enable": "false",
                   "hoodie.datasource.write.reconcile.schema": "true", "hoodie.metadata.enable": str(case.name.endswith("_default")).lower(), "hoodie.embed.timeline.server": "false",
                   "hoodie.table.timeline.timezone": "UTC", "hoodie.write.complex.keygen.validation.enable": "false",
                   "hoodie.schema.on.read.enable": "false", "hoodie.parquet.small.file.limit": "1048576"}
        options |= {key: value for key, value in case.options.items() if key.startswith("hoodie")}
        if case.version:
            options["hoodie.write.table.version"] = str(case.version)
            options["hoodie.write.auto.upgrade"] = "false"
        return options

    def write(self, rows: list[dict], operation: str, **more: str):
        mode = "append" if os.path.exists(self.path) else "overwrite"
        self.frame(rows).write.format("hudi").options(**self.options() | more).option("hoodie.datasource.write.operation", operation).mode(mode).save(self.path)

    def some(self, share: float = .3) -> list[int]:
        numbers = sorted(self.rows)
        return sorted(self.random.sample(numbers, max(1, int(len(numbers) * share))))

    def insert(self):
        rows = [self.row(number) for number in range(self.next_id, self.next_id + 30)]
        self.next_id += 30
        self.rows |= {row["id"]: row for row in rows}
        self.write(rows, "insert" if self.marks else "bulk_insert")

    def upsert(self):
        rows = [self.row(number) for number in self.some()] + [self.row(number) for number in range(self.next_id, self.next_id + 4)]
        self.next_id += 4
        self.rows |= {row["id"]: row for row in rows}
        self.write(rows, "upsert")

    def upsert_same_ts(self):
        rows = [self.row(number) | {"ts": self.rows[number]["ts"]} for number in self.some()]
        self.write(rows, "upsert")

    def late(self):
        """Some rows whose ordering value is lower than what is there."""
        rows = []
        for number in self.some(.5):
            row = self.row(number)
            if self.random.random() < .7:
                for column, low in (("ts", row["ts"] - 10**11), ("name", "+" + str(self.clock)), ("price", -row["price"]), ("amount", -row["amount"]), ("day", datetime.date(1999, 1, 1))):
                    if column in self.order.split(","):
                        row[column] = low
            rows.append(row)
        self.write(rows, "upsert")

    def sparse(self, late: bool = False):
        rows = []
        for number in self.some(.5):
            row = self.row(number)
            for column in ("name", "amount", "count", "day", "flag", "data"):
                if self.random.random() < .5:
                    row[column] = None
            if late and self.random.random() < .6:
                row["ts"] -= 10**11
            rows.append(row)
        self.write(rows, "upsert")

    def late_sparse(self):
        self.sparse(True)

    def widen(self):
        self.wide = True
        self.upsert()

    def delete(self, numbers: list[int] | None = None):
        numbers = numbers or self.some(.2)
        rows = [self.row(number) for number in numbers]
        for number in numbers:
            del self.rows[number]
        self.write(rows, "delete")

    def delete_all(self):
        self.delete(sorted(self.rows))

    def mark_deleted(self):
        self.write([self.row(number) | {"_hoodie_is_deleted": self.random.random() < .6} for number in self.some()], "upsert")

    def mark_gone(self):
        self.write([self.row(number) | {"name": self.random.choice(("gone", "stays"))} for number in self.some()], "upsert")

    def overwrite(self):
        city = self.random.choice(sorted({row["city"] for row in self.rows.values()}))
        rows = [self.row(number) for number, row in self.rows.items() if row["city"] == city][:5]
        self.rows = {number: row for number, row in self.rows.items() if row["city"] != city} | {row["id"]: row for row in rows}
        self.write(rows, "insert_overwrite")

    def overwrite_table(self):
        rows = [self.row(number) for number in sorted(self.rows)[:12]]
        self.rows = {row["id"]: row for row in rows}
        self.write(rows, "insert_overwrite_table")

    def delete_partition(self):
        city = next(iter(self.rows.values()))["city"]
        self.rows = {number: row for number, row in self.rows.items() if row["city"] != city}
        from urllib.parse import quote
        self.write([self.row(10**6)], "delete_partition", **{"hoodie.datasource.write.partitions.to.delete": quote(city, safe=" ")})

    def merge_into(self):
        name = self.sql_table()
        self.frame([self.row(number) for number in self.some(.5)]).createOrReplaceTempView("changes")
        self.spark.sql(f"merge into {name} t using changes s on t.id = s.id when matched then update set ts = s.ts, price = s.price, name = s.name")

    # Services.
    def call(self, text: str):
        return self.spark.sql(f"call {text}").collect()

    def compact(self):
        self.plan_compaction()
        self.call(f"run_compaction(op => 'run', path => '{self.path}')")

    def plan_compaction(self):
        self.call(f"run_compaction(op => 'schedule', path => '{self.path}')")

    def cluster(self):
        self.call(f"run_clustering(path => '{self.path}', op => 'scheduleandexecute')" if self.bundle != "0.15.0" else f"run_clustering(path => '{self.path}')")

    def sql_table(self) -> str:
        name = f"t_{self.case.name}"
        self.spark.sql(f"create table if not exists {name} using hudi location '{self.path}'")
        return name

    def rollback(self):
        self.call(f"rollback_to_instant(table => '{self.sql_table()}', instant_time => '{self.commits()[-1][0]}')")
        self.marks.pop()

    def savepoint(self):
        self.saved = self.commits()[-1][0]
        self.call(f"create_savepoint(path => '{self.path}', commit_time => '{self.saved}')")

    def restore(self):
        self.call(f"rollback_to_savepoint(path => '{self.path}', instant_time => '{self.saved}')")
        self.marks = [mark for mark in self.marks if mark <= self.saved]

    def commits(self) -> list[tuple[str, str]]:
        """Requested and completion time of completed commits."""
        folder = Path(self.path) / ".hoodie"
        names = [p.name for f in (folder, folder / "timeline") if f.is_dir() for p in f.iterdir()
                 if p.suffix in (".commit", ".deltacommit", ".replacecommit") and not p.name.startswith(".")]
        return sorted((name.split(".")[0].split("_")[0], name.split(".")[0].split("_")[-1]) for name in names)

    # Reading.
    def read(self, **options: str) -> list[dict]:
        frame = self.spark.read.format("hudi").options(**options).load(self.path)
        return [{name: plain(value) for name, value in zip(frame.columns, row)} for row in frame.collect()]

    def reads(self):
        commits = self.commits()
        yield [], {}
        if self.case.type == "mor":
            yield ["--read-optimized"], {"hoodie.datasource.query.type": "read_optimized"}
        marks = [mark for mark in self.marks if mark in {c[0] for c in commits}]
        for mark in sorted({marks[0], marks[len(marks) // 2], marks[-1]} if marks else ()):
            yield ["--as-of", mark], {"as.of.instant": mark}
        if "merge_into" in self.case.steps and self.bundle == "1.2.0":
            return  # An incremental read of partial updates ends Spark's process.
        times = sorted(c[1] for c in commits if c[0] in marks)
        incremental = {"hoodie.datasource.query.type": "incremental"}
        new = self.bundle != "0.15.0"
        ranges = {(times[0], times[-1]), (times[len(times) // 2], times[-1]), (times[0], times[len(times) // 2])} if len(times) > 1 else set()
        for begin, end in sorted(ranges):
            limits = {"hoodie.datasource.read.begin.instanttime": begin, "hoodie.datasource.read.end.instanttime": end}
            yield ["--since", begin, "--until", end], incremental | limits
            if "hoodie.table.cdc.enabled" in self.case.options:
                yield ["--changes", "--since", begin, "--until", end], incremental | limits | {"hoodie.datasource.query.incremental.format": "cdc"}

    def make(self) -> dict:
        for step in self.case.steps:
            getattr(self, step)()
            newest = self.commits()[-1][0]
            if not self.marks or self.marks[-1] != newest:
                self.marks.append(newest)
        reads = []
        for arguments, options in self.reads():
            try:
                reads.append({"arguments": arguments, "rows": self.read(**options)})
            except Exception as error:  # noqa: BLE001 What Spark itself refuses is written down as that.
                reads.append({"arguments": arguments, "refused": str(error).strip().split("\n")[0][:300]})
        return {"commits": self.commits(), "marks": self.marks, "reads": reads}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("jar")
    parser.add_argument("bundle")
    parser.add_argument("folder", type=Path)
    parser.add_argument("seed", type=int)
    parser.add_argument("--all-hudi-tables", action="store_true")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    spark = start_spark(arguments.jar, arguments.folder / "warehouse")
    wanted = [name for name in arguments.only.split(",") if name]
    for case in cases_of(arguments.bundle, arguments.all_hudi_tables or bool(wanted), arguments.seed):
        if wanted and case.name not in wanted:
            continue
        begun = time.monotonic()
        try:
            made = Table(spark, case, arguments.folder, arguments.bundle, arguments.seed).make()
        except Exception:  # noqa: BLE001 The test of this table fails with it; the others go on.
            made = {"failed": traceback.format_exc()[:6000]}
        (arguments.folder / f"{case.name}.json").write_text(json.dumps(made))
        print(f"{case.name}: {time.monotonic() - begun:.1f} s{' FAILED' if 'failed' in made else ''}", flush=True)
    spark.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
