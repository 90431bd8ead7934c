"""Silver and Gold of a tarn lake on Spark 3.5, from the same models: a first load, a rebuild beside tarn, or what is new.

    spark-submit --packages org.apache.hudi:hudi-spark3.5-bundle_2.12:0.15.0 jobs/tarn_job.py --layers gold --lake LAKE --models models --target OUT

README.md beside this file says how to run it on AWS Glue 5.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys

from pyspark.sql import SparkSession

from tarn_jobs import hudi_tables
from tarn_jobs.bronze import Bronze
from tarn_jobs.files import SparkFiles
from tarn_jobs.gold import GoldRun
from tarn_jobs.lake import Lake
from tarn_jobs.models import SilverModel, gold_models, silver_models
from tarn_jobs.refusal import Refusal
from tarn_jobs.session import prepare
from tarn_jobs.silver import Outcome, SilverLoad, Unfit
from tarn_jobs.times import micros_of


def arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tarn_job.py", description=__doc__.split("\n\n")[0],
                                     epilog="example: tarn_job.py --layers all --lake s3://shop/lake --models s3://shop/models --target s3://shop/rebuilt")
    parser.add_argument("--layers", choices=("silver", "gold", "all"), required=True, help="what to make; 'gold' reads the lake's own Silver, 'all' the job's")
    parser.add_argument("--lake", required=True, help="the lake that tarn keeps")
    parser.add_argument("--models", required=True, help="folder with silver/ and gold/")
    parser.add_argument("--target", required=True, help="where the tables go: never the lake itself, which has one writer")
    parser.add_argument("--tables", default="", help="Silver tables, with commas between (default: all)")
    parser.add_argument("--as-of", default="", help="what as_of() is, such as 2026-11-20T09:00:00+00:00 (default: the time of the newest commit read)")
    parsed, _ = parser.parse_known_args(given)  # Glue adds arguments of its own.
    if parsed.target.rstrip("/") == parsed.lake.rstrip("/"):
        parser.error(f"--target is the lake itself ('{parsed.lake}'): tarn is its only writer, name another folder")
    return parsed


def make_silver(spark: SparkSession, lake: Lake, models: str, target: str, only: set[str]) -> tuple[list[Outcome], Bronze]:
    """Errors: Unfit, LookupError, Refusal; tables that were done before stay done."""
    bronze, described = Bronze(lake), silver_models(lake.files, models)
    tables = lake.tables()
    if unknown := only - tables.keys():
        raise Unfit(f"--tables names {', '.join(sorted(unknown))}; there are: {', '.join(sorted(tables))}")
    outcomes = []
    for name in sorted(only or tables):
        load = SilverLoad(spark, lake.files, bronze, tables[name], described.get(name, SilverModel(name)), target)
        outcomes.append(load.run())
    return outcomes, bronze


def make_gold(spark: SparkSession, lake: Lake, models: str, target: str, own_silver: Bronze | None, as_of_micros: int | None) -> list[str]:
    """`own_silver`: the job's Silver in the target is read, which holds this; None: the lake's, all tables at its newest version."""
    if own_silver is not None:
        names, lsn, micros = set(lake.tables()), own_silver.newest_lsn, own_silver.newest_micros
        place, instant, properties = f"{target}/silver", "", {}
    else:
        version = lake.newest_version()
        names, lsn, micros = set(version.tables), version.lsn, version.commit_micros
        place, instant, properties = f"{lake.root}/silver", version.instant, {"tarn.job.source_instant": version.instant}
    run = GoldRun(spark, gold_models(lake.files, models), lambda name: hudi_tables.read(spark, f"{place}/{name}", instant), names,
                  micros if as_of_micros is None else as_of_micros)
    try:
        return run.write(lake.files, target, lsn, properties)
    finally:
        run.close()


def main(given: list[str]) -> int:
    options = arguments(given)
    spark = SparkSession.builder.appName("tarn").getOrCreate()
    prepare(spark)
    lake = Lake(SparkFiles(spark), options.lake)
    models, target = options.models.rstrip("/"), options.target.rstrip("/")
    as_of = micros_of(datetime.datetime.fromisoformat(options.as_of)) if options.as_of else None
    try:
        bronze = None
        if options.layers != "gold":
            outcomes, bronze = make_silver(spark, lake, models, target, set(filter(None, options.tables.split(","))))
            for outcome in outcomes:
                print(json.dumps(outcome.__dict__))
        if options.layers != "silver":
            for name in make_gold(spark, lake, models, target, bronze, as_of):
                print(json.dumps({"model": name}))
    except (Refusal, Unfit, LookupError) as error:
        print(f"tarn_job: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
