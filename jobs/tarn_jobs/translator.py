"""A SELECT in DuckDB's dialect as one that gives the same rows on Spark 3.5 (ANSI mode, session in UTC).

sqlglot reads the statement, says which column is whose, and writes it for Spark. What it writes is not always the same
question: Spark divides, rounds, counts months and orders NULLs in other ways. So every construct is one of three here:
known to be the same (`same`), rewritten by a rule (`expressions`, `casts`, `times`, `text`), or refused with its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import sqlglot
from sqlglot import exp
from sqlglot.errors import OptimizeError, ParseError
from sqlglot.optimizer.qualify import qualify

from .refusal import Refusal, located, note_place

# A column's type, as far as a rule asks for it: integer, decimal, double, float, text, boolean, bytes, date, tz (a moment),
# naive (a time of day on a date, in no zone), interval, null, unknown.
Family = str
Columns = dict[str, Family]
Rule = Callable[["Translator", exp.Expression], tuple[exp.Expression, Family]]
RULES: dict[type[exp.Expression], Rule] = {}


def rule(*kinds: type[exp.Expression]):
    """Marks how a construct is translated: gives what stands in its place, and its family."""
    def keep(function: Rule) -> Rule:
        for kind in kinds:
            RULES[kind] = function
        return function
    return keep


class Translator:
    """Of one statement. `as_of_micros`: what as_of() is. Without `tables` columns are of an unknown family, and what
    depends on it is let pass: good for looking, not for running."""

    def __init__(self, tables: dict[str, Columns] | None, as_of_micros: int):
        self.tables, self.as_of_micros = tables, as_of_micros
        self.sources: dict[str, Columns | None] = {}
        self.projected: Columns = {}

    @property
    def is_looking(self) -> bool:
        return self.tables is None

    def visit(self, node: exp.Expression) -> Family:
        """Puts what Spark wants in the node's place, and gives its family. Errors: Refusal."""
        found = RULES.get(type(node))
        if found is None:
            raise Refusal(f"{construct(node)} has no equal on Spark that we know of", node)
        new, family = found(self, node)
        if new is not node:
            node.replace(new)
        return family

    def visit_all(self, nodes) -> list[Family]:
        return [self.visit(node) for node in list(nodes)]

    def refuse_others(self, node: exp.Expression, *known: str) -> None:
        """Parts of a construct that no rule looks at."""
        for name, value in node.args.items():
            if name not in known and value not in (None, False, []):
                raise Refusal(f"'{name.rstrip('_').upper().replace('_', ' ')}' of {construct(node)} has no equal on Spark that we know of", node)

    def unclear(self, node: exp.Expression, what: str) -> Refusal:
        return Refusal(f"{what}: CAST it to the type that is meant", node)

    # --- queries ---

    def query(self, node: exp.Expression, ctes: dict[str, Columns | None]) -> Columns | None:
        """Gives the columns of its result; None when they are not known (only while looking)."""
        if isinstance(node, exp.Subquery):
            self.refuse_others(node, "this", "alias")
            return self.query(node.this, ctes)
        if with_ := node.args.get("with_"):
            if with_.args.get("recursive"):
                raise Refusal("WITH RECURSIVE has no equal on Spark", node)
            for cte in with_.expressions:
                if cte.args["alias"].columns:
                    raise Refusal("names for the columns of a WITH have no rule: name them in its SELECT", cte)
                ctes = {**ctes, cte.alias.lower(): self.query(cte.this, ctes)}
        if isinstance(node, exp.SetOperation):
            return self._both(node, ctes)
        if not isinstance(node, exp.Select):
            raise Refusal(f"{construct(node)} is no SELECT", node)
        return self._select(node, ctes)

    def _both(self, node: exp.SetOperation, ctes) -> Columns | None:
        self.refuse_others(node, "this", "expression", "with_", "distinct", "order", "limit")
        left, right = self.query(node.this, ctes), self.query(node.expression, ctes)
        if left is None or right is None:
            return None
        if node.args.get("order"):
            self.projected, self.sources = left, {}
            self.visit_all(node.args["order"].expressions)
        return {name: united([family, other], self, node) for (name, family), other in zip(left.items(), right.values())}

    def _select(self, node: exp.Select, ctes) -> Columns | None:
        self.refuse_others(node, "with_", "expressions", "from_", "joins", "where", "group", "having", "qualify", "windows", "order",
                           "limit", "distinct", "kind")
        sources: dict[str, Columns | None] = {}
        joins = node.args.get("joins") or []
        for item in ([node.args["from_"].this] if node.args.get("from_") else []) + [join.this for join in joins]:
            sources[item.alias_or_name.lower()] = self._source(item, ctes)
        outer = self.sources, self.projected
        self.sources, self.projected = sources, {}
        for join in joins:
            self._join(join)
        if where := node.args.get("where"):
            self.visit(where.this)
        if distinct := node.args.get("distinct"):
            self.refuse_others(distinct)
        columns = self._projections(node)
        self.projected = columns or {}
        for part in ("having", "qualify"):
            if node.args.get(part):
                self.visit(node.args[part].this)
        if group := node.args.get("group"):
            self.refuse_others(group, "expressions", "all")
            self.visit_all(group.expressions)
        self.visit_all(node.args.get("windows") or [])
        if order := node.args.get("order"):
            self.visit_all(order.expressions)
        if node.args.get("limit") and not isinstance(node.args["limit"].expression, exp.Literal):
            raise Refusal("LIMIT takes a number only", node)
        self.sources, self.projected = outer
        return columns

    def _source(self, item: exp.Expression, ctes) -> Columns | None:
        if isinstance(item, exp.Subquery):
            return self.query(item, ctes)
        if not isinstance(item, exp.Table) or not isinstance(item.this, exp.Identifier):
            raise Refusal(f"{construct(item)} in FROM has no equal on Spark that we know of", item)
        self.refuse_others(item, "this", "alias", "db")
        name = item.name.lower()
        if not item.args.get("db") and name in ctes:
            return ctes[name]
        if self.tables is None:
            return None
        if name not in self.tables:
            raise Refusal(f"'{item.name}' is neither a table of silver nor a model of gold", item)
        item.set("db", None)
        return self.tables[name]

    def _join(self, join: exp.Join) -> None:
        if method := join.args.get("method"):
            raise Refusal(f"{method} JOIN has no equal on Spark that we know of", join)
        self.refuse_others(join, "this", "on", "side", "kind", "using")
        if join.kind not in ("", "INNER", "CROSS", "OUTER", "SEMI", "ANTI"):
            raise Refusal(f"{join.kind} JOIN has no equal on Spark that we know of", join)
        if join.args.get("on"):
            self.visit(join.args["on"])

    def _projections(self, node: exp.Select) -> Columns | None:
        columns: Columns = {}
        is_open = False
        for item in list(node.expressions):
            if isinstance(item, exp.Star) or (isinstance(item, exp.Column) and isinstance(item.this, exp.Star)):
                if not self.is_looking:
                    raise Refusal("'*' of a table whose columns are not known", item)
                is_open = True
                continue
            name = item.alias_or_name
            columns[name.lower()] = self.visit(item)
        return None if is_open else columns


def construct(node: exp.Expression) -> str:
    """What its author calls it."""
    if isinstance(node, exp.Anonymous):
        return f"the function {node.name}"
    if isinstance(node, exp.Func):
        return f"the function {node.sql_name().lower()}"
    return f"'{node.key}'"


NUMBERS = ("integer", "decimal", "double", "float")


def united(families: list[Family], translator: Translator, node: exp.Expression) -> Family:
    """Of values that stand in one column. Errors: Refusal when Spark would find another type for them."""
    known = [family for family in families if family not in ("null", "unknown")]
    if not known:
        return families[0] if families else "null"
    if all(family in NUMBERS for family in known):
        return max(known, key=("integer", "decimal", "float", "double").index)
    if len(set(known)) == 1:
        return known[0]
    if set(known) <= {"date", "naive", "tz"}:
        return "tz" if "tz" in known else "naive"
    raise translator.unclear(node, f"values of different types meet ({', '.join(sorted(set(known)))})")


def translate(sql: str, tables: dict[str, Columns] | None, as_of_micros: int, file: str = "statement") -> tuple[str, Columns]:
    """The statement for Spark, and the columns of its result. `tables`: what it may read, in lower case; None: the statement is only
    looked at, and nothing comes of it. Errors: Refusal with file, line, column."""
    try:
        tree, columns = _translated(sql, tables, as_of_micros)
    except Refusal as refusal:
        raise located(refusal, file) from None
    return (tree.sql("spark", comments=False), columns) if tables is not None else ("", {})


def translate_condition(condition: str, columns: Columns | None, file: str, line: int, column: int) -> str:
    """Over one row of a table that Spark knows as `changes`. `line`, `column`: where it stands in the file."""
    try:
        tree, result = _translated(f"SELECT\n{condition}\nAS verdict FROM changes", None if columns is None else {"changes": columns}, 0)
        if columns is not None and result["verdict"] not in ("boolean", "null"):
            raise Refusal(f"a condition is wanted, not {result['verdict']}", line=2, column=1)
    except Refusal as refusal:
        refusal.line = max(1, refusal.line - 1)  # The first line is ours.
        raise located(refusal, file, line, column) from None
    return tree.selects[0].this.sql("spark", comments=False)


def translate_select_list(sql: str, table: str, columns: Columns, file: str) -> list[tuple[str, str, str, Family]]:
    """Of models/silver: name, expression over a row of `changes`, the column that it is a copy of or "", and its family. Errors: Refusal."""
    try:
        tree, result = _translated(sql, {table.lower(): columns}, 0)
        others = [name for name, value in tree.args.items() if value and name not in ("expressions", "from_", "kind")]
        if not isinstance(tree, exp.Select) or others or not isinstance(tree.args["from_"].this, exp.Table):
            raise Refusal(f"a SELECT over '{table}' alone is wanted, with nothing but its columns", tree)
    except Refusal as refusal:
        raise located(refusal, file) from None
    found = []
    for item, (name, family) in zip(tree.selects, result.items()):
        for column in item.find_all(exp.Column):
            column.set("table", exp.to_identifier("changes", quoted=True))
        value = item.this if isinstance(item, exp.Alias) else item
        found.append((name, value.sql("spark", comments=False), value.name if isinstance(value, exp.Column) else "", family))
    return found


def _own_names(tree: exp.Expression) -> list[str]:
    """Of its columns as they are written; none where a star leaves them open."""
    return [] if any(item.is_star for item in tree.selects) else [item.alias_or_name for item in tree.selects]


def _translated(sql: str, tables: dict[str, Columns] | None, as_of_micros: int) -> tuple[exp.Expression, Columns]:
    try:
        return _parsed_and_translated(sql, tables, as_of_micros)
    except Refusal as refusal:
        if not refusal.line:
            note_place(refusal, sql)
        raise


def _parsed_and_translated(sql: str, tables: dict[str, Columns] | None, as_of_micros: int) -> tuple[exp.Expression, Columns]:
    try:
        statements = sqlglot.parse(sql, read="duckdb")
    except ParseError as error:
        at = error.errors[0] if error.errors else {}
        raise Refusal(f"cannot be read: {at.get('description', error)}", line=at.get("line") or 1, column=at.get("col") or 1) from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise Refusal("one SELECT is wanted", line=1, column=1)
    tree = statements[0]
    # Once before names are filled in: places are whole then, and what has no equal needs no types to be seen.
    Translator(None, as_of_micros).query(tree.copy(), {})
    if tables is None:
        return tree, {}
    names = _own_names(tree)
    schema = {name: dict.fromkeys(columns, "TEXT") for name, columns in tables.items()}
    own = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if table.name.lower() not in own | tables.keys():
            raise Refusal(f"'{table.name}' is neither a table of silver nor a model of gold", table)
        table.set("db", None)
    try:
        tree = qualify(tree, dialect="duckdb", schema=schema, quote_identifiers=True)
    except OptimizeError as error:
        place = re.search(r"\.? Line: (\d+), Col: (\d+)", str(error))
        message = str(error)[:place.start()] if place else str(error)
        raise Refusal(message, line=int(place[1]) if place else 1, column=int(place[2]) if place else 1) from None
    columns = Translator(tables, as_of_micros).query(tree, {})
    return tree, dict(zip(names, columns.values())) if names else columns


# The rules add themselves to RULES.
from . import casts, expressions, text, times  # noqa: E402, F401
