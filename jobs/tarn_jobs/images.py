"""Bronze's rows of one table, from the first copy and the changes, down to the last image of each key.

An image is a row of Bronze, or (its Op is B) what the target has of a key that changed. `_at` orders them: commits by their
LSN, a copy's rows before the changes of its position, then the place in the transaction; an update that changed the key
stands as a delete of the old key and then the row under the new one.
"""

from __future__ import annotations

import functools

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from .bronze import BronzeFile
from .lake import Table
from .source_types import column_types, may_be_untouched

OURS = {"Op": "string", "_lsn": "bigint", "_ordinal": "bigint", "_unchanged": "string", "_old_key": "string", "_bad": "string"}
BASE, COPY, CHANGE = 0, 1, 2
UNKNOWN_VALUE = "the update did not touch this value and no earlier one is known"

def identity_of(table: Table) -> list[str]:
    """What tells its rows apart."""
    return ["_lsn", "_ordinal"] if table.append_only else list(table.key)


def rows_of(spark: SparkSession, files: list[BronzeFile], table: Table, kind: int) -> DataFrame | None:
    """Files of one shape are read together; columns come in the types that the table has now."""
    shapes: dict[str, list[BronzeFile]] = {}
    for file in files:
        shapes.setdefault(str(file.shape["columns"]), []).append(file)
    parts = []
    for same in shapes.values():
        frame = spark.read.parquet(*[file.path for file in same])
        chosen = [F.col(name).cast(kind_) if name in frame.columns else F.lit(None).cast(kind_)
                  for name, kind_ in {**column_types(table), **OURS}.items()]
        parts.append(frame.select([column.alias(name) for column, name in zip(chosen, [*column_types(table), *OURS])]))
    if not parts:
        return None
    return functools.reduce(DataFrame.unionByName, parts).withColumn("_at", at(F.lit(kind)))


def at(kind: Column, half: int = 1) -> Column:
    return F.struct(F.when(kind == BASE, F.lit(-1)).otherwise(F.col("_lsn")).cast("bigint").alias("lsn"), kind.alias("kind"),
                    F.coalesce("_ordinal", F.lit(0)).cast("bigint").alias("ordinal"), F.lit(half).alias("half"))


def old_key_of(column: str, kind: str) -> Column:
    return F.get_json_object("_old_key", f"$.{column}").cast(kind)


def with_ends_of_moved(images: DataFrame, table: Table) -> DataFrame:
    """An update that changed the key also ends the row that had the old one."""
    types = column_types(table)
    moved = images.where("_old_key IS NOT NULL").where(~functools.reduce(
        lambda left, right: left & right, [F.col(c).eqNullSafe(old_key_of(c, types[c])) for c in table.key]))
    ends = []
    for field in images.schema:
        if field.name == "Op":
            value = F.lit("D")
        elif field.name in table.key:
            value = old_key_of(field.name, types[field.name])
        elif field.name == "_lsn" or field.name == "_ordinal":
            value = F.col(field.name)
        elif field.name == "_at":
            value = F.col("_at").withField("half", F.lit(0))
        else:
            value = F.lit(None).cast(field.dataType)
        ends.append(value.alias(field.name))
    return images.unionByName(moved.select(ends))


def is_untouched(column: str) -> Column:
    return F.coalesce(F.array_contains(F.split("_unchanged", ","), column), F.lit(False))


def carried(images: DataFrame, table: Table, column: str) -> DataFrame:
    """Values of `column` that updates did not touch, out of the row's images before; what has none is named in `_unknown`."""
    types = column_types(table)
    key = list(table.key)
    has_moved = F.col("_old_key").isNotNull()
    # NULL: look further back. Not known: what it is depends on the images of another key.
    own = F.when(~is_untouched(column), F.struct(F.lit(True).alias("known"), F.col(column).alias("value"))).when(
        has_moved, F.struct(F.lit(False).alias("known"), F.lit(None).cast(types[column]).alias("value")))
    images = images.withColumn("_own", own)
    before = Window.partitionBy(*key).orderBy("_at").rowsBetween(Window.unboundedPreceding, -1)
    while True:
        images = images.withColumn("_value", F.coalesce("_own", F.last("_own", ignorenulls=True).over(before)))
        waiting = images.where("NOT _own.known")
        olds = waiting.select([F.col("_at").alias("_moved_at"), *(old_key_of(c, types[c]).alias(f"_old_{c}") for c in key)])
        match = [F.col(f"_old_{c}").eqNullSafe(F.col(c)) for c in key]
        found = (images.where("Op <> 'D'").join(olds, [*match, F.col("_at") < F.col("_moved_at")])
                 .groupBy("_moved_at").agg(F.max_by("_value", "_at").alias("_found")).where("_found.known").localCheckpoint())
        if found.isEmpty():
            break
        images = (images.join(found, F.col("_at").eqNullSafe(F.col("_moved_at")) & F.expr("NOT _own.known"), "left")
                  .withColumn("_own", F.coalesce("_found", "_own")).drop("_moved_at", "_found").localCheckpoint())
    known = F.coalesce(F.col("_value.known"), F.lit(False))
    # A row that moved in a run that was cut off: its value is under the new key already.
    base = F.first(F.when(F.col("Op") == "B", F.struct(F.col(column).alias("value")))).over(Window.partitionBy(*key).orderBy("_at").rowsBetween(Window.unboundedPreceding, 0))
    images = images.withColumn("_base", base).withColumn(
        "_unknown", F.when(is_untouched(column) & ~known & F.col("_base").isNull(), F.array_union("_unknown", F.array(F.lit(column)))).otherwise(F.col("_unknown")))
    value = F.when(known, F.col("_value.value")).otherwise(F.col("_base.value"))
    return images.withColumn(column, F.when(is_untouched(column), value).otherwise(F.col(column))).drop("_own", "_value", "_base")


def untouched_columns(images: DataFrame, table: Table) -> list[str]:
    if not any(may_be_untouched(table, column) for column in table.columns):
        return []
    names = images.where("_unchanged IS NOT NULL").select(F.explode(F.split("_unchanged", ",")).alias("name")).distinct().collect()
    return sorted({row["name"] for row in names} & set(table.columns))


def bad_with_unknown() -> Column:
    """_bad as tarn fills it: a value that an update did not touch and that nobody has."""
    parts = F.transform("_unknown", lambda name: F.concat(F.lit('"'), name, F.lit(f'":{{"reason":"{UNKNOWN_VALUE}","value":null}}')))
    before = F.when(F.col("_bad").isNotNull(), F.array(F.expr("substring(_bad, 2, length(_bad) - 2)"))).otherwise(F.array().cast("array<string>"))
    return F.when(F.size("_unknown") == 0, F.col("_bad")).otherwise(
        F.concat(F.lit("{"), F.array_join(F.concat(parts, before), ","), F.lit("}")))


def last_images(images: DataFrame, table: Table) -> DataFrame:
    """One row a key, its newest image; Op is D where the key is gone. Columns as Bronze has them, untouched values filled in."""
    images = images.withColumn("_unknown", F.array().cast("array<string>"))
    if table.key:
        images = with_ends_of_moved(images, table)
    for column in untouched_columns(images, table):
        images = carried(images, table, column)
    newest = Window.partitionBy(*identity_of(table)).orderBy(F.col("_at").desc())
    last = images.withColumn("_place", F.row_number().over(newest)).where("_place = 1")
    return last.withColumn("_bad", bad_with_unknown()).drop("_place", "_at", "_unknown", "_unchanged", "_old_key")
