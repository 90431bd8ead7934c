"""models/silver and models/gold as they stand in their files."""

from __future__ import annotations

from dataclasses import dataclass, field

import sqlglot
import yaml
from sqlglot import exp
from sqlglot.errors import ParseError

from .refusal import Refusal


@dataclass(frozen=True)
class Rule:
    """`line`, `column`: where `check` begins in its file."""
    name: str
    check: str
    explain: str
    action: str
    line: int
    column: int


@dataclass(frozen=True)
class SilverModel:
    table: str
    file: str = ""
    month_of: str = ""
    rules: tuple[Rule, ...] = ()
    select: str = ""
    select_file: str = ""


@dataclass(frozen=True)
class GoldModel:
    name: str
    file: str
    sql: str
    key: tuple[str, ...]
    partition: str = ""
    reads: frozenset[str] = field(default_factory=frozenset)


def _places(node: yaml.Node) -> dict[tuple, tuple[int, int]]:
    """Where the check of each rule begins, by its number."""
    found = {}
    for key, value in node.value if isinstance(node, yaml.MappingNode) else []:
        if key.value != "rules":
            continue
        for number, rule in enumerate(value.value):
            for name, check in rule.value:
                if name.value == "check":
                    mark = check.start_mark
                    # A block's text begins on the line behind its sign.
                    block = check.style in ("|", ">")
                    found[number] = (mark.line + (2 if block else 1), mark.column + (1 if not check.style or block else 2))
    return found


def silver_models(files, folder: str) -> dict[str, SilverModel]:
    """By table. `folder`: models/. Errors: Refusal names the file."""
    found: dict[str, SilverModel] = {}
    names = files.names(f"{folder}/silver")
    for name in names:
        if not name.endswith(".yml"):
            continue
        path = f"{folder}/silver/{name}"
        text = files.read(path)
        try:
            root, places = yaml.safe_load(text), _places(yaml.compose(text))
        except yaml.YAMLError as error:
            raise Refusal(f"{path}: {error}") from None
        rules = tuple(Rule(rule["name"], str(rule["check"]), rule.get("explain", ""), rule.get("action", "quarantine"), *places[number])
                      for number, rule in enumerate(root.get("rules") or []))
        found[root["table"]] = SilverModel(root["table"], path, root.get("month_of", ""), rules)
    for name in names:
        if name.endswith(".sql"):
            table, path = name.removesuffix(".sql"), f"{folder}/silver/{name}"
            before = found.get(table, SilverModel(table))
            found[table] = SilverModel(table, before.file, before.month_of, before.rules, files.read(path), path)
    return found


def references(sql: str) -> frozenset[str]:
    """Tables that a SELECT reads, in lower case, without those that it makes itself by WITH. None are known of what cannot be read."""
    try:
        tree = sqlglot.parse_one(sql, read="duckdb")
    except ParseError:
        return frozenset()
    own = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    return frozenset(table.name.lower() for table in tree.find_all(exp.Table)) - own


def gold_models(files, folder: str) -> list[GoldModel]:
    """In an order in which each comes behind those that it reads. Errors: Refusal names the file."""
    models = {}
    for name in files.names(f"{folder}/gold"):
        if not name.endswith(".sql"):
            continue
        path = f"{folder}/gold/{name}"
        sql = files.read(path)
        described = yaml.safe_load(files.read(path.removesuffix(".sql") + ".yml"))
        models[name.removesuffix(".sql")] = GoldModel(name.removesuffix(".sql"), path, sql, tuple(described["key"]),
                                                      described.get("partition", ""), references(sql))
    ordered: list[GoldModel] = []
    state: dict[str, int] = {}

    def visit(name: str) -> None:
        if state.get(name) == 2:
            return
        if state.get(name) == 1:
            raise Refusal(f"{models[name].file}: the model reads itself, through others")
        state[name] = 1
        for other in sorted(models[name].reads & models.keys()):
            visit(other)
        state[name] = 2
        ordered.append(models[name])
    for name in models:
        visit(name)
    return ordered
