"""Bronze is what DMS would have written: a job made for DMS's files, with Hudi's own payload class for them, makes the tables
that the source has."""

from __future__ import annotations

import datetime
import decimal

import pytest
from pyspark.sql import functions as F

from judges import dms_job
from support.history import History
from support.worker import Worker


@pytest.fixture(scope="module")
def bronze(request, session_folder, cluster):
    """A lake's Bronze, and the source behind it."""
    folder = session_folder / "dms"
    folder.mkdir(mode=0o755)
    worker = Worker(folder)
    seed = request.config.tarn_seed
    print(f"seed {seed}")
    source = worker.database(cluster)
    history = History(source, seed, truncates=0).create()
    tarn = worker.tarn(source, tenants={"column": "tenant_id"}, bronze={"flush_interval_ms": 300}).start()
    for part in range(3):
        for _ in range(40):
            history.step()
        tarn.wait_caught_up()
        if part == 1:
            source.execute("ALTER TABLE customer ADD COLUMN later int; UPDATE customer SET later = id WHERE id % 3 = 0")
    # Each way of a row at least once, whatever the seed.
    source.execute("INSERT INTO customer VALUES (901, 1, 'moves', 'b'), (902, 1, 'goes', 'b'), (903, 1, 'other key', 'b')")
    source.execute("UPDATE customer SET tenant_id = 2 WHERE id = 901; DELETE FROM customer WHERE id = 902")
    source.execute("UPDATE customer SET id = 904 WHERE id = 903; INSERT INTO customer VALUES (902, 3, 'again', 'b')")
    tarn.wait_caught_up()
    assert tarn.stop() == 0
    yield source, tarn.lake / "bronze"
    worker.close()


def cell(value):
    if isinstance(value, datetime.datetime):  # Spark's have no zone: the session's is UTC.
        return value.astimezone(datetime.timezone.utc) if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)
    if isinstance(value, decimal.Decimal) and value.is_nan():  # Not a decimal: in _bad, and NULL.
        return None
    return value


def comparable(rows, columns: list[str], without_body: set[int]) -> list[list]:
    """`without_body`: ids of rows whose body is not compared."""
    rows = [dict(zip(columns, map(cell, row))) for row in rows]
    return sorted(([(name, row[name]) for name in columns if name != "body" or row["id"] not in without_body] for row in rows), key=repr)


def moved_untouched(spark, folder) -> set[int]:
    """Rows that changed their key with a value that was not touched: it is at hand under the old key only."""
    changes = spark.read.option("mergeSchema", "true").parquet(str(folder / "public/customer"))
    return {row["id"] for row in changes.where("_old_key IS NOT NULL AND _unchanged IS NOT NULL").select("id").collect()}


def moved_to_another(spark, folder, column: str) -> set[int]:
    """Customers that Bronze has in several partitions."""
    images = spark.read.option("mergeSchema", "true").parquet(str(folder / "public/customer")).where("Op <> 'D'")
    return {row["id"] for row in images.groupBy("id").agg(F.countDistinct(column).alias("n")).where("n > 1").collect()}


@pytest.mark.parametrize("table,key,partition,toasted", [
    ("item", ["tenant_id", "id"], "tenant_id", []),
    ("customer", ["id"], "", ["body"]),
    ("customer", ["id"], "tenant_id", ["body"]),  # Its rows move to other tenants: the global index ends them where they were.
])
def test_the_job_for_dms_makes_the_right_table(spark, bronze, tmp_path, table, key, partition, toasted):
    source, folder = bronze
    changes = dms_job.run(spark, folder, table, key, partition, tmp_path / table, toasted)
    assert changes > 20
    columns = [name for name, in source.execute("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 "
                                                "ORDER BY attnum <> 1, attname", (table,))]
    without_body = moved_untouched(spark, folder) if toasted else set()
    wanted = source.execute(f"SELECT {', '.join(columns)} FROM {table}")
    got = spark.read.format("hudi").load(str(tmp_path / table)).select(columns).collect()
    assert len(without_body) < len(wanted) / 2
    assert comparable(got, columns, without_body) == comparable(wanted, columns, without_body)
    if partition:
        places = spark.read.format("hudi").load(str(tmp_path / table)).select("_hoodie_partition_path", partition).collect()
        assert places and all(place == str(value) for place, value in places), places
    if partition and partition not in key:
        assert moved_to_another(spark, folder, partition) >= {901}
