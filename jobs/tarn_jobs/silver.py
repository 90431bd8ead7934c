"""Silver and quarantine of one table on Spark: a first load, a rebuild, or what is new since the target's bookmark."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from . import hudi_tables
from .bronze import Bronze, Bookmark, TableChanges
from .hudi_tables import LSN_PROPERTY, HudiTable
from .images import BASE, CHANGE, COPY, OURS, at, identity_of, last_images, old_key_of, rows_of
from .lake import Table
from .models import SilverModel
from .rules import SilverRules, all_of
from .source_types import column_types

SEQUENCE_PROPERTY = "tarn.job.manifest"
MONTH = "_month"
REFUSED = ("_rule", "_reason", "_bad", "_refused_op")
UNSURE_KEYS = ("decimal", "date", "timestamp")  # Types of which a source's value may have no place in the lake.


class Unfit(Exception):
    """A table that this job does not make; says why and what does."""


@dataclass
class Outcome:
    table: str
    rows: int = 0  # Changes, or rows of the copy, that were taken in.
    refused: int = 0
    warnings: dict[str, int] | None = None
    mode: str = "nothing new"


def check_fit(table: Table) -> None:
    """Errors: Unfit."""
    if table.is_keyless:
        raise Unfit(f"'{table.name}' has no key: rows that are told apart by their values alone are made by `tarn rebuild`")
    if any(column_types(table)[name].startswith(UNSURE_KEYS) for name in table.key):
        raise Unfit(f"'{table.name}' has a key of numeric, date or time, which may have values without a place in the lake: `tarn rebuild` makes it")


def silver_table(table: Table, target: str) -> HudiTable:
    """Key and partitions as tarn's: the tenant before the source's key, at least two columns where there are partitions."""
    identity = tuple(identity_of(table))
    key = identity
    partitions = tuple(filter(None, (table.tenant_column, MONTH if table.month_of else "")))
    if table.tenant_column and table.tenant_column not in key:
        key = (table.tenant_column, *key)
    if partitions and len(key) < 2:
        key = (partitions[-1], *key)
    return HudiTable(f"{target}/silver/{table.name}", "silver", table.name, key, partitions, identity, merge_on_read=True)


def quarantine_table(table: Table, target: str) -> HudiTable:
    identity = tuple(identity_of(table))
    return HudiTable(f"{target}/quarantine/{table.name}", "quarantine", table.name, identity, (), identity, merge_on_read=True)


class SilverLoad:
    """`files`: reads the target's timeline. One writer a target: two at once are not kept apart."""

    def __init__(self, spark: SparkSession, files, bronze: Bronze, table: Table, model: SilverModel, target: str):
        check_fit(table)
        self.spark, self.files, self.bronze, self.table, self.model = spark, files, bronze, table, model
        self.silver, self.quarantine = silver_table(table, target), quarantine_table(table, target)

    def bookmark(self) -> Bookmark:
        """Of the target's last finished run: a run that was cut off has none, and is done again."""
        if not hudi_tables.exists(self.files, self.silver.path):
            return Bookmark()
        lsn = hudi_tables.last_property(self.files, self.silver.path, LSN_PROPERTY)
        sequence = hudi_tables.last_property(self.files, self.silver.path, SEQUENCE_PROPERTY)
        return Bookmark(int(lsn), int(sequence)) if lsn and sequence else Bookmark()

    def run(self) -> Outcome:
        """Takes in what is new. Durability: when it returns, with the bookmark, in one commit's metadata. Errors: Unfit, LookupError, Refusal."""
        bookmark = self.bookmark()
        new = self.bronze.since(self.table.name, bookmark)
        if new.copy_again:
            raise Unfit(f"'{self.table.name}' waits for a newer copy ({new.copy_again})")
        if new.is_empty and bookmark.lsn:
            return Outcome(self.table.name)
        images = self._images(new)
        is_whole = new.replaces_all
        existing = None if is_whole else self._existing(images)
        if existing is not None:
            images = images.unionByName(self._base(existing, images))
        rules = SilverRules(self.table, self.model, images.schema)
        last = last_images(images, self.table)
        judged = rules.judged(self.spark, last.where("Op <> 'D'")).persist()
        try:
            return self._write(judged, rules, existing, is_whole, new)
        finally:
            judged.unpersist()
            if existing is not None:
                for frame in existing.values():
                    frame.unpersist()

    # --- what is read ---

    def _images(self, new: TableChanges) -> DataFrame:
        parts = [rows_of(self.spark, new.copy, self.table, COPY), rows_of(self.spark, new.changes, self.table, CHANGE)]
        parts = [part for part in parts if part is not None]
        if not parts:  # A copy of no rows.
            columns = {**column_types(self.table), **OURS}
            empty = self.spark.createDataFrame([], ", ".join(f"`{name}` {kind}" for name, kind in columns.items()))
            parts = [empty.withColumn("_at", at(F.lit(COPY)))]
        # What is older is in the target, or in all of the copy.
        images = functools.reduce(DataFrame.unionByName, parts).where(F.col("_lsn") >= new.begin)
        if new.emptied:
            lsn, ordinal = new.emptied
            images = images.where((F.col("_lsn") > lsn) | ((F.col("_lsn") == lsn) & (F.col("_at.kind") == CHANGE) & (F.col("_ordinal") > ordinal)))
        return images

    def _existing(self, images: DataFrame) -> dict[str, DataFrame]:
        """What Silver and quarantine have of the keys that changed, under their old keys too."""
        types = column_types(self.table)
        identity = identity_of(self.table)
        touched = images.select(identity)
        if self.table.key:
            olds = images.where("_old_key IS NOT NULL").select([old_key_of(c, types[c]).alias(c) for c in self.table.key])
            touched = touched.unionByName(olds)
        touched = touched.distinct()
        # Read in full once: what this run writes must not change what it found.
        return {name: hudi_tables.read(self.spark, table.path).join(touched, identity, "left_semi").localCheckpoint()
                for name, table in (("silver", self.silver), ("quarantine", self.quarantine))
                if hudi_tables.exists(self.files, table.path)}

    def _base(self, existing: dict[str, DataFrame], images: DataFrame) -> DataFrame:
        """As images before all others: where untouched values come from. Of a key that both have, the newer row counts."""
        stored = SilverRules(self.table, self.model, images.schema)
        parts = []
        for name, frame in existing.items():
            chosen = []
            for field in images.schema:
                source = (stored.stored_as(field.name) if name == "silver" else field.name) if field.name in self.table.columns else field.name
                if field.name == "Op":
                    value = F.lit("B")
                elif field.name == "_at":
                    value = F.struct(F.lit(-1).cast("bigint").alias("lsn"), F.lit(BASE).alias("kind"),
                                     F.col("_lsn").alias("ordinal"), F.lit(1).alias("half"))
                elif field.name in ("_unchanged", "_old_key", "_bad") or source not in frame.columns:
                    value = F.lit(None).cast(field.dataType)
                else:
                    value = F.col(source).cast(field.dataType)
                chosen.append(value.alias(field.name))
            parts.append(frame.select(chosen))
        return functools.reduce(DataFrame.unionByName, parts)

    # --- what is written ---

    def _month(self, frame: DataFrame, times: str) -> DataFrame:
        return frame.withColumn(MONTH, F.date_format(times, "yyyy-MM")) if self.table.month_of else frame

    def _silver_rows(self, judged: DataFrame, rules: SilverRules) -> DataFrame:
        rows = self._month(judged.where("_rule IS NULL"), self.table.month_of)
        return rows.select([c.name for c in rules.shape] + ["_lsn"] + (["_ordinal"] if self.table.append_only else [])
                           + ([MONTH] if self.table.month_of else []))

    def _quarantine_rows(self, judged: DataFrame) -> DataFrame:
        rows = self._month(judged.where("_rule IS NOT NULL"), f"_row.{self.table.month_of}").withColumn("_refused_op", F.col("Op"))
        return rows.select([F.col(f"_row.{name}").alias(name) for name in self.table.columns] + ["_lsn"]
                           + (["_ordinal"] if self.table.append_only else []) + ([MONTH] if self.table.month_of else []) + list(REFUSED))

    def _write(self, judged: DataFrame, rules: SilverRules, existing, is_whole: bool, new: TableChanges) -> Outcome:
        outcome = self._counted(judged, "copied" if new.copy_position else "emptied, then changes" if is_whole else "changes")
        behind = self.bronze.bookmark_behind(new)
        bookmark = {LSN_PROPERTY: str(behind.lsn), SEQUENCE_PROPERTY: str(behind.sequence)}
        accepted, refused = self._silver_rows(judged, rules), self._quarantine_rows(judged)
        if is_whole:
            self._replace(self.quarantine, refused, {})
            self._replace(self.silver, accepted, bookmark)
            return outcome
        # Rows are written under their new keys before they are taken from where they were: cut off in between, none is lost.
        if outcome.refused:
            hudi_tables.write(refused, self.quarantine, "upsert" if hudi_tables.exists(self.files, self.quarantine.path) else "bulk_insert", {})
        if "quarantine" in existing:
            self._delete(existing["quarantine"], refused, self.quarantine, {})
        gone = self._gone(existing["silver"], accepted, self.silver)
        has_gone = not gone.isEmpty()
        hudi_tables.write(accepted, self.silver, "upsert", {} if has_gone else bookmark)
        if has_gone:
            hudi_tables.write(gone, self.silver, "delete", bookmark)
        return outcome

    def _counted(self, judged: DataFrame, mode: str) -> Outcome:
        """Errors: Unfit when a rule says stop."""
        named = [rule.name for rule in self.model.rules if rule.action == "warn"]
        warned = [F.count_if(F.array_contains("_warnings", name)) for name in named]
        stopped = F.min(F.when(F.size("_stopped") > 0, F.element_at("_stopped", 1)))
        total, refused, stop, *warnings = judged.agg(F.count("*"), F.count("_rule"), stopped, *warned).first()
        if stop is not None:
            raise Unfit(f"a row of '{self.table.name}' breaks the rule '{stop}', which says stop")
        return Outcome(self.table.name, total, refused, {name: count for name, count in zip(named, warnings) if count}, mode)

    def _replace(self, table: HudiTable, rows: DataFrame, properties: dict[str, str]) -> None:
        operation = "insert_overwrite_table" if hudi_tables.exists(self.files, table.path) else "bulk_insert"
        hudi_tables.write(rows, table, operation, properties)

    @staticmethod
    def _gone(existing: DataFrame, kept: DataFrame, table: HudiTable) -> DataFrame:
        """Rows of the target whose key is gone, or stands in another partition or table now."""
        place = [*dict.fromkeys((*table.identity, *table.key, *table.partitions))]
        old, new = existing.alias("old"), kept.select(place).distinct().alias("new")
        match = all_of([F.col(f"old.{name}").eqNullSafe(F.col(f"new.{name}")) for name in place])
        return old.join(new, match, "left_anti")

    def _delete(self, existing: DataFrame, kept: DataFrame, table: HudiTable, properties: dict[str, str]) -> None:
        gone = self._gone(existing, kept, table)
        if not gone.isEmpty():
            hudi_tables.write(gone, table, "delete", properties)
