"""Spark as the translated statements want it."""

from __future__ import annotations

from contextlib import contextmanager

from pyspark.sql import types as T

# Errors in place of NULLs, and decimals that are exact or an error: what DuckDB does.
STRICT = {"spark.sql.ansi.enabled": "true", "spark.sql.decimalOperations.allowPrecisionLoss": "false"}
ALWAYS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED", "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED", "spark.sql.parser.escapedStringLiterals": "false",
}
FAMILIES = {
    T.ByteType: "integer", T.ShortType: "integer", T.IntegerType: "integer", T.LongType: "integer", T.DecimalType: "decimal",
    T.DoubleType: "double", T.FloatType: "float", T.StringType: "text", T.BooleanType: "boolean", T.BinaryType: "bytes",
    T.DateType: "date", T.TimestampType: "tz",
}


def prepare(spark) -> None:
    for name, value in ALWAYS.items():
        spark.conf.set(name, value)


@contextmanager
def strict(spark):
    """Statements that are made within are; the settings stay theirs. Hudi's own code is not written for them."""
    before = {name: spark.conf.get(name) for name in STRICT}
    for name, value in STRICT.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            spark.conf.set(name, value)


def families(schema: T.StructType) -> dict[str, str]:
    """By column, in lower case."""
    return {field.name.lower(): FAMILIES.get(type(field.dataType), "unknown") for field in schema}
