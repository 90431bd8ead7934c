"""What of a folder of models has no equal on Spark. Needs no Spark."""

from __future__ import annotations

from .lake import Table
from .models import SilverModel, gold_models, silver_models
from .refusal import Refusal
from .source_types import column_types
from .translator import Columns, translate, translate_condition, translate_select_list

OURS = {"_lsn": "integer"}
FAMILIES = {"boolean": "boolean", "int": "integer", "bigint": "integer", "float": "float", "double": "double", "date": "date",
            "timestamp": "tz", "string": "text", "binary": "bytes"}


def families(table: Table) -> Columns:
    """Of a source table's columns, in lower case."""
    return {name.lower(): "decimal" if kind.startswith("decimal") else FAMILIES[kind] for name, kind in column_types(table).items()}


def refusals(files, folder: str, tables: dict[str, Table] | None) -> list[Refusal]:
    """Of every Silver rule, SELECT list and Gold model. `tables`: of the lake; without them types are not looked at."""
    found: list[Refusal] = []
    columns: dict[str, Columns] | None = None if tables is None else {name.lower(): families(table) | OURS for name, table in tables.items()}
    for model in silver_models(files, folder).values():
        own = columns.get(model.table.lower()) if columns is not None else None
        found += _silver(model, own, columns)
    for model in gold_models(files, folder):
        try:
            _, result = translate(model.sql, columns, 0, model.file)
            if columns is not None:
                columns[model.name.lower()] = {name.lower(): family for name, family in result.items()}
        except Refusal as refusal:
            found.append(refusal)
    return found


def _silver(model: SilverModel, own: Columns | None, columns: dict[str, Columns] | None) -> list[Refusal]:
    """Puts what the SELECT makes of the table in place of its columns."""
    found: list[Refusal] = []
    known = own
    if model.select:
        try:
            if own is None:
                translate(model.select, None, 0, model.select_file)
            else:
                known = {name.lower(): family for name, _, _, family in translate_select_list(model.select, model.table, own, model.select_file)} | OURS
                columns[model.table.lower()] = known
        except Refusal as refusal:
            found.append(refusal)
            return found
    for rule in model.rules:
        try:
            translate_condition(rule.check, known, model.file, rule.line, rule.column)
        except Refusal as refusal:
            found.append(refusal)
    return found
