"""CAST: DuckDB rounds where Spark cuts off, and scales doubles in binary where Spark takes their shortest text."""

from __future__ import annotations

import datetime
import re

from sqlglot import exp

from .expressions import as_type, called
from .refusal import Refusal
from .times import micros_of, series_as
from .translator import Translator, rule

Type = exp.DataType.Type
INTEGERS = (Type.TINYINT, Type.SMALLINT, Type.INT, Type.BIGINT)
TARGETS = {
    **dict.fromkeys(INTEGERS, "integer"), Type.DECIMAL: "decimal", Type.DOUBLE: "double", Type.FLOAT: "float",
    Type.TEXT: "text", Type.VARCHAR: "text", Type.BOOLEAN: "boolean", Type.DATE: "date", Type.TIMESTAMPNTZ: "naive",
    Type.TIMESTAMP: "naive", Type.TIMESTAMPTZ: "tz",
}


@rule(exp.Cast)
def cast(t: Translator, node):
    to = node.args["to"]
    target = TARGETS.get(to.this)
    if target is None:
        raise Refusal(f"the type {to.sql('duckdb')} has no rule", node)
    if isinstance(node.this, exp.Explode):
        return series_as(t, node, to.sql("spark")), target
    if isinstance(node.this, exp.Literal) and node.this.is_string:
        return constant(node, target), target
    family = t.visit(node.this)
    if family in ("null", target) and target not in ("integer", "decimal", "naive"):
        return plain(node, target), target
    if family == "unknown" and not t.is_looking:
        raise t.unclear(node, "the type of what is cast is not known")
    if family == "unknown":
        return node, target
    return CASTS[target](t, node, family), target


def plain(node: exp.Cast, target: str) -> exp.Expression:
    return as_type(node.this, "timestamp") if target in ("naive", "tz") else node


def wrong(node, family: str, target: str) -> Refusal:
    return Refusal(f"CAST of {family} to {target} is not the same on Spark", node)


def to_integer(t, node, family):
    if family == "double":
        return exp.Cast(this=called("rint", node.this), to=node.args["to"])
    if family == "decimal":
        return exp.Cast(this=called("round", node.this, 0), to=node.args["to"])
    if family not in ("integer", "boolean", "null"):
        raise wrong(node, family, "an integer")
    return node


def to_decimal(t, node, family):
    if family == "double":
        return scaled(node)
    if family not in ("integer", "decimal", "null"):
        raise wrong(node, family, "a decimal")
    return node


def scaled(node: exp.Cast) -> exp.Expression:
    """DuckDB multiplies by the power of ten as doubles are multiplied, and rounds halves away from zero."""
    parameters = [int(part.name) for part in node.args["to"].expressions]
    precision, scale = (parameters + [0] if len(parameters) == 1 else parameters) or (18, 3)
    power = as_type(exp.Literal.number(10 ** scale), "double")
    whole = as_type(called("round", exp.Mul(this=exp.Paren(this=node.this), expression=power)), "bigint")
    unit = as_type(exp.Literal.string(str(10 ** -scale if not scale else "0." + "0" * (scale - 1) + "1")), f"decimal({max(scale, 1)}, {scale})")
    exact = exp.Mul(this=as_type(whole, "decimal(19, 0)"), expression=unit)
    return as_type(exact, f"decimal({precision}, {scale})")


def to_double(t, node, family):
    if family not in ("integer", "decimal", "double", "float"):
        raise wrong(node, family, "a double")
    return node


def to_text(t, node, family):
    if family not in ("integer", "decimal", "date", "boolean"):
        raise wrong(node, family, "text")
    return node


def to_boolean(t, node, family):
    if family != "integer":
        raise wrong(node, family, "a boolean")
    return node


def to_date(t, node, family):
    if family not in ("naive", "tz"):
        raise wrong(node, family, "a date")
    return node


def to_time(t, node, family):
    if family not in ("date", "naive", "tz", "null"):
        raise wrong(node, family, "a timestamp")
    return as_type(node.this, "timestamp")


CASTS = {"integer": to_integer, "decimal": to_decimal, "double": to_double, "float": to_double, "text": to_text,
         "boolean": to_boolean, "date": to_date, "naive": to_time, "tz": to_time}


def constant(node: exp.Cast, target: str) -> exp.Expression:
    """Of a text that stands in the statement."""
    text = node.this.name
    try:
        if target == "date":
            datetime.date.fromisoformat(text)
            return node
        if target in ("naive", "tz"):
            return called("timestamp_micros", micros_of(datetime.datetime.fromisoformat(text)))
        if target == "integer" and re.fullmatch(r"[+-]?\d+", text) or target == "text":
            return node
        if target == "decimal" and re.fullmatch(r"[+-]?\d+(\.\d+)?", text):
            return node
    except ValueError:
        pass
    raise Refusal(f"'{text}' cast to {node.args['to'].sql('duckdb')} has no rule", node)
