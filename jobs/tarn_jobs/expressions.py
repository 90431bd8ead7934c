"""Columns, literals, logic, arithmetic, aggregates and windows."""

from __future__ import annotations

from sqlglot import exp

from .refusal import Refusal
from .translator import NUMBERS, Translator, rule, united


def called(name: str, *arguments) -> exp.Anonymous:
    """A function of Spark's, written as it is."""
    return exp.Anonymous(this=name, expressions=[exp.convert(a) if isinstance(a, (int, str)) else a for a in arguments])


def as_type(node: exp.Expression, to: str) -> exp.Cast:
    return exp.Cast(this=node, to=exp.DataType.build(to, dialect="spark"))


@rule(exp.Column)
def column(t: Translator, node):
    name, table = node.name.lower(), node.table.lower()
    if table:
        columns = t.sources.get(table)
        if columns is None:
            if t.is_looking:
                return node, "unknown"
            raise Refusal(f"'{node.table}' is no table of this SELECT (one of an outer SELECT has no equal on Spark that we know of)", node)
        return node, columns.get(name, "unknown")
    if name in t.projected:
        return node, t.projected[name]
    found = [columns[name] for columns in t.sources.values() if columns and name in columns]
    return node, found[0] if len(found) == 1 else "unknown"


@rule(exp.Literal)
def literal(t, node):
    if node.is_string:
        # Spark's parser takes a backslash for the beginning of an escape.
        return node, "text"
    text = node.name.lower()
    return node, "double" if "e" in text else "decimal" if "." in text else "integer"


@rule(exp.Null)
def null(t, node):
    return node, "null"


@rule(exp.Boolean)
def boolean(t, node):
    return node, "boolean"


@rule(exp.Paren)
def paren(t, node):
    return node, t.visit(node.this)


@rule(exp.Alias)
def alias(t, node):
    return node, t.visit(node.this)


@rule(exp.And, exp.Or, exp.Not, exp.Is)
def logic(t, node):
    t.visit_all(child for child in node.iter_expressions())
    return node, "boolean"


@rule(exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.NullSafeNEQ)
def comparison(t, node):
    comparable(t, node, [node.this, node.expression])
    return node, "boolean"


def comparable(t, node, parts) -> None:
    """Errors: Refusal where the engines would bring the sides to different types."""
    parts = list(parts)
    families = t.visit_all(parts)
    if "text" in families and set(families) - {"text", "null", "unknown"}:
        texts = [part for part, family in zip(parts, families) if family == "text"]
        if not all(isinstance(part, exp.Literal) for part in texts):
            raise t.unclear(node, "text is compared with another type")
        return
    united(families, t, node)


@rule(exp.Between)
def between(t, node):
    comparable(t, node, [node.this, node.args["low"], node.args["high"]])
    return node, "boolean"


@rule(exp.In)
def in_list(t, node):
    if node.args.get("query") or node.args.get("unnest") or node.args.get("field"):
        raise Refusal("IN takes a list of values only: a SELECT in it has no rule, write a join", node)
    comparable(t, node, [node.this, *node.expressions])
    return node, "boolean"


@rule(exp.Case)
def case(t, node):
    conditions = [branch.this for branch in node.args["ifs"]]
    if node.this is not None:
        comparable(t, node, [node.this, *conditions])
    else:
        t.visit_all(conditions)
    values = [branch.args["true"] for branch in node.args["ifs"]]
    if node.args.get("default") is not None:
        values.append(node.args["default"])
    return node, united(t.visit_all(values), t, node)


@rule(exp.If)
def if_(t, node):
    t.visit(node.this)
    values = [node.args["true"]] + ([node.args["false"]] if node.args.get("false") is not None else [])
    return node, united(t.visit_all(values), t, node)


@rule(exp.Coalesce, exp.Greatest, exp.Least)
def first_of(t, node):
    return node, united(t.visit_all([node.this, *node.expressions]), t, node)


@rule(exp.Nullif)
def nullif(t, node):
    parts = [node.this, node.expression]
    family = t.visit(parts[0])
    united([family, t.visit(parts[1])], t, node)
    return node, family


@rule(exp.Neg, exp.Abs)
def one_number(t, node):
    family = t.visit(node.this)
    if family not in (*NUMBERS, "unknown"):
        raise t.unclear(node, f"a number is wanted, not {family}")
    return node, family


@rule(exp.Round, exp.Floor, exp.Ceil)
def rounded(t, node):
    """Of doubles DuckDB rounds the binary value, Spark its decimal text."""
    family = t.visit(node.this)
    if family not in ("integer", "decimal") and not (family == "unknown" and t.is_looking):
        raise Refusal(f"{node.key} of {family} is not the same on Spark: CAST it to DECIMAL first", node)
    digits = node.args.get("decimals")
    if digits is None:
        return called(node.key, node.this), family
    if not isinstance(digits, exp.Literal):
        raise Refusal(f"{node.key} takes its digits as a number from 0 on", node)
    return called(node.key, node.this, digits), family


@rule(exp.Mul)
def product(t, node):
    families = t.visit_all([node.this, node.expression])
    if "interval" in families:
        raise Refusal("an interval times a number has no rule: write the interval as one literal", node)
    return node, united(families, t, node)


@rule(exp.Div)
def quotient(t, node):
    """DuckDB divides everything as doubles. By nothing it gives an infinity; Spark's ANSI mode ends with an error."""
    families = t.visit_all([node.this, node.expression])
    if "float" in families:
        raise t.unclear(node, "FLOAT is divided in single precision by DuckDB, in double by Spark")
    node.set("this", as_type(node.this, "double"))
    node.set("expression", as_type(node.expression, "double"))
    # As Spark's own: nothing that sqlglot would add.
    node.set("typed", True)
    node.set("safe", False)
    return node, "double"


def or_null(divisor: exp.Expression) -> exp.Expression:
    """What DuckDB makes of 0 under // and %."""
    if isinstance(divisor, exp.Literal) and divisor.name.strip("0."):
        return divisor
    return called("nullif", divisor, exp.Literal.number(0))


@rule(exp.IntDiv)
def whole_quotient(t, node):
    for family in t.visit_all([node.this, node.expression]):
        if family not in ("integer", "null", "unknown"):
            raise t.unclear(node, f"// takes integers on Spark, not {family}")
    node.set("expression", or_null(node.expression))
    return node, "integer"


@rule(exp.Mod)
def remainder(t, node):
    families = t.visit_all([node.this, node.expression])
    node.set("expression", or_null(node.expression))
    return node, united(families, t, node)


@rule(exp.Filter)
def filtered(t, node):
    family = t.visit(node.this)
    t.visit(node.expression.this)
    return node, family


@rule(exp.Star)
def star(t, node):
    t.refuse_others(node)
    return node, "unknown"


@rule(exp.Count)
def count(t, node):
    t.refuse_others(node, "this", "big_int")
    t.visit(node.this)
    return node, "integer"


@rule(exp.Distinct)
def distinct(t, node):
    t.refuse_others(node, "expressions")
    if len(node.expressions) != 1:
        raise Refusal("DISTINCT over several expressions has no rule", node)
    return node, t.visit(node.expressions[0])


@rule(exp.Sum)
def total(t, node):
    family = t.visit(node.this)
    if family not in (*NUMBERS, "unknown"):
        raise t.unclear(node, f"sum takes numbers, not {family}")
    return node, "double" if family == "float" else family


@rule(exp.Min, exp.Max)
def extreme(t, node):
    t.refuse_others(node, "this")
    return node, t.visit(node.this)


@rule(exp.Avg)
def mean(t, node):
    """DuckDB divides the exact sum as a double; Spark rounds decimals, and adds integers up as doubles."""
    family = t.visit(node.this)
    if family in ("double", "float"):
        return node, "double"
    if family == "unknown" and not t.is_looking:
        raise t.unclear(node, "avg takes numbers")
    if isinstance(node.parent, (exp.Window, exp.Filter)):
        raise Refusal("avg over a window or with FILTER has no rule: write sum(x) / count(x)", node)
    total_ = as_type(exp.Sum(this=node.this.copy()), "double")
    number = called("nullif", exp.Count(this=node.this.copy()), exp.Literal.number(0))
    return exp.Paren(this=exp.Div(this=total_, expression=as_type(number, "double"), typed=True, safe=False)), "double"


@rule(exp.LogicalAnd, exp.LogicalOr)
def all_or_any(t, node):
    t.visit(node.this)
    return called("bool_and" if isinstance(node, exp.LogicalAnd) else "bool_or", node.this.copy()), "boolean"


@rule(exp.Window)
def window(t, node):
    t.refuse_others(node, "this", "partition_by", "order", "spec", "over", "alias")
    family = "unknown"
    if isinstance(node.this, exp.Filter):
        raise Refusal("FILTER over a window has no equal on Spark: write the condition as a CASE in the function", node)
    if isinstance(node.this, exp.Distinct) or (isinstance(node.this, exp.Count) and isinstance(node.this.this, exp.Distinct)):
        raise Refusal("DISTINCT over a window has no equal on Spark", node)
    if not isinstance(node.this, exp.Identifier):
        family = t.visit(node.this)
    t.visit_all(node.args.get("partition_by") or [])
    if node.args.get("order"):
        t.visit_all(node.args["order"].expressions)
    if spec := node.args.get("spec"):
        t.refuse_others(spec, "kind", "start", "start_side", "end", "end_side")
        if spec.args.get("kind") == "GROUPS":
            raise Refusal("a window's GROUPS has no equal on Spark", node)
        for side in ("start", "end"):
            if isinstance(bound := spec.args.get(side), exp.Expression) and not isinstance(bound, exp.Literal):
                raise Refusal("a window's bound is a number on Spark", bound)
    return node, family


@rule(exp.RowNumber, exp.Rank, exp.DenseRank, exp.Ntile)
def place(t, node):
    t.visit_all(child for child in node.iter_expressions())
    return node, "integer"


@rule(exp.Lag, exp.Lead)
def neighbour(t, node):
    t.refuse_others(node, "this", "offset", "default")
    family = t.visit(node.this)
    if node.args.get("default") is not None:
        united([family, t.visit(node.args["default"])], t, node)
    if node.args.get("offset") is not None and not isinstance(node.args["offset"], exp.Literal):
        raise Refusal(f"{node.key}'s offset is a number on Spark", node)
    return node, family


@rule(exp.FirstValue, exp.LastValue)
def end_of_window(t, node):
    t.refuse_others(node, "this")
    return node, t.visit(node.this)


@rule(exp.Ordered)
def ordered(t, node):
    """NULLs stand last in DuckDB, whatever the direction."""
    family = t.visit(node.this)
    if node.args.get("nulls_first") is None:
        node.set("nulls_first", False)
    return node, family
