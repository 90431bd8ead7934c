"""Text and patterns."""

from __future__ import annotations

from sqlglot import exp

from .expressions import called
from .refusal import Refusal
from .regular_expressions import UnknownPattern, to_java, to_java_replacement
from .translator import Translator, rule, united

# What DuckDB's trim takes off: Unicode's separators of words. Spark's takes the blank alone.
BLANKS = "\u0020\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"


def want_text(t: Translator, node, *parts) -> None:
    for part in parts:
        family = t.visit(part)
        if family not in ("text", "null", "unknown") or (family == "unknown" and not t.is_looking):
            raise t.unclear(node, f"text is wanted, not {family}")


@rule(exp.Lower, exp.Upper)
def case_of_letters(t, node):
    want_text(t, node, node.this)
    return node, "text"


@rule(exp.Length)
def length(t, node):
    t.refuse_others(node, "this")
    want_text(t, node, node.this)
    return called("length", node.this), "integer"


@rule(exp.Replace)
def replace(t, node):
    want_text(t, node, node.this, node.expression, node.args["replacement"])
    return called("replace", node.this, node.expression, node.args["replacement"]), "text"


@rule(exp.DPipe)
def joined(t, node):
    want_text(t, node, node.this, node.expression)
    node.set("safe", False)
    return node, "text"


@rule(exp.StartsWith)
def starts_with(t, node):
    want_text(t, node, node.this, node.expression)
    return called("startswith", node.this, node.expression), "boolean"


@rule(exp.Substring)
def part(t, node):
    want_text(t, node, node.this)
    start = node.args.get("start")
    if not isinstance(start, exp.Literal) or int(start.name) < 1:
        raise Refusal("substring begins at a number from 1 on", node)
    if node.args.get("length") is not None and not isinstance(node.args["length"], exp.Literal):
        raise Refusal("substring's length is a number", node)
    return node, "text"


@rule(exp.Trim)
def trimmed(t, node):
    want_text(t, node, node.this)
    marks = node.args.get("expression")
    if marks is not None and not isinstance(marks, exp.Literal):
        raise Refusal("trim takes its characters as a literal", node)
    which = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get((node.args.get("position") or "").upper(), "btrim")
    characters = BLANKS if marks is None else marks.name
    if not characters:
        return node.this.copy(), "text"
    if which == "btrim":
        return called("btrim", node.this, exp.Literal.string(characters)), "text"
    # Of Spark's ltrim and rtrim the first argument is what goes.
    return called(which, exp.Literal.string(characters), node.this), "text"


@rule(exp.Chr)
def character(t, node):
    if len(node.expressions) != 1 or node.args.get("charset"):
        raise Refusal("chr takes one number", node)
    if t.visit(node.expressions[0]) not in ("integer", "unknown"):
        raise t.unclear(node, "chr takes an integer")
    number = node.expressions[0]
    wrong = called("raise_error", "chr of a number that is not from 1 to 255 is not the same on Spark")
    within = exp.Between(this=number.copy(), low=exp.Literal.number(1), high=exp.Literal.number(255))
    return called("if", exp.Or(this=within, expression=exp.Is(this=number.copy(), expression=exp.Null())), called("chr", number.copy()), wrong), "text"


@rule(exp.Like)
def like(t, node):
    want_text(t, node, node.this)
    if not isinstance(node.expression, exp.Literal):
        raise Refusal("LIKE takes its pattern as a literal", node)
    if "\\" in node.expression.name:
        raise Refusal("a backslash in LIKE is an escape on Spark only", node)
    return node, "boolean"


def java_pattern(node: exp.Expression, pattern: exp.Expression) -> exp.Expression:
    if not isinstance(pattern, exp.Literal) or not pattern.is_string:
        raise Refusal("a regular expression is a literal", node)
    try:
        return exp.Literal.string(to_java(pattern.name))
    except UnknownPattern as error:
        raise Refusal(f"the regular expression has {error}, which is not known to be the same on Spark", node) from None


@rule(exp.RegexpLike)
def matches(t, node):
    t.refuse_others(node, "this", "expression")
    want_text(t, node, node.this)
    return called("regexp_like", node.this, java_pattern(node, node.expression)), "boolean"


@rule(exp.RegexpReplace)
def replaced(t, node):
    t.refuse_others(node, "this", "expression", "replacement", "modifiers", "single_replace")
    want_text(t, node, node.this)
    flags = node.args.get("modifiers")
    if flags is None or flags.name != "g":
        raise Refusal("regexp_replace has a rule with the option 'g' only: Spark replaces all that is found", node)
    by = node.args.get("replacement")
    if not isinstance(by, exp.Literal):
        raise Refusal("regexp_replace takes its replacement as a literal", node)
    try:
        text = to_java_replacement(by.name)
    except UnknownPattern as error:
        raise Refusal(f"{error} has no rule", node) from None
    return called("regexp_replace", node.this, java_pattern(node, node.expression), exp.Literal.string(text)), "text"


@rule(exp.GroupConcat)
def text_of_group(t, node):
    """string_agg(text, separator ORDER BY key): rows of equal keys are in the order of their text."""
    t.refuse_others(node, "this", "separator")
    order = node.this
    if not isinstance(order, exp.Order) or len(order.expressions) != 1:
        raise Refusal("string_agg needs ORDER BY one expression: without it its order is nobody's", node)
    ordered = order.expressions[0]
    if ordered.args.get("desc"):
        raise Refusal("string_agg has a rule for ascending order only", node)
    if isinstance(node.parent, (exp.Window, exp.Filter)):
        raise Refusal("string_agg over a window or with FILTER has no rule", node)
    want_text(t, node, order.this)
    united([t.visit(ordered.this)], t, node)
    value, key = order.this, ordered.this
    separator = node.args.get("separator") or exp.Literal.string(",")
    item = called("named_struct", "last", exp.Is(this=key.copy(), expression=exp.Null()), "key", key.copy(), "text", value.copy())
    rows = called("collect_list", called("if", exp.Is(this=value.copy(), expression=exp.Null()), exp.Null(), item))
    texts = called("transform", called("array_sort", rows), exp.Lambda(
        this=exp.Dot(this=exp.to_identifier("item"), expression=exp.to_identifier("text")), expressions=[exp.to_identifier("item")]))
    none = exp.EQ(this=exp.Count(this=value.copy()), expression=exp.Literal.number(0))
    return called("if", none, exp.Null(), called("array_join", texts, separator)), "text"
