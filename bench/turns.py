"""The same question to tarn and to DuckDB on bare Parquet, in turn."""

import time
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from demo.story.client import Client

from .measure import median

YARDSTICK = "DuckDB, bare Parquet"
ENOUGH_MS = 10_000


class BareParquet:
    """DuckDB with the threads that tarn has, on plain Parquet files. One view a table."""

    def __init__(self, folder: Path):
        folder.mkdir()
        self.folder = folder
        self.connection = duckdb.connect()
        self.connection.execute("SET threads = 2; SET TimeZone = 'UTC'")

    def add(self, table: str, rows: pa.Table, schema: str = "main"):
        """With the codec of tarn's own files, and row groups of DuckDB's size."""
        file = self.folder / f"{schema}.{table}.parquet"
        pq.write_table(rows, file, compression="zstd", row_group_size=122_880)
        self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        self.connection.execute(f"CREATE OR REPLACE VIEW {schema}.{table} AS SELECT * FROM read_parquet('{file}')")

    def query(self, sql: str) -> list[dict]:
        return self.connection.execute(sql).fetch_arrow_table().to_pylist()


def table_rows(client: Client, table: str, principal: str = "operator", order: str = "") -> pa.Table:
    """What a principal sees of a table, without Hudi's own columns."""
    rows = client.query(f"SELECT * FROM {table}{f' ORDER BY {order}' if order else ''}", principal).table
    return rows.drop_columns([name for name in rows.column_names if name.startswith("_hoodie_")])


@dataclass
class Turns:
    ours_ms: float
    theirs_ms: float
    first_ms: float  # Ours, the first time.

    @property
    def ratio(self) -> float:
        return self.ours_ms / self.theirs_ms


def _timed(ask) -> tuple[float, list[dict]]:
    started = time.perf_counter()
    rows = ask()
    return (time.perf_counter() - started) * 1000, rows


def _comparable(rows: list[dict]) -> list:
    def cell(value):
        # A double's last digits depend on the order in which two threads add.
        return f"{value:.9g}" if isinstance(value, float) else str(value)
    return sorted([cell(value) for value in row.values()] for row in rows)


def take_turns(client: Client, bare: BareParquet, sql: str, runs: int, principal: str = "operator",
               bare_sql: str | None = None) -> Turns:
    """Medians of `runs` warm turns, fewer when they take long. Raises when the answers differ: a fast wrong answer is no figure."""
    first_ms, ours = _timed(lambda: client.query(sql, principal).rows)
    _, theirs = _timed(lambda: bare.query(bare_sql or sql))
    if _comparable(ours) != _comparable(theirs):
        raise RuntimeError(f"answers differ for {principal}: {sql}\ntarn:   {ours[:3]}\nDuckDB: {theirs[:3]}")
    our_times, their_times = [], []
    for _ in range(runs):
        if sum(our_times) + sum(their_times) > ENOUGH_MS:
            break
        our_times.append(_timed(lambda: client.query(sql, principal).rows)[0])
        their_times.append(_timed(lambda: bare.query(bare_sql or sql))[0])
    return Turns(median(our_times), median(their_times), first_ms)
