"""Reads tables that tarn wrote with Spark and one bundle, in every way, and says what is not as the oracle has it.

    python spark_views.py BUNDLE_JAR BUNDLE_VERSION FOLDER SEED RESULT

FOLDER/<table> are tables, FOLDER/histories.json is what the program that wrote them printed. RESULT gets {"<table>": {"<view>": {"seconds": …, "wrong": […]}}}.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

sys.path.insert(0, str(Path(__file__).parents[1]))

from matrix import BUNDLES, CASES  # noqa: E402
from oracle import COMMITTED, View, differences, views_of  # noqa: E402
from support.spark_session import start_spark  # noqa: E402
from tables import histories_of  # noqa: E402

QUERY = "hoodie.datasource.query.type"
PARTITIONS = {case.name: case.partitions for case in CASES}
FORMS = {"date": "unix_date({0})", "time": "unix_micros({0})", "decimal": "cast({0} as string)", "bytes": "lower(hex({0}))",
         "float": "cast({0} as double)"}
OPTIONS = {"latest": lambda view: {}, "as of": lambda view: {"as.of.instant": view.end}, "read optimized": lambda view: {QUERY: "read_optimized"},
           "increment": lambda view: {QUERY: "incremental", "hoodie.datasource.read.begin.instanttime": view.begin,
                                      "hoodie.datasource.read.end.instanttime": view.end}}


def plain(value):
    """Floats that are no numbers as the oracle tells them."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return "nan" if value != value else str(value)
    return value


def rows_of(spark, table: Path, columns: list[tuple[str, str]], view: View) -> list[dict]:
    frame = spark.read.format("hudi").options(**OPTIONS[view.kind](view)).load(str(table))
    present = [(name, kind) for name, kind in [(COMMITTED, "text"), *columns] if name in frame.columns]
    chosen = frame.selectExpr(*[f"{FORMS.get(kind, '{0}').format(f'`{name}`')} as `{name}`" for name, kind in present])
    return [{name: plain(value) for (name, _), value in zip(present, row)} for row in chosen.collect()]


def failure(error: Exception) -> str:
    """What was called, the exception, and the deepest cause of what Java threw."""
    lines = [line.strip() for line in str(error).strip().split("\n") if line]
    return " … ".join(lines[:2] + [line for line in lines if line.startswith("Caused by")][-1:])[:700]


def judged(spark, bundle: str, folder: Path, history, view: View) -> dict:
    begun = time.monotonic()
    merge_on_read = history.table.startswith("mor")
    folders = ("region",) if "region" in PARTITIONS[history.table] else ()
    # See EXCLUSIONS.
    from_folders = bundle != BUNDLES[0] or view.kind == "read optimized" or not merge_on_read
    escaped = bundle != BUNDLES[0] and view.kind == "increment"
    try:
        rows = rows_of(spark, folder / history.table, history.columns, view)
        for row in rows if escaped and folders else ():
            row["region"] = row["region"] and unquote(row["region"])
        wrong = differences(history, view, rows, folders if from_folders else ())
    except Exception as error:  # noqa: BLE001 A reader that fails is one that is not right.
        wrong = [failure(error)]
    return {"seconds": round(time.monotonic() - begun, 2), "wrong": wrong}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("jar")
    parser.add_argument("bundle")
    parser.add_argument("folder", type=Path)
    parser.add_argument("seed", type=int)
    parser.add_argument("result", type=Path)
    arguments = parser.parse_args()
    histories = histories_of(arguments.folder)
    spark = start_spark(arguments.jar, arguments.folder / "_warehouse", spark__sql__adaptive__enabled="false")
    result = {}
    with ThreadPoolExecutor(2) as pool:
        for name, history in histories.items():
            views = views_of(history, arguments.folder / name, name.startswith("mor"), arguments.seed)
            found = pool.map(lambda view: judged(spark, arguments.bundle, arguments.folder, history, view), views)
            result[name] = {str(view): one for view, one in zip(views, found)}
            arguments.result.write_text(json.dumps(result))
            print(f"{name}: {len(views)} views, {sum(one['seconds'] for one in result[name].values()):.1f} s, "
                  f"{sum(bool(one['wrong']) for one in result[name].values())} wrong", flush=True)
    spark.stop()


if __name__ == "__main__":
    main()
