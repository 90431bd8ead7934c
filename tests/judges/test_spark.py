"""Spark 3.5 with Hudi 0.15.0, which tarn shares no code with, reads the same rows. It only reads."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from support.history import SILVER
from support.judged_lake import GOLD, comparable


def read(spark, path: str, **options: str) -> list[list]:
    frame = spark.read.format("hudi").options(**options).load(path)
    return comparable([row.asDict() for row in frame.collect()])


@pytest.mark.parametrize("table", SILVER)
def test_snapshot(spark, lake, table):
    """Base files and logs merged by Hudi's own reader."""
    assert read(spark, lake.silver(table)) == lake.moments[-1].rows[table]


@pytest.mark.parametrize("table", SILVER)
def test_as_of_lake_versions(spark, lake, table):
    """At the instant of each lake version; first, middle, last, to spare time."""
    for moment in (lake.moments[0], lake.moments[len(lake.moments) // 2], lake.moments[-1]):
        assert read(spark, lake.silver(table), **{"as.of.instant": moment.instant}) == moment.rows[table], moment.instant


def images(lake, table: str, key: str) -> set[tuple]:
    """Key and position of every row image that Bronze has."""
    found = set()
    for path in (lake.path / "bronze/public" / table).glob("*.parquet"):
        rows = pq.read_table(path, columns=["Op", key, "_lsn"]).to_pylist()
        found |= {(row[key], row["_lsn"]) for row in rows if row["Op"] != "D"}
    return found


@pytest.mark.parametrize("table,key", (("customer", "id"), ("stock", "code")))
def test_read_optimized(spark, lake, table, key):
    """Base files alone: rows that the source had at some time, each key once."""
    rows = [dict(row) for row in read(spark, lake.silver(table), **{"hoodie.datasource.query.type": "read_optimized"})]
    keys = [row["_hoodie_record_key"] for row in rows]
    assert len(keys) == len(set(keys))
    assert rows or table == "stock"
    assert {(row[key], row["_lsn"]) for row in rows} <= images(lake, table, key)


@pytest.mark.parametrize("model", GOLD)
def test_gold(spark, lake, model):
    """Copy-on-write tables that tarn replaces by partitions."""
    assert read(spark, str(lake.path / "gold" / model)) == lake.gold[model]
