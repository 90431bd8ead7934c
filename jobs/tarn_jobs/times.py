"""Dates, times and zones. Times without a zone are Spark's TIMESTAMP in a session whose zone is UTC, as moments are."""

from __future__ import annotations

import datetime

from sqlglot import exp

from .expressions import as_type, called
from .refusal import Refusal
from .translator import Translator, rule, united

UNITS = ("YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND")
TIMES = ("date", "naive", "tz")
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def micros_of(moment: datetime.datetime) -> int:
    """Without a zone it is of UTC."""
    moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)
    return (moment - EPOCH) // datetime.timedelta(microseconds=1)


def unit_of(node: exp.Expression) -> str:
    unit = node.args.get("unit")
    name = unit.name.upper().rstrip("S") if unit is not None else ""
    if name not in UNITS:
        raise Refusal(f"the unit {name or '(none)'} has no rule", node)
    return name


@rule(exp.Interval)
def interval(t: Translator, node):
    unit_of(node)
    if not isinstance(node.this, exp.Literal) or not node.this.name.lstrip("-").isdigit():
        raise Refusal("an interval is one whole number and its unit", node)
    return node, "interval"


@rule(exp.Add, exp.Sub)
def sum_or_difference(t: Translator, node):
    left, right = t.visit_all([node.this, node.expression])
    is_sum = isinstance(node, exp.Add)
    if right in TIMES and is_sum and left in ("integer", "interval"):
        raise Refusal("write the date or time first, then what is added to it", node)
    if left == "date" and right == "integer":
        return called("date_add" if is_sum else "date_sub", node.this, as_type(node.expression, "int")), "date"
    if left == "date" and right == "date" and not is_sum:
        return as_type(called("datediff", node.this, node.expression), "bigint"), "integer"
    if right == "interval" and left in (*TIMES, "unknown"):
        node.set("this", as_type(node.this, "timestamp"))
        # A moment is moved by months in UTC: so it is in DuckDB's session.
        return exp.Paren(this=node.copy()) if isinstance(node.parent, exp.Binary) else node, left if left in ("tz", "unknown") else "naive"
    if left in TIMES or right in TIMES or "interval" in (left, right):
        if "unknown" in (left, right) and t.is_looking:
            return node, "unknown"
        raise Refusal(f"{left} {'+' if is_sum else '-'} {right} is not the same on Spark", node)
    if "unknown" in (left, right) and not t.is_looking:
        raise t.unclear(node, "the types of what is added are not known")
    if "text" in (left, right):
        raise t.unclear(node, "text is added to a number")
    return node, united([left, right], t, node)


@rule(exp.AtTimeZone)
def at_time_zone(t: Translator, node):
    family = t.visit(node.this)
    t.visit(node.args["zone"])
    if family == "unknown" and not t.is_looking:
        raise t.unclear(node, "AT TIME ZONE of an unknown type")
    if family == "date":
        raise Refusal("AT TIME ZONE of a date: CAST it to TIMESTAMP first", node)
    if family == "naive":
        return called("to_utc_timestamp", node.this, node.args["zone"]), "tz"
    return called("from_utc_timestamp", node.this, node.args["zone"]), "naive"


@rule(exp.TimestampTrunc, exp.DateTrunc)
def truncated(t: Translator, node):
    if node.args.get("zone") is not None:
        raise Refusal("date_trunc takes no zone here", node)
    family = t.visit(node.this)
    if family not in (*TIMES, "unknown"):
        raise t.unclear(node, f"date_trunc of {family}")
    unit = node.args.get("unit")
    name = unit.name.upper()
    if name not in UNITS:
        raise Refusal(f"date_trunc by {name} has no rule", node)
    return called("date_trunc", name, node.this), "naive" if family == "date" else family


@rule(exp.DateDiff)
def bounds_between(t: Translator, node):
    """DuckDB counts the beginnings of the unit that lie between, Spark whole units."""
    if "unknown" in t.visit_all([node.this, node.expression]) and not t.is_looking:
        raise t.unclear(node, "date_diff of an unknown type")
    unit = unit_of(node)
    if unit == "DAY":
        days = called("datediff", as_type(node.this, "date"), as_type(node.expression, "date"))
        return as_type(days, "bigint"), "integer"
    per_year = {"YEAR": 1, "QUARTER": 4, "MONTH": 12}.get(unit)
    if per_year is None:
        raise Refusal(f"date_diff by {unit.lower()} has no rule", node)

    def number(value: exp.Expression) -> exp.Expression:
        years = exp.Mul(this=called("year", value.copy()), expression=exp.Literal.number(per_year))
        return years if per_year == 1 else exp.Add(this=years, expression=called(unit.lower(), value.copy()))
    between = exp.Sub(this=exp.Paren(this=number(node.this)), expression=exp.Paren(this=number(node.expression)))
    return as_type(between, "bigint"), "integer"


@rule(exp.Year, exp.Month, exp.Day, exp.DayOfMonth, exp.Quarter)
def part_of_date(t: Translator, node):
    family = t.visit(node.this)
    if family not in (*TIMES, "unknown"):
        raise t.unclear(node, f"{node.key} of {family}")
    name = "day" if isinstance(node, exp.DayOfMonth) else node.key
    return as_type(called(name, node.this), "bigint"), "integer"


@rule(exp.UnixToTime)
def epoch_ms(t: Translator, node):
    """What sqlglot takes epoch_ms(x) for; of a moment it gives its number, of a number its moment."""
    family = t.visit(node.this)
    if family not in ("naive", "tz", "unknown") or node.args["scale"].name != "3":
        raise Refusal("this function of the epoch has no rule", node)
    return exp.Paren(this=exp.IntDiv(this=called("unix_micros", node.this), expression=exp.Literal.number(1000))), "integer"


@rule(exp.Anonymous)
def by_name(t: Translator, node):
    name = node.name.lower()
    if name == "as_of" and not node.expressions:
        return called("timestamp_micros", t.as_of_micros), "tz"
    if name == "epoch_us" and len(node.expressions) == 1:
        family = t.visit(node.expressions[0])
        if family not in ("naive", "tz", "unknown"):
            raise t.unclear(node, f"epoch_us of {family}")
        return called("unix_micros", node.expressions[0]), "integer"
    raise Refusal(f"the function {node.name} has no equal on Spark that we know of", node)


@rule(exp.Explode)
def series(t: Translator, node):
    return series_as(t, node, "timestamp"), "naive"


def series_as(t: Translator, node: exp.Expression, to: str) -> exp.Expression:
    """unnest(generate_series(...)), under a CAST or not, as rows. Spark's generators stand outermost in a column."""
    exploded = node.this if isinstance(node, exp.Cast) else node
    made = exploded.this
    holder = node.parent
    if not isinstance(made, exp.GenerateSeries) or not isinstance(holder, (exp.Alias, exp.Select)):
        raise Refusal("unnest stands alone in a column, over generate_series(from, to, INTERVAL), with a CAST around it at most", node)
    parts = [made.args["start"], made.args["end"]]
    families = t.visit_all(parts)
    step = made.args.get("step")
    if not isinstance(step, exp.Interval) or any(family not in ("naive", "date", "unknown") for family in families):
        raise Refusal("generate_series has a rule for times by INTERVAL only", node)
    t.visit(step)
    start, end = (as_type(made.args[side].copy(), "timestamp") for side in ("start", "end"))
    whole = called("sequence", start, end, step.copy())
    if unit_of(step) in ("MONTH", "QUARTER", "YEAR"):
        # DuckDB goes on from a shortened month's last day, Spark from the first one's.
        late = called("raise_error", "generate_series by months from a day after the 28th is not the same on Spark")
        whole = called("if", exp.GT(this=called("day", start.copy()), expression=exp.Literal.number(28)), late, whole)
    none = called("slice", called("array", start.copy()), 1, 0)
    ordered = exp.LTE(this=start.copy(), expression=end.copy())
    # A NULL on either side gives no row in both.
    rows = called("if", ordered, whole, none)
    moved = exp.Lambda(this=as_type(exp.to_identifier("at"), to), expressions=[exp.to_identifier("at")])
    return called("explode", called("transform", rows, moved))
