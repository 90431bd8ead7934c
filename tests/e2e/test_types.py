"""Every type of an ordinary application arrives exactly, or stands in quarantine with the reason: by copy and by stream."""

from __future__ import annotations

import pytest

TABLE = """
CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s "fine"');
CREATE DOMAIN short_text AS varchar(5);
CREATE TABLE things (
  id int PRIMARY KEY, u uuid, t text, vc varchar(20), c char(4), j jsonb, js json, price numeric(12,2), free numeric,
  tstz timestamptz, ts timestamp, d date, tm time, b boolean, ints int[], texts text[], raw bytea, f8 float8, f4 float4,
  i2 smallint, i8 bigint, iv interval, e mood, dom short_text, ip inet, r int4range)"""

# Type by type: what is written, and what `tarn query` gives back for it.
HUGE = "-123456789012345678901234567890.123456789"
VALUES = {
    "u": [("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")],
    "t": [("", ""), ("plain", "plain"), ("tab\tline\nback\\slash 'q' \"d\"", "tab\tline\nback\\slash 'q' \"d\""),
          ("ünï ☃ 𝄞", "ünï ☃ 𝄞"), ("\\N", "\\N"), ("x" * 10000, "x" * 10000)],
    "vc": [("varchar", "varchar")],
    "c": [("ab", "ab  ")],
    "j": [('{"b": [1, 2.50, null], "a": "ü"}', '{"a": "ü", "b": [1, 2.50, null]}'), ("null", "null")],
    "js": [('{"b" :  1}', '{"b" :  1}')],
    "price": [("0", "0.00"), ("-0.01", "-0.01"), ("9999999999.99", "9999999999.99"), ("-9999999999.99", "-9999999999.99")],
    "free": [("0", "0"), ("1.10", "1.10"), (HUGE, HUGE), ("NaN", "NaN"), ("Infinity", "Infinity"),
             ("1e-30", "0.000000000000000000000000000001")],
    "tstz": [("2026-03-29 02:30:00.123456+01", "2026-03-29 01:30:00.123456+00"),
             ("0001-01-01 00:00:00+00", "0001-01-01 00:00:00+00"),
             ("9999-12-31 23:59:59.999999+00", "9999-12-31 23:59:59.999999+00"),
             ("1969-12-31 23:59:59.999999+00", "1969-12-31 23:59:59.999999+00")],
    "ts": [("2026-11-22 10:00:00", "2026-11-22 10:00:00+00")],
    "d": [("2026-02-28", "2026-02-28"), ("0001-01-01", "0001-01-01"), ("9999-12-31", "9999-12-31"), ("1582-10-10", "1582-10-10")],
    "tm": [("23:59:59.999999", "23:59:59.999999"), ("24:00:00", "24:00:00")],
    "b": [("true", True), ("false", False)],
    "ints": [("{1,NULL,-3}", "{1,NULL,-3}"), ("{}", "{}"), ("{{1,2},{3,4}}", "{{1,2},{3,4}}"), ("[0:1]={5,6}", "[0:1]={5,6}")],
    "texts": [('{a,"b,c","d\\"e",NULL,"NULL",""}', '{a,"b,c","d\\"e",NULL,"NULL",""}')],
    "raw": [("\\x", ""), ("\\x00ff5c27", "00FF5C27")],
    "f8": [("0.1", 0.1), ("1e308", 1e308), ("5e-324", 5e-324), ("-0", -0.0), ("NaN", "nan"), ("-Infinity", "-inf")],
    "f4": [("0.5", 0.5), ("3.4028235e38", 3.4028234663852886e38)],
    "i2": [("-32768", -32768), ("32767", 32767)],
    "i8": [("-9223372036854775808", -9223372036854775808), ("9223372036854775807", 9223372036854775807)],
    "iv": [("1 year 2 mons -3 days 04:05:06.789", "1 year 2 mons -3 days +04:05:06.789")],
    "e": [("it's \"fine\"", "it's \"fine\"")],
    "dom": [("short", "short")],
    "ip": [("10.0.0.1/8", "10.0.0.1/8")],
    "r": [("[1,5)", "[1,5)"), ("empty", "empty")],
}

# What no column of the lake can hold: column, value, a word of the reason.
REFUSED = [("price", "NaN", "NaN"), ("tstz", "infinity", "infinity"), ("tstz", "-infinity", "infinity"),
           ("tstz", "0044-03-15 00:00:00+00 BC", "year"), ("d", "0044-03-15 BC", "year"), ("d", "infinity", "infinity"),
           ("ts", "12000-01-01", "year")]


def lake_expression(column: str) -> str:
    if column == "raw":
        return "hex(raw)"
    # JSON has no NaN: as text.
    return f"CASE WHEN isnan({column}) OR isinf({column}) THEN NULL ELSE {column} END" if column == "f8" else column


@pytest.fixture
def things(source, worker):
    # The settings of an application must not change what tarn reads.
    source.execute(TABLE)
    for setting in ("TimeZone = 'America/New_York'", "DateStyle = 'German, DMY'", "IntervalStyle = 'sql_standard'",
                    "bytea_output = 'escape'", "extra_float_digits = -5"):
        source.execute(f'ALTER DATABASE "{source.name}" SET {setting}')
    return source, worker.tarn(source)


def insert_all(source, first: int) -> dict[int, tuple[str, object]]:
    """One row a value; id to (column, expected)."""
    expected = {}
    for column, values in VALUES.items():
        for text, wanted in values:
            source.execute(f"INSERT INTO things (id, {column}) VALUES (%s, %s)", (first + len(expected), text))
            expected[first + len(expected)] = (column, wanted)
    return expected


def check_all(tarn, expected: dict[int, tuple[str, object]]):
    wrong = []
    for column in VALUES:
        ids = [i for i, (name, _) in expected.items() if name == column]
        rows = tarn.query(f"SELECT id, {lake_expression(column)} AS v, CAST({column} AS VARCHAR) AS s FROM things "
                          f"WHERE id IN ({','.join(map(str, ids))}) ORDER BY id")
        assert [row["id"] for row in rows] == ids
        for row in rows:
            wanted = expected[row["id"]][1]
            got = row["s"] if column == "f8" and row["v"] is None else row["v"]
            if got != wanted or type(got) is not type(wanted):
                wrong.append((column, got, wanted))
    assert not wrong


def test_values_are_exact(things):
    """The same values by first copy (binary) and by stream (text), whatever the database's settings."""
    source, tarn = things
    source.execute("INSERT INTO things (id) VALUES (0)")
    copied = insert_all(source, 1000)
    tarn.start()
    streamed = insert_all(source, 2000)
    tarn.wait_caught_up()
    check_all(tarn, copied)
    check_all(tarn, streamed)
    assert set(tarn.query("SELECT * EXCLUDE (id, _lsn) FROM things WHERE id = 0")[0].values()) <= {None} | \
        {v for k, v in tarn.query("SELECT * FROM things WHERE id = 0")[0].items() if k.startswith("_hoodie")}
    tarn.verify()


def test_impossible_values_are_quarantined(things):
    """A value with no place takes its row into quarantine, with the original text and the reason, and back out of it."""
    source, tarn = things
    refused = {}
    for base in (1000, 2000):
        for i, (column, value, word) in enumerate(REFUSED):
            source.execute(f"INSERT INTO things (id, t, {column}) VALUES (%s, 'kept', %s)", (base + i, value))
            refused[base + i] = (column, value, word)
        if base == 1000:
            source.execute("INSERT INTO things (id, t) VALUES (1, 'good'), (2, 'good')")
            tarn.start()
    tarn.wait_caught_up()
    assert tarn.value("SELECT count(*) FROM things") == 2
    rows = {row["id"]: row for row in tarn.query("SELECT * FROM quarantine.things")}
    assert sorted(rows) == sorted(refused)
    for i, (column, value, word) in refused.items():
        row = rows[i]
        assert row["t"] == "kept" and row["_rule"] == "type"
        assert word in row["_reason"] and column in row["_reason"], row["_reason"]
        assert f'"{value}"' in row["_bad"] or f'"{value} 00:00:00"' in row["_bad"], row["_bad"]
    # A good row that turns bad leaves Silver; a bad one that is mended comes back; one that is deleted is gone.
    source.execute("UPDATE things SET price = 'NaN' WHERE id = 1")
    source.execute("UPDATE things SET price = 5, tstz = NULL, d = NULL, ts = NULL WHERE id = 1000")
    source.execute("DELETE FROM things WHERE id = 1001")
    tarn.wait_caught_up()
    assert [r["id"] for r in tarn.query("SELECT id FROM things ORDER BY id")] == [2, 1000]
    assert tarn.value("SELECT count(*) FROM quarantine.things WHERE id IN (1000, 1001)") == 0
    assert tarn.value("SELECT count(*) FROM quarantine.things WHERE id = 1") == 1
    tarn.verify()
