"""Hudi tables as tarn writes them (table version 6, no metadata table), by Hudi's own writer; docs/formats/hudi.md."""

from __future__ import annotations

import json
from dataclasses import dataclass

PAYLOAD = "org.apache.hudi.common.model.DefaultHoodieRecordPayload"
LSN_PROPERTY = "tarn.lsn"


@dataclass(frozen=True)
class HudiTable:
    """`database`: silver, quarantine or gold; `identity`: what of the key tells rows apart wherever they stand."""
    path: str
    database: str
    name: str
    key: tuple[str, ...]
    partitions: tuple[str, ...] = ()
    identity: tuple[str, ...] = ()
    merge_on_read: bool = False

    def options(self, parallelism: int) -> dict[str, str]:
        generator = "ComplexKeyGenerator" if self.partitions else "NonpartitionedKeyGenerator"
        return {
            "hoodie.table.name": self.name, "hoodie.database.name": self.database,
            "hoodie.datasource.write.table.type": "MERGE_ON_READ" if self.merge_on_read else "COPY_ON_WRITE",
            "hoodie.datasource.write.recordkey.field": ",".join(self.key),
            "hoodie.datasource.write.partitionpath.field": ",".join(self.partitions),
            "hoodie.datasource.write.precombine.field": "_lsn",
            "hoodie.datasource.write.keygenerator.class": f"org.apache.hudi.keygen.{generator}",
            "hoodie.datasource.write.payload.class": PAYLOAD, "hoodie.compaction.payload.class": PAYLOAD,
            "hoodie.datasource.write.hive_style_partitioning": "true", "hoodie.datasource.write.partitionpath.urlencode": "true",
            "hoodie.metadata.enable": "false", "hoodie.table.timeline.timezone": "UTC", "hoodie.parquet.compression.codec": "zstd",
            "hoodie.datasource.write.commitmeta.key.prefix": "tarn.",
            "hoodie.datasource.write.reconcile.schema": "false", "hoodie.write.set.null.for.missing.columns": "true",
            "hoodie.index.type": "SIMPLE", "hoodie.combine.before.upsert": "true",
            "hoodie.bulkinsert.shuffle.parallelism": str(parallelism), "hoodie.upsert.shuffle.parallelism": str(parallelism),
            "hoodie.insert.shuffle.parallelism": str(parallelism), "hoodie.delete.shuffle.parallelism": str(parallelism),
            "hoodie.simple.index.parallelism": str(parallelism),
        }


def write(frame, table: HudiTable, operation: str, properties: dict[str, str]) -> None:
    """One commit. `operation`: bulk_insert (a new table), insert_overwrite_table (readers see the old or the new), upsert, delete.
    `properties`: of the commit, names begin with "tarn.". Durability: the commit's."""
    parallelism = max(2, frame.sparkSession.sparkContext.defaultParallelism)
    mode = "overwrite" if operation == "bulk_insert" else "append"
    (frame.write.format("hudi").options(**table.options(parallelism)).options(**properties)
     .option("hoodie.datasource.write.operation", operation).mode(mode).save(table.path))


def last_property(files, path: str, name: str) -> str | None:
    """Of the newest completed commit that has it, as far as the active timeline goes; None without one."""
    for file in reversed(files.names(f"{path}/.hoodie")):
        if file.endswith((".commit", ".deltacommit", ".replacecommit")):
            text = files.read(f"{path}/.hoodie/{file}")
            value = (json.loads(text).get("extraMetadata") or {}).get(name) if text else None
            if value is not None:
                return value
    return None


def exists(files, path: str) -> bool:
    return "hoodie.properties" in files.names(f"{path}/.hoodie")


def read(spark, path: str, instant: str = ""):
    """The rows, without Hudi's columns; `instant`: as of it."""
    reader = spark.read.format("hudi")
    if instant:
        reader = reader.option("as.of.instant", instant)
    frame = reader.load(path)
    return frame.select([name for name in frame.columns if not name.startswith("_hoodie_")])
