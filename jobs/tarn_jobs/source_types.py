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


LONG_DECIMAL = 24  # Digits beyond which PostgreSQL may keep a number outside of its row.


def may_be_untouched(table: Table, column: str) -> bool:
    """Whether an update may leave its value out of the stream: PostgreSQL keeps long ones outside of their rows."""
    kind = column_types(table)[column]
    is_long = kind.startswith("decimal") and int(kind[8:].split(",")[0]) > LONG_DECIMAL
    constant = any(c["lake_name"] == column and c.get("constant") is not None for c in table.source["columns"])
    return not constant and (kind in TEXT_LIKE or is_long)
