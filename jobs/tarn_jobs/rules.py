"""A Silver model over a table's rows: its SELECT list, then its checks."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from .lake import Table
from .models import SilverModel
from .refusal import Refusal
from .session import families, strict
from .source_types import may_be_untouched
from .translator import translate_condition, translate_select_list

HIDDEN = "_source_"


@dataclass(frozen=True)
class ShapeColumn:
    """A column of Silver: `copied_from` names the source's column that it is, or is empty; then `expression` makes it."""
    name: str
    expression: str
    copied_from: str


class SilverRules:
    """`schema`: of the table's images."""

    def __init__(self, table: Table, model: SilverModel, schema: T.StructType):
        self.table, self.model = table, model
        known = families(schema)
        self.shape = [ShapeColumn(name, f"`{name}`", name) for name in table.columns]
        if model.select:
            columns = {name.lower(): known[name.lower()] for name in table.columns}
            selected = translate_select_list(model.select, table.name, columns, model.select_file)
            self.shape = [ShapeColumn(*item[:3]) for item in selected]
            self._check_kept()
            for name in table.columns:
                if not table.append_only and may_be_untouched(table, name) and not self.stored_as(name):
                    self.shape.append(ShapeColumn(HIDDEN + name, f"`{name}`", name))

    def _check_kept(self) -> None:
        needed = {*self.table.key, *filter(None, (self.table.tenant_column, self.table.month_of))}
        for name in sorted(needed):
            if not any(column.name == name and column.copied_from == name for column in self.shape):
                raise Refusal(f"{self.model.select_file}: the column '{name}' must be in the select list as it is: rows are found again by it")

    def stored_as(self, source_column: str) -> str:
        """The column of Silver that is a copy of it; empty when there is none."""
        return next((c.name for c in self.shape if c.copied_from == source_column), "")

    def derived(self, spark: SparkSession, rows: DataFrame) -> DataFrame:
        """Silver's columns, behind them what of Bronze's is not among them; the source's own stand in `_row`."""
        others = [name for name in rows.columns if name not in self.table.columns]
        whole = F.struct(*[F.col(name) for name in self.table.columns]).alias("_row")
        with strict(spark):
            rows = rows.alias("changes")
            return rows.select([F.expr(c.expression).alias(c.name) for c in self.shape] + [F.col(name) for name in others] + [whole])

    def judged(self, spark: SparkSession, rows: DataFrame) -> DataFrame:
        """With `_rule` and `_reason`, NULL for a row that Silver takes, and `_warnings` and `_stopped`, names of rules. Only FALSE breaks a rule."""
        derived = self.derived(spark, rows)
        known = families(T.StructType([field for field in derived.schema if field.name != "_row"]))
        verdict = F.when(F.col("_bad").isNotNull(), F.struct(
            F.lit("type").alias("_rule"), F.concat(F.lit("a value has no place in the lake's type: "), "_bad").alias("_reason")))
        broken: dict[str, list] = {"warn": [], "stop": []}
        with strict(spark):
            derived = derived.alias("changes")
            for rule in self.model.rules:
                condition = translate_condition(rule.check, known, self.model.file, rule.line, rule.column)
                breaks = F.coalesce(~F.expr(condition), F.lit(False))
                if rule.action == "quarantine":
                    verdict = verdict.when(breaks, F.struct(F.lit(rule.name).alias("_rule"), F.lit(rule.explain or rule.check).alias("_reason")))
                else:
                    broken[rule.action].append(F.when(breaks, F.lit(rule.name)))
            named = {action: F.array_compact(F.array(*names)) if names else F.array().cast("array<string>") for action, names in broken.items()}
            judged = derived.select("*", verdict.alias("_verdict"), named["warn"].alias("_warnings"), named["stop"].alias("_stopped"))
        return judged.select("*", F.col("_verdict._rule").alias("_rule"), F.col("_verdict._reason").alias("_reason")).drop("_verdict")


def all_of(conditions):
    return functools.reduce(lambda left, right: left & right, conditions)
