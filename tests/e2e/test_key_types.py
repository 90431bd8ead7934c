"""Primary keys of every kind: rows that were copied and rows that were streamed are found again by their key."""

from __future__ import annotations

import json

import pytest

SETUP = r"""
CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('a,b', 'c:d', '', 'ü', 'e', '__null__', '__empty__', 'x%2Cy');
CREATE DOMAIN amount AS numeric(12,2);
CREATE DOMAIN sum AS amount;
CREATE TYPE pair AS (n int, t text);
CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
"""

# Table: the type of its key, and keys.
TEXTS = ["a,b", "c:d", "", "x%2Cy", "__null__", "__empty__", "id:1,k:2", "ü☃𝄞", "e", " ", "'\"\\", "k:a,b"]
KEYS = {
    "bigint": ("bigint", ["-9223372036854775808", "9223372036854775807", "0", "-1", "1", "2"]),
    "smallint": ("smallint", ["-32768", "32767", "0", "-1", "1", "2"]),
    "numeric_20": ("numeric(20,0)", ["99999999999999999999", "-99999999999999999999", "0", "9223372036854775808", "1", "10"]),
    "numeric_38_10": ("numeric(38,10)", ["0", "0.0000000001", "-0.0000000001", "9999999999999999999999999999.9999999999", "1e20", "5"]),
    "numeric_free": ("numeric", ["1.0", "1.10", "NaN", "-Infinity", "1e-30", "1e300", "0", "10000", "0.001"]),
    "texts": ("text", TEXTS),
    "collated": ("text COLLATE folded", TEXTS),
    "insensitive": ("citext", ["Ab", "aC", "", "Ü,b", "x:Y", "Z"]),
    "padded": ("char(4)", ["a", "", "ü,", "b:c", "abcd", " x"]),
    "uuids": ("uuid", [f"a0eebc99-9c0b-4ef8-bb6d-6bb9bd38{i:04x}" for i in range(9)]),
    "moments": ("timestamptz", ["2026-03-29 02:30:00.123456+01", "0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00",
                                "1969-12-31 23:59:59.999999+00", "infinity", "0044-03-15 00:00:00+00 BC", "-infinity",
                                "12000-01-01 00:00:00+00", "2026-01-01 00:00:00+00"]),
    "local_times": ("timestamp", ["2026-03-29 02:30:00", "0001-01-01 00:00:00", "1970-01-01 00:00:00", "infinity", "-infinity",
                                  "2026-01-01 00:00:00.5"]),
    "dates": ("date", ["2026-02-28", "0001-01-01", "9999-12-31", "infinity", "-infinity", "0044-03-15 BC", "5874897-12-31", "1969-12-31",
                       "2026-03-01"]),
    "bytes": ("bytea", ["\\x", "\\x00", "\\x2c3a", "\\xff", "\\xc3bc", "\\x5f5f6e756c6c5f5f"]),
    "moods": ("mood", ["a,b", "c:d", "", "ü", "e", "__null__", "__empty__", "x%2Cy"]),
    "domains": ("sum", ["0", "-1.50", "NaN", "9999999999.99", "0.01", "2"]),
    "addresses": ("inet", ["10.0.0.1", "10.0.0.1/8", "::1", "10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32"]),
    "networks": ("cidr", ["10.0.0.1/32", "10.0.0.0/8", "::1/128", "0.0.0.0/0", "192.168.0.0/16", "2001:db8::/32"]),
    "booleans": ("boolean", ["true", "false"]),
    "reals": ("real", ["0.1", "1e-45", "3.4028235e38", "NaN", "-Infinity", "-0"]),
    "doubles": ("double precision", ["0.1", "5e-324", "1.7976931348623157e308", "NaN", "-Infinity", "-0", "1e22",
                                     "0.30000000000000004", "1"]),
    "spans": ("interval", ["1 mon", "29 days", "-1 year 00:00:01", "25:00:00", "0", "0.000001 seconds"]),
    "ranges": ("int4range", ["[1,5)", "empty", "(,)", "(,5)", "[7,)", "[2,3)"]),
    "arrays": ("int[]", ["{}", "{1,NULL}", "{{1,2},{3,4}}", "[0:1]={5,6}", "{5,6}", "{1}"]),
    "composites": ("pair", ["(,)", '(1,"a,b")', '(1,"c:d")', "(2,)", '(3,"")', "(4,e)"]),
    "chars": ('"char"', ["a", ",", ":", "b", "", "%"]),
    "names": ("name", ["a", "b,c", "d:e", "", "ü", "%"]),
    "oids": ("oid", ["0", "4294967295", "2147483648", "1", "2", "3"]),
    "json_keys": ("jsonb", ['{"a": 1}', "null", '"a,b"', "1.0", "[]", '{"b:c": 1.50}']),
    "bits": ("varbit", ["", "1", "01", "0", "10", "111"]),
    "positions": ("pg_lsn", ["0/0", "FFFFFFFF/FFFFFFFF", "0/1", "1/0", "2/0", "3/0"]),
    "cards": ("macaddr", ["08:00:2b:01:02:03", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "00:00:00:00:00:01", "00:00:00:00:00:02",
                          "00:00:00:00:00:03"]),
    "clocks": ("timetz", ["00:00:00+00", "24:00:00-15:59:59", "12:00:00+05:30:15", "01:00:00+01", "02:00:00-01", "03:00:00+00"]),
}
UUID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd38000"
COMPOSED = {
    "three": ("text, timestamptz, numeric(20,2)", [
        ("a,b", "2026-01-01 00:00:00+00", "1"), ("a", "2026-01-01 00:00:00+00", "1"), ("", "infinity", "1"),
        ("c:d", "0001-01-01 00:00:00+00", "NaN"), ("", "2026-01-01 00:00:00+00", "-1"),
        ("k2:x", "2026-01-01 00:00:00.000001+00", "1.01")]),
    "mixed": ("mood, uuid, bytea", [("a,b", UUID + "1", "\\x2c"), ("c:d", UUID + "1", "\\x3a"), ("", UUID + "1", "\\x"),
                                    ("ü", UUID + "2", "\\xff"), ("e", UUID + "3", "\\x00"), ("", UUID + "4", "\\x01")]),
    "swapped": ("int, text, boolean", [("1", "2", "true"), ("2", "1", "true"), ("1", "2", "false"), ("0", "", "true"), ("0", "0", "true"),
                                       ("-1", ",k1:2", "false")]),
}


def key_tables() -> dict[str, tuple[list[str], list[tuple]]]:
    single = {name: ([kind], [(key,) for key in keys]) for name, (kind, keys) in KEYS.items()}
    return single | {name: (kinds.split(", "), keys) for name, (kinds, keys) in COMPOSED.items()}


class KeyTable:
    def __init__(self, source, name: str, kinds: list[str], keys: list[tuple]):
        self.source, self.name, self.kinds, self.keys = source, name, kinds, keys
        self.columns = [f"k{i}" for i in range(len(kinds))]
        source.execute(f"CREATE TABLE {name} ({', '.join(f'{c} {k}' for c, k in zip(self.columns, kinds, strict=True))}, v text, "
                       f"PRIMARY KEY ({', '.join(self.columns)}))")

    def change(self, sql: str, *parameters):
        """One row, no more and no less."""
        rows = self.source.execute(f"{sql} RETURNING 1", parameters)
        assert len(rows) == 1, (self.name, sql, parameters)

    def where(self) -> str:
        return " AND ".join(f"{column} = %s::{kind.split(' COLLATE')[0]}" for column, kind in zip(self.columns, self.kinds, strict=True))

    def insert(self, key: tuple, value: str):
        self.change(f"INSERT INTO {self.name} VALUES ({', '.join(['%s'] * (len(key) + 1))})", *key, value)

    def update(self, key: tuple, value: str):
        self.change(f"UPDATE {self.name} SET v = %s WHERE {self.where()}", value, *key)

    def delete(self, key: tuple):
        self.change(f"DELETE FROM {self.name} WHERE {self.where()}", *key)

    def move(self, key: tuple, to: tuple):
        """To a key that is free."""
        self.change(f"UPDATE {self.name} SET {', '.join(f'{column} = %s' for column in self.columns)} WHERE {self.where()}", *to, *key)


@pytest.fixture
def tables(source):
    source.execute(SETUP)
    # Parameters of one type in one statement and of another in the next.
    source.connection.prepare_threshold = None
    return [KeyTable(source, name, kinds, keys) for name, (kinds, keys) in key_tables().items()]


def same(source, tarn, tables):
    """Nothing twice, nothing left behind: verify compares rows, not keys."""
    verified = tarn.verify()
    assert sorted(verified) == sorted(table.name for table in tables)
    for table in tables:
        held = verified[table.name]["silver"]["rows"] + verified[table.name]["quarantine"]["rows"]
        assert held == source.value(f"SELECT count(*) FROM {table.name}"), table.name


def test_rows_are_found_by_keys_of_any_type(source, worker, tables):
    """Rows of the first copy, then of the stream: updated, moved to another's key, deleted, put in again."""
    for table in tables:
        for key in table.keys:
            table.insert(key, "copied")
    tarn = worker.tarn(source).start()
    same(source, tarn, tables)
    refused = tarn.query("SELECT _refused_key AS k FROM quarantine.dates WHERE k0 IS NULL ORDER BY k")
    assert [json.loads(row["k"])["k0"] for row in refused] == ["-infinity", "0044-03-15 BC", "5874897-12-31", "infinity"]
    for table in tables:  # Of the copy.
        for key in table.keys:
            table.update(key, "updated")
    tarn.wait_caught_up()
    same(source, tarn, tables)
    for table in tables:
        for i, key in enumerate(table.keys):
            table.delete(key)
            if i % 4 == 1:  # What the key before had put in.
                table.move(table.keys[i - 1], key)
            else:
                table.insert(key, "streamed")
    tarn.wait_caught_up()
    same(source, tarn, tables)
    for table in tables:  # Of the stream.
        for i, key in enumerate(table.keys):
            if i % 4 != 0 or i + 1 == len(table.keys):  # The others have moved.
                table.update(key, "updated once more")
    tarn.wait_caught_up()
    same(source, tarn, tables)
    assert tarn.stop() == 0
    tarn.must("rebuild")
    tarn.start().wait_caught_up()
    same(source, tarn, tables)
    for table in tables:
        source.execute(f"DELETE FROM {table.name}")
    tarn.wait_caught_up()
    same(source, tarn, tables)


def test_keys_that_are_equal_but_not_the_same(source, worker, tables):
    """1.0 becomes 1.00, Ab becomes aB, 0 becomes -0: for PostgreSQL the same key, in the lake the row as it is now."""
    changes = {"numeric_free": [("1.0", "1.00"), ("0", "0.00")], "insensitive": [("Ab", "aB"), ("Z", "z")], "collated": [("e", "E")],
               "doubles": [("-0", "0")], "reals": [("-0", "0")], "padded": [("a", "a ")],
               "spans": [("1 mon", "30 days"), ("25:00:00", "1 day 1 hour")],
               "json_keys": [("1.0", "1.00")]}
    chosen = [table for table in tables if table.name in changes]
    for table in chosen:
        for before, _ in changes[table.name]:
            table.insert((before,), "copied")
    tarn = worker.tarn(source).start()
    for table in chosen:
        for before, after in changes[table.name]:
            table.move((before,), (after,))
    tarn.wait_caught_up()
    same(source, tarn, tables)
    for table in chosen:
        for before, after in changes[table.name]:
            table.update((before,), "found by the other form")
            table.move((after,), (before,))
            table.delete((after,))
            table.insert((after,), "again")
            assert source.value(f"SELECT count(*) FROM {table.name}") == len(changes[table.name])
    tarn.wait_caught_up()
    same(source, tarn, tables)
