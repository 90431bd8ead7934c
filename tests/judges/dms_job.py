"""A Spark job as one writes it for what DMS puts on S3: the full load, then the changes, into a Hudi table with
AWSDmsAvroPayload. It knows nothing of tarn but the columns that docs/formats/bronze.md tells of."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

PAYLOAD = "org.apache.hudi.payload.AWSDmsAvroPayload"


def in_order(frame: DataFrame) -> DataFrame:
    """The order of changes as one column: DMS has only a timestamp, in which changes of a transaction are equal."""
    return frame.withColumn("_seq", F.format_string("%020d-%020d", "_lsn", "_ordinal"))


def with_old_keys_deleted(changes: DataFrame, key: list[str]) -> DataFrame:
    """An update that changed the key also ends the row that had the old one."""
    moved = changes.where("_old_key IS NOT NULL")
    for column in key:
        kind = changes.schema[column].dataType
        moved = moved.withColumn(column, F.get_json_object("_old_key", f"$.{column}").cast(kind))
    gone = [F.lit("D").alias("Op") if f.name == "Op"
            else F.col(f.name) if f.name in key or f.name.startswith("_")
            else F.lit(None).cast(f.dataType).alias(f.name) for f in changes.schema]
    return changes.unionByName(moved.select(gone))


def carried(load: DataFrame, changes: DataFrame, key: list[str], column: str) -> DataFrame:
    """The documented coalesce: an untouched value is the last one that the row had."""
    everything = load.withColumn("_is_change", F.lit(False)).unionByName(changes.withColumn("_is_change", F.lit(True)),
                                                                        allowMissingColumns=True)
    untouched = F.array_contains(F.split(F.coalesce("_unchanged", F.lit("")), ","), column)
    window = Window.partitionBy(*key).orderBy("_seq").rowsBetween(Window.unboundedPreceding, -1)
    last = F.last(F.when(~untouched, F.struct(F.col(column).alias("value"))), ignorenulls=True).over(window)
    filled = everything.withColumn(column, F.when(untouched, last["value"]).otherwise(F.col(column)))
    return filled.where("_is_change").drop("_is_change")


def run(spark: SparkSession, bronze: Path, table: str, key: list[str], partition: str, target: Path, toasted: list[str]) -> int:
    """`partition`: its column, or "" for a table without partitions. Gives the number of changes."""
    options = {
        "hoodie.table.name": table, "hoodie.datasource.write.recordkey.field": ",".join(key),
        "hoodie.datasource.write.partitionpath.field": partition, "hoodie.datasource.write.precombine.field": "_seq",
        "hoodie.datasource.write.keygenerator.class":
            f"org.apache.hudi.keygen.{'Complex' if partition else 'Nonpartitioned'}KeyGenerator",
        "hoodie.datasource.write.payload.class": PAYLOAD, "hoodie.index.type": "GLOBAL_SIMPLE",
        "hoodie.simple.index.update.partition.path": "true", "hoodie.metadata.enable": "false",
        "hoodie.datasource.write.reconcile.schema": "true",
        "hoodie.bulkinsert.shuffle.parallelism": "2", "hoodie.upsert.shuffle.parallelism": "2",
    }

    def write(frame: DataFrame, operation: str, mode: str):
        frame.write.format("hudi").options(**options).option("hoodie.datasource.write.operation", operation).mode(mode).save(str(target))

    folder = bronze / "public" / table
    load = in_order(spark.read.parquet(*map(str, sorted(folder.glob("LOAD*.parquet")))))
    files = sorted(path for path in folder.glob("*.parquet") if not path.name.startswith("LOAD"))
    changes = in_order(spark.read.option("mergeSchema", "true").parquet(*map(str, files)))
    assert isinstance(changes.schema["_lsn"].dataType, T.LongType)
    count = changes.count()
    for column in toasted:
        changes = carried(load, changes, key, column)
    columns = [f.name for f in changes.schema]
    for name in columns:
        if name not in load.columns:
            load = load.withColumn(name, F.lit(None).cast(changes.schema[name].dataType))
    write(load.select(columns), "bulk_insert", "overwrite")
    write(with_old_keys_deleted(changes, key).select(columns), "upsert", "append")
    return count
