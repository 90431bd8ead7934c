"""What the source held at some moment, and what the lake says of it now and as of then."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

from support.cluster import Database
from support.tarn import Tarn

from .shapes import Column, Table, lake_rows, source_rows

Shape = list[tuple[Table, list[Column]]]
Content = dict[str, Counter]


def shape_of(tables: list[Table]) -> Shape:
    """The tables with the columns that they have now."""
    return [(table, table.compared()) for table in tables]


@dataclass
class Moment:
    time: str  # UTC, on the source.
    lsn: str
    shape: Shape
    content: Content


def read_source(database: Database, tables: list[Table]) -> Moment:
    """In one snapshot. While nobody writes, it is what was there until the next write."""
    shape = shape_of(tables)
    with database.connect() as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL TimeZone = 'UTC'; SET LOCAL bytea_output = hex")
        sql = " UNION ALL ".join(source_rows(table, columns) for table, columns in shape)
        rows = connection.execute(sql).fetchall()
        time, lsn = connection.execute("SELECT (clock_timestamp() AT TIME ZONE 'UTC')::text, pg_current_wal_lsn()::text").fetchone()
    content: Content = {table.name: Counter() for table, _ in shape}
    for name, digest in rows:
        content[name][digest] += 1
    return Moment(time, lsn, shape, content)


def read_lake(tarn: Tarn, shape: Shape, as_of: str | None = None) -> Content:
    content: Content = {table.name: Counter() for table, _ in shape}
    selects = []
    for table, columns in shape:
        known = {row["column_name"] for row in tarn.query(f"DESCRIBE silver.{table.name}", as_of=as_of)}
        selects.append(lake_rows(table, columns, known))
    for row in tarn.query(" UNION ALL ".join(selects), as_of=as_of):
        content[row["t"]][row["m"]] += 1
    return content


def compare(what: str, tarn: Tarn, moment: Moment, as_of: str | None = None):
    """Fails, naming the tables that differ and how many rows, unless the lake has exactly the moment's rows."""
    got = read_lake(tarn, moment.shape, as_of)
    different = {}
    for name, expected in moment.content.items():
        missing, more = expected - got[name], got[name] - expected
        if missing or more:
            different[name] = {"source": expected.total(), "lake": got[name].total(), "missing": missing.total(), "more": more.total()}
    assert not different, f"{what} (source {moment.lsn}, {moment.time}) differs: {json.dumps(different)}"
