"""Reads of tables by tarn itself and by hudi-rs, in the oracle's form."""

from __future__ import annotations

import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from oracle import COMMITTED, View

from support.tarn import hudi_rows

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
NUMBERS = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}


def of_tarn(value, kind: str):
    if value is None:
        return None
    if kind == "date":
        return datetime.date.fromisoformat(value).toordinal() - EPOCH.toordinal()
    if kind == "time":
        return (datetime.datetime.fromisoformat(value) - EPOCH) // datetime.timedelta(microseconds=1)
    if kind == "bytes":
        return value.removeprefix("\\x")
    return NUMBERS.get(value, value) if kind in ("float", "double") else value


ARGUMENTS = {"latest": lambda view: [], "as of": lambda view: ["--as-of", view.end], "read optimized": lambda view: ["--read-optimized"],
             "increment": lambda view: ["--since", view.begin, "--until", view.end]}


def tarn_reads(table: Path, columns: list[tuple[str, str]], view: View) -> list[dict]:
    kinds = dict([(COMMITTED, "text"), *columns])
    return [{name: of_tarn(value, kinds[name]) for name, value in row.items() if name in kinds} for row in hudi_rows(table, ARGUMENTS[view.kind](view))]


def of_arrow(column: pa.ChunkedArray, kind: str) -> list:
    if kind == "date":
        return column.cast(pa.int32()).to_pylist()
    if kind == "time":
        return column.cast(pa.int64()).to_pylist()
    if kind == "decimal":
        return [None if value is None else str(value) for value in column.to_pylist()]
    if kind == "bytes":
        return [None if value is None else bytes(value).hex() for value in column.to_pylist()]
    if kind in ("float", "double"):
        return [value if value is None or pc.is_finite(value).as_py() else str(value) for value in column.to_pylist()]
    return column.to_pylist()


def hudi_rs_reads(path: Path, columns: list[tuple[str, str]], view: View) -> list[dict]:
    from hudi import HudiQueryType, HudiReadOptions, HudiTable
    options = HudiReadOptions()
    if view.kind == "as of":
        options = options.with_as_of_timestamp(view.end)
    elif view.kind == "read optimized":
        options = options.with_hudi_option("hoodie.read.use.read_optimized.mode", "true")
    elif view.kind == "increment":
        options = options.with_query_type(HudiQueryType.Incremental).with_start_timestamp(view.begin).with_end_timestamp(view.end)
    rows = []
    for batch in HudiTable(str(path)).read(options):
        batch = pa.record_batch(batch)
        present = [(name, kind) for name, kind in [(COMMITTED, "text"), *columns] if name in batch.schema.names]
        cells = [of_arrow(batch.column(name), kind) for name, kind in present]
        rows += [dict(zip([name for name, _ in present], row)) for row in zip(*cells)]
    return rows
