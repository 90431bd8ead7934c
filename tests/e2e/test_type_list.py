"""Every type of PostgreSQL 15 at its edges: by copy, by insert, by update, untouched and NULL; as read from Silver and as made
again from Bronze it is the source's value to the bit, or it stands in quarantine with its text."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
from support.cluster import Database
from support.round_trip import PLAIN, differences
from type_values import EXTENSIONS, TABLES, TYPES, UNWRITABLE, Refused, Sql

# The settings of an application must not change what tarn reads.
APPLICATION = ("TimeZone = 'America/New_York'", "DateStyle = 'German, DMY'", "IntervalStyle = 'sql_standard'",
               "bytea_output = 'escape'", "extra_float_digits = -5", "xmloption = 'content'")


def literal(value: str | None):
    """The SQL of a value, and its parameters."""
    return (value, []) if isinstance(value, Sql) else ("%s", [value])


@dataclass
class TypedTable:
    """One column a type, one row a value and a way that it takes; all else in the row is NULL."""
    source: Database
    name: str
    types: dict[str, list[str]]
    rows: dict[int, tuple[str, str | None]] = field(default_factory=dict)  # Id to column and last value.

    def columns(self):
        return {f"c{i}": (kind, values) for i, (kind, values) in enumerate(self.types.items())}

    def create(self) -> "TypedTable":
        columns = ", ".join(f"{column} {kind}" for column, (kind, _) in self.columns().items())
        self.source.execute(f"CREATE TABLE {self.name} (id int PRIMARY KEY, touched int, {columns})")
        return self

    def insert(self, key: int, column: str, value: str | None):
        sql, parameters = literal(value)
        self.source.execute(f"INSERT INTO {self.name} (id, {column}) VALUES ({key}, {sql})", parameters)
        self.rows[key] = (column, value)

    def update(self, key: int, column: str, value: str | None):
        sql, parameters = literal(value)
        self.source.execute(f"UPDATE {self.name} SET {column} = {sql} WHERE id = {key}", parameters)
        self.rows[key] = (column, value)

    def touch(self, key: int):
        self.source.execute(f"UPDATE {self.name} SET touched = 1 WHERE id = {key}")

    def cases(self):
        """Number, column, value and the value before it."""
        number = 0
        for column, (_, values) in self.columns().items():
            for i, value in enumerate(values):
                yield number, column, value, values[i - 1] if len(values) > 1 else None
                number += 1

    def may_be_null(self) -> bool:
        return self.name != "musts"

    def before_copy(self):
        for number, column, value, before in self.cases():
            self.insert(10_000 + number, column, value)
            self.insert(30_000 + number, column, before if before or not self.may_be_null() else None)
            self.insert(40_000 + number, column, value)
            self.insert(60_000 + number, column, value)
        if self.may_be_null():
            self.insert(1, "c0", None)

    def by_stream(self):
        for number, column, value, _ in self.cases():
            self.insert(20_000 + number, column, value)
            self.update(30_000 + number, column, value)
            self.touch(40_000 + number)
            self.insert(50_000 + number, column, value)
            if self.may_be_null():
                self.update(60_000 + number, column, None)
        for number, *_ in self.cases():
            self.touch(50_000 + number)
        if self.may_be_null():
            self.insert(2, "c0", None)

    # What should be, by the source.

    def refused(self) -> set[int]:
        return {key for key, (_, value) in self.rows.items() if isinstance(value, Refused)}

    def source_texts(self, keys: set[int]) -> dict[int, str]:
        texts = {}
        for column in self.columns():
            wanted = [key for key in keys if self.rows[key][0] == column]
            texts |= dict(self.source.execute(f"SELECT id, format('%%s', {column}) FROM {self.name} WHERE id = ANY (%s)", (wanted,)))
        return texts


def check_silver(tarn, table: TypedTable):
    assert not differences(tarn, table.source, table.name, {column: kind for column, (kind, _) in table.columns().items()},
                           table.rows.keys() - table.refused(), ["touched"])


def check_quarantine(tarn, table: TypedTable):
    """Values without a place in the lake are there with their text; the columns beside them as they are."""
    rows = {row["id"]: row for row in tarn.query(f"SELECT * FROM quarantine.{table.name}")}
    assert sorted(rows) == sorted(table.refused())
    wanted = table.source_texts(table.refused())
    wrong = []
    for key, row in rows.items():
        column, value = table.rows[key]
        bad = json.loads(row["_bad"])
        if list(bad) != [column] or bad[column]["value"] != wanted[key] or row["_rule"] != "type":
            wrong.append((key, table.columns()[column][0], value, row["_bad"]))
        reason = bad[column]["reason"]
        assert ("NaN" if value == "NaN" else "infinity" if "infinity" in value else "year") in reason, row
        assert reason in row["_reason"] and column in row["_reason"] and row[column] is None, row
    assert not wrong


@pytest.fixture
def typed(source, worker):
    for extension in EXTENSIONS:
        source.execute(f"CREATE EXTENSION {extension}")
    source.execute(TYPES)
    for setting in APPLICATION:
        source.execute(f'ALTER DATABASE "{source.name}" SET {setting}')
    for setting in PLAIN:
        source.execute(f"SET {setting}")
    return source, worker.tarn(source, tables={"include": ["public.*"], "exclude": ["public.shape"]})


def test_every_type_arrives_exactly(typed):
    """Each value by every way, then all of it once more from Bronze alone."""
    source, tarn = typed
    tables = [TypedTable(source, name, types).create() for name, types in TABLES.items()]
    for table in tables:
        table.before_copy()
    tarn.start()
    for table in tables:
        table.by_stream()
    tarn.wait_caught_up()
    for table in tables:
        check_silver(tarn, table)
        check_quarantine(tarn, table)
    tarn.verify()
    assert tarn.stop() == 0
    tarn.must("rebuild")
    for table in tables:
        check_silver(tarn, table)
        check_quarantine(tarn, table)
    tarn.start().wait_caught_up()
    tarn.verify()
