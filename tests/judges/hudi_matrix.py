"""Which tables Spark makes for tarn to read, and by what steps. Shared by the program that makes them and the test."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

BUNDLES = ("0.15.0", "1.0.2", "1.2.0")
KEYGEN = "org.apache.hudi.keygen."
PAYLOAD = "org.apache.hudi.common.model."
# What happens to each table: first rows, then changes of every kind.
COMMON = ("insert", "upsert", "late", "delete", "widen", "upsert")


@dataclass(frozen=True)
class Case:
    """One table."""
    name: str
    type: str = "mor"
    keygen: str = "Simple"
    keys: tuple[str, ...] = ("id",)
    partitions: tuple[str, ...] = ("city",)
    hive: bool = False
    steps: tuple[str, ...] = COMMON
    options: dict[str, str] = field(default_factory=dict, hash=False)
    version: int = 0  # Table version to write; 0: the bundle's own.
    bundles: tuple[str, ...] = BUNDLES
    refused: str = ""  # What tarn's error names, where tarn does not read the table.
    from_path: tuple[str, ...] = ()  # Columns that 0.15.0 reads from the folder's name, which has less than the files.


    def keeps_late_rows(self) -> bool:
        """Whether some rows lose against older ones, or are combined with them. Of those Spark's incremental read gives what the
        commits wrote; tarn gives the table's rows."""
        return any(step in ("late", "late_sparse", "sparse", "merge_into") for step in self.steps)


def payload(name: str, **more: str) -> dict[str, str]:
    return {"hoodie.datasource.write.payload.class": PAYLOAD + name, **more}


def merge_mode(mode: str) -> dict[str, str]:
    return {"hoodie.write.record.merge.mode": mode}


CDC = {"hoodie.table.cdc.enabled": "true"}
PARQUET_LOGS = {"hoodie.logfile.data.block.format": "parquet"}
# Through Avro from the start: Spark's bulk insert writes lists in a form that its own upsert cannot read.
NESTED = {"nested": "yes", "hoodie.datasource.write.row.writer.enable": "false"}
NO_META = {"hoodie.populate.meta.fields": "false"}
SMALL_ARCHIVE = {"hoodie.keep.min.commits": "4", "hoodie.keep.max.commits": "5", "hoodie.clean.commits.retained": "2",
                 "hoodie.commits.archival.batch": "1"}
MARKED = payload("DefaultHoodieRecordPayload", **{"hoodie.payload.delete.field": "name", "hoodie.payload.delete.marker": "gone"})
MANY = ("insert",) + ("upsert",) * 9
OLD = ("0.15.0",)
NEW = ("1.0.2", "1.2.0")

CASES = (
    Case("mor_default"),
    Case("cow_default", type="cow", keygen="Complex", keys=("id", "country"), partitions=("country", "city"), hive=True),
    Case("mor_event_time", keygen="Nonpartitioned", partitions=(), options=payload("DefaultHoodieRecordPayload")),
    Case("mor_overwrite", keygen="Complex", keys=("id", "country"), partitions=("country", "city"), options=payload("OverwriteWithLatestAvroPayload") | PARQUET_LOGS,
         steps=("insert", "upsert", "late", "late", "delete", "upsert", "mark_deleted")),
    Case("cow_cdc", type="cow", hive=True, options=CDC | {"hoodie.table.cdc.supplemental.logging.mode": "data_before_after"}, steps=("insert", "upsert", "delete", "upsert")),
    # Before 1.2.0 Spark tells of one and the same row for each that an overwrite takes away.
    Case("cow_cdc_replaced", type="cow", options=CDC, steps=("insert", "upsert", "delete", "upsert", "overwrite"), bundles=("1.2.0",)),
    Case("mor_cdc", options=CDC | payload("DefaultHoodieRecordPayload"), steps=("insert", "upsert", "late", "delete", "upsert")),
    Case("mor_timestamp", keygen="TimestampBased", partitions=("ts",), options={
        "hoodie.keygen.timebased.timestamp.type": "EPOCHMILLISECONDS", "hoodie.keygen.timebased.output.dateformat": "yyyy/MM/dd",
        "hoodie.keygen.timebased.timezone": "UTC"}, steps=("insert", "insert", "delete", "upsert_same_ts"), bundles=NEW),
    Case("cow_custom", type="cow", keygen="Custom", partitions=("country:SIMPLE", "ts:TIMESTAMP"), hive=True, options={
        "hoodie.keygen.timebased.timestamp.type": "EPOCHMILLISECONDS", "hoodie.keygen.timebased.output.dateformat": "yyyyMMdd",
        "hoodie.keygen.timebased.timezone": "UTC"}, steps=("insert", "insert", "delete"), from_path=("ts",)),
    Case("mor_partial", options=payload("PartialUpdateAvroPayload"), steps=("insert", "sparse", "late_sparse", "delete", "sparse", "upsert")),
    Case("mor_non_defaults", partitions=(), keygen="Nonpartitioned", options=payload("OverwriteNonDefaultsWithLatestAvroPayload"),
         steps=("insert", "sparse", "sparse", "delete", "upsert")),
    Case("mor_delete_marker", options=MARKED, steps=("insert", "upsert", "mark_gone", "upsert", "mark_deleted")),
    Case("mor_services", hive=True, options=payload("DefaultHoodieRecordPayload"), steps=("insert", "upsert", "compact", "upsert", "plan_compaction", "upsert", "delete", "rollback", "upsert")),
    Case("cow_services", type="cow", steps=("insert", "insert", "cluster", "upsert", "overwrite", "upsert", "delete_partition", "savepoint", "upsert", "restore")),
    Case("mor_replaced", options=payload("DefaultHoodieRecordPayload"), steps=("insert", "upsert", "overwrite", "upsert", "cluster", "upsert", "overwrite_table", "upsert")),
    Case("mor_archived", options=SMALL_ARCHIVE | {"hoodie.compact.inline.max.delta.commits": "3", "hoodie.compact.inline": "true"}, steps=MANY),
    Case("mor_archived_logs", options=SMALL_ARCHIVE, steps=MANY, bundles=NEW),
    Case("cow_no_meta", type="cow", options=NO_META, steps=("insert", "upsert", "delete")),
    Case("mor_no_meta", options=NO_META | payload("DefaultHoodieRecordPayload"), steps=("insert", "upsert", "delete", "upsert"), bundles=("1.2.0",)),
    Case("mor_text_order", options={"order": "name"} | payload("DefaultHoodieRecordPayload"), steps=("insert", "upsert", "late", "delete", "upsert")),
    Case("mor_double_order", options={"order": "price"} | payload("DefaultHoodieRecordPayload"), steps=("insert", "upsert", "late", "delete", "upsert")),
    Case("mor_decimal_order", options={"order": "amount"} | payload("DefaultHoodieRecordPayload"), steps=("insert", "upsert", "late", "delete", "upsert"), bundles=("1.0.2",)),
    Case("mor_two_orders", options={"order": "ts,name"} | payload("DefaultHoodieRecordPayload"), steps=("insert", "upsert", "late", "delete", "upsert"), bundles=("1.2.0",)),
    Case("mor_commit_time", options=merge_mode("COMMIT_TIME_ORDERING"), steps=("insert", "upsert", "late", "delete", "late"), bundles=NEW),
    Case("mor_merge_into", options=merge_mode("EVENT_TIME_ORDERING"), steps=("insert", "upsert", "merge_into", "late", "merge_into"), bundles=NEW),
    Case("mor_bucket", options={"hoodie.index.type": "BUCKET", "hoodie.bucket.index.num.buckets": "2"}),
    Case("mor_nested", options=NESTED, steps=("insert", "upsert", "delete", "upsert"), hive=True),
    Case("cow_nested", type="cow", options=NESTED, steps=("insert", "upsert"), partitions=(), keygen="Nonpartitioned"),
    Case("mor_empty", steps=("insert", "delete_all")),
    Case("cow_drop_partition", type="cow", options={"hoodie.datasource.write.drop.partition.columns": "true"}, steps=("insert", "upsert"), hive=True,
         refused="hoodie.datasource.write.drop.partition.columns"),
    Case("mor_v6", version=6, bundles=NEW), Case("mor_v8", version=8, bundles=("1.2.0",)),
)


OLDEST, MIDDLE, NEWEST = BUNDLES
# Which bundles make a table where it is drawn; with --all-hudi-tables all of the case's do, and of every case. Each case has one at least, and each
# bundle each table type, kind of partitions, and way of merging.
USUAL = {
    "mor_default": (NEWEST,), "cow_default": (OLDEST,), "mor_event_time": (OLDEST,), "mor_overwrite": (OLDEST,),
    "cow_cdc": (OLDEST,), "cow_cdc_replaced": (NEWEST,), "mor_cdc": (MIDDLE,), "mor_timestamp": (MIDDLE,), "cow_custom": (NEWEST,), "mor_partial": (OLDEST, NEWEST),
    "mor_non_defaults": (OLDEST, MIDDLE), "mor_delete_marker": (NEWEST,), "mor_services": (OLDEST, NEWEST), "cow_services": (MIDDLE,),
    "mor_replaced": (NEWEST,), "mor_archived": (OLDEST,), "mor_archived_logs": (MIDDLE,), "cow_no_meta": (OLDEST,), "mor_no_meta": (NEWEST,),
    "mor_text_order": (MIDDLE,), "mor_double_order": (OLDEST,), "mor_decimal_order": (MIDDLE,), "mor_two_orders": (NEWEST,),
    "mor_commit_time": (MIDDLE,), "mor_merge_into": (NEWEST,), "mor_bucket": (MIDDLE,), "mor_nested": (OLDEST, NEWEST), "cow_nested": (MIDDLE,),
    "mor_empty": (NEWEST,), "cow_drop_partition": (OLDEST,), "mor_v6": (MIDDLE,), "mor_v8": (NEWEST,)}


# Merge-on-read, layout 2, with logs and archived instants: what tests damage.
DAMAGED = "mor_archived_logs"


def drawn(seed: int) -> set[str]:
    """Half of the cases: others with another seed."""
    return {DAMAGED, *random.Random(seed).sample([case.name for case in CASES], len(CASES) // 2)}


def cases_of(bundle: str, everything: bool, seed: int | None = None) -> list[Case]:
    """All, or the usual ones; of those the drawn ones where there is a seed."""
    if everything:
        return [case for case in CASES if bundle in case.bundles]
    names = drawn(seed) if seed is not None else set(USUAL)
    return [case for case in CASES if bundle in USUAL[case.name] and case.name in names]
