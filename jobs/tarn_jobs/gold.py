"""Every Gold model on Spark, in the order in which they read each other."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from . import hudi_tables
from .models import GoldModel
from .session import families, strict
from .translator import Columns, translate

MODEL_COLUMN = "_model"


def storable(frame: DataFrame) -> DataFrame:
    """In the types that tarn's Gold tables have."""
    narrow = (T.ByteType, T.ShortType)
    return frame.select([F.col(f"`{f.name}`").cast("int").alias(f.name) if isinstance(f.dataType, narrow) else F.col(f"`{f.name}`")
                         for f in frame.schema])


def table_of(model: GoldModel, target: str) -> hudi_tables.HudiTable:
    key = model.key
    if model.partition and len(key) < 2:
        key = (*key, MODEL_COLUMN)  # Readers disagree about a single key column of a partitioned table.
    return hudi_tables.HudiTable(f"{target}/gold/{model.name}", "gold", model.name, key, (model.partition,) if model.partition else ())


class GoldRun:
    """`silver`: reads a Silver table by its name. One `as_of_micros` and one position for all models."""

    def __init__(self, spark: SparkSession, models: list[GoldModel], silver: Callable[[str], DataFrame], silver_names: set[str], as_of_micros: int):
        self.spark, self.models, self.as_of_micros = spark, models, as_of_micros
        self.tables: dict[str, Columns] = {}
        self.frames: dict[str, DataFrame] = {}
        names = {model.name for model in models}
        wanted = set().union(*(model.reads for model in models)) - names if models else set()
        for name in sorted(wanted & silver_names):
            self._add(name, silver(name))
        read = set().union(*(model.reads for model in models)) if models else set()
        for model in models:
            frame = self._rows(model)
            # What others read is computed once.
            self._add(model.name, frame.persist() if model.name in read else frame)

    def _rows(self, model: GoldModel) -> DataFrame:
        sql, columns = translate(model.sql, self.tables, self.as_of_micros, model.file)
        with strict(self.spark):
            frame = storable(self.spark.sql(sql))
        return frame.toDF(*columns)

    def _add(self, name: str, frame: DataFrame) -> None:
        frame.createOrReplaceTempView(name)
        self.frames[name], self.tables[name] = frame, families(frame.schema)

    def write(self, files, target: str, lsn: int, properties: dict[str, str]) -> list[str]:
        """Each model's table as a whole, in one commit each: who reads meanwhile sees the old rows or the new ones."""
        for model in self.models:
            table = table_of(model, target)
            frame = self.frames[model.name].withColumn("_lsn", F.lit(lsn).cast("bigint"))
            if MODEL_COLUMN in table.key:
                frame = frame.withColumn(MODEL_COLUMN, F.lit(model.name))
            operation = "insert_overwrite_table" if hudi_tables.exists(files, table.path) else "bulk_insert"
            hudi_tables.write(frame, table, operation, {hudi_tables.LSN_PROPERTY: str(lsn), **properties})
        return [model.name for model in self.models]

    def close(self) -> None:
        for model in self.models:
            self.frames[model.name].unpersist()
