"""PostgreSQL's types as Spark has them; docs/types.md."""

from __future__ import annotations

from .lake import Table

BY_OID = {16: "boolean", 20: "bigint", 21: "int", 23: "int", 26: "bigint", 700: "float", 701: "double", 1082: "date",
          1114: "timestamp", 1184: "timestamp", 17: "binary"}
TEXT_LIKE = ("string", "binary")


def spark_type(column: dict) -> str:
    """Of a source column, as docs/types.md says."""
    if column.get("hashed_under") or column.get("constant") is not None:
        return "string"
    if column["type_oid"] == 1700 and column["typmod"] >= 4:
        bits = column["typmod"] - 4
        precision, scale = bits >> 16, ((bits & 0x7FF) ^ 1024) - 1024
        return f"decimal({precision},{scale})" if precision <= 38 and 0 <= scale <= precision else "string"
    return BY_OID.get(column["type_oid"], "string")


def column_types(table: Table) -> dict[str, str]:
    return {column["lake_name"]: spark_type(column) for column in table.source["columns"]}
