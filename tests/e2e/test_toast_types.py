"""Untouched large values of every type that can be stored out of line, through every sequence of changes, without REPLICA IDENTITY FULL."""

from __future__ import annotations

import pytest

# An expression of a value of more than 2 kB whose text depends on the number `g`.
TYPES = {
    "text": "repeat(md5(g::text), 80)",
    "varchar": "repeat(md5(g::text), 80)",
    "char(3000)": "repeat(md5(g::text), 80)",
    "bytea": "decode(repeat(md5(g::text), 160), 'hex')",
    "json": "json_build_object('n', g, 'text', repeat(md5(g::text), 80))",
    "jsonb": "jsonb_build_object('n', g, 'text', repeat(md5(g::text), 80))",
    "xml": "xmlparse(content '<a n=\"' || g || '\">' || repeat(md5(g::text), 80) || '</a>')",
    "hstore": "hstore('k' || g, repeat(md5(g::text), 80))",
    "citext": "repeat(md5(g::text), 80)",
    "large": "repeat(md5(g::text), 80)",
    "pair": "ROW(g, repeat(md5(g::text), 80))::pair",
    "numeric": "(repeat('9876543210', 600) || g || '.5')::numeric",
    "tsvector": "(SELECT to_tsvector('simple', string_agg(md5((g * 1000 + i)::text), ' ')) FROM generate_series(1, 100) i)",
    "text[]": "ARRAY(SELECT md5((g * 1000 + i)::text) FROM generate_series(1, 100) i)",
    "int[]": "ARRAY(SELECT g * 1000 + i FROM generate_series(1, 1000) i)",
    "numeric(12,3)[]": "ARRAY(SELECT (g * 1000 + i) / 7.0 FROM generate_series(1, 400) i)",
    "timestamptz[]": "ARRAY(SELECT '2026-01-01 00:00+00'::timestamptz + (g * 1000 + i) * interval '1 s' FROM generate_series(1, 400) i)",
    "varbit": "repeat((g + 1000)::bit(16)::text, 2000)::varbit",
    "int4multirange": "(SELECT range_agg(int4range(g * 100000 + i * 10, g * 100000 + i * 10 + 3)) FROM generate_series(1, 400) i)",
    "textrange": "textrange(repeat(md5(g::text), 40) || 'a', repeat(md5(g::text), 40) || 'b')",
    "path": "(SELECT ('(' || string_agg('(' || g || ',' || i || ')', ',') || ')')::path FROM generate_series(1, 300) i)",
    "polygon": "(SELECT ('(' || string_agg('(' || g || ',' || i || ')', ',') || ')')::polygon FROM generate_series(1, 300) i)",
}
COLUMNS = [f"c{number}" for number in range(len(TYPES))]
VALUES = ", ".join(TYPES.values())
ROWS = 14


@pytest.fixture
def rows(source):
    source.execute("CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE DOMAIN large AS text CHECK (length(VALUE) > 2000); "
                   "CREATE TYPE pair AS (n int, t text); CREATE TYPE textrange AS RANGE (subtype = text)")
    columns = ", ".join(f"{name} {kind}" for name, kind in zip(COLUMNS, TYPES, strict=True))
    source.execute(f"CREATE TABLE wide (id int PRIMARY KEY, n int DEFAULT 0, {columns})")
    source.execute("ALTER TABLE wide " + ", ".join(f"ALTER {name} SET STORAGE EXTERNAL" for name in COLUMNS))
    source.execute(f"INSERT INTO wide SELECT g, 0, {VALUES} FROM generate_series(1, {ROWS}) g")
    small = source.execute("SELECT " + ", ".join(f"min(pg_column_size({name}))" for name in COLUMNS) + " FROM wide")[0]
    assert min(small) > 2000, dict(zip(TYPES, small, strict=True))
    return source


def insert(source, number: int, of: int):
    source.execute(f"INSERT INTO wide SELECT {number}, 0, {VALUES} FROM generate_series({of}, {of}) g")


def change(source, start: int):
    """Updates, key changes and deletes around values that none of them touches; keys from `start` on are free."""
    source.execute("UPDATE wide SET n = n + 1 WHERE id = 1")
    with source.connection.transaction():
        source.execute("UPDATE wide SET n = n + 1 WHERE id = 2")
        source.execute("UPDATE wide SET n = n + 1 WHERE id = 2")
    source.execute("UPDATE wide SET id = %s WHERE id = 3", (start,))
    with source.connection.transaction():  # Another key, and back with another number.
        source.execute("UPDATE wide SET id = %s WHERE id = 4", (start + 1,))
        source.execute("UPDATE wide SET n = n + 1 WHERE id = %s", (start + 1,))
        source.execute("UPDATE wide SET id = 4 WHERE id = %s", (start + 1,))
    with source.connection.transaction():  # Nothing of the row that was there may come back.
        source.execute("DELETE FROM wide WHERE id = 5")
        insert(source, 5, start + 5)
        source.execute("UPDATE wide SET n = n + 1 WHERE id = 5")
    with source.connection.transaction():
        insert(source, start + 2, start + 2)
        source.execute("UPDATE wide SET n = n + 1 WHERE id = %s", (start + 2,))
    with source.connection.transaction():  # Two rows change their keys.
        source.execute("UPDATE wide SET id = %s WHERE id = 6", (start + 3,))
        source.execute("UPDATE wide SET id = 6 WHERE id = 7")
        source.execute("UPDATE wide SET id = 7 WHERE id = %s", (start + 3,))
    for number, name in enumerate(COLUMNS):  # One is touched, the others are not.
        source.execute(f"UPDATE wide SET {name} = NULL WHERE id = {8 + number % 2}")
        source.execute(f"UPDATE wide SET {name} = (SELECT {name} FROM wide WHERE id = 1) WHERE id = {8 + number % 2}")
    source.execute("DELETE FROM wide WHERE id = %s", (start,))
    insert(source, 3, start + 7)


def test_untouched_values_of_every_type(rows, worker):
    tarn = worker.tarn(rows).start()
    change(rows, 100)
    tarn.wait_caught_up()
    tarn.verify()
    untouched = {name for row in tarn.query("SELECT DISTINCT _unchanged FROM bronze.wide WHERE _unchanged IS NOT NULL")
                 for name in row["_unchanged"].split(",")}
    assert untouched == set(COLUMNS), "the source sent some of them all the same"
    # Through a crash, a copy that takes its place, and Bronze alone.
    tarn.kill()
    change(rows, 200)
    tarn.start()
    change(rows, 300)
    tarn.wait_caught_up()
    tarn.verify()
    tarn.must("resync", "--no-wait", "public.wide")
    change(rows, 400)
    tarn.wait_settled()
    rows.execute("UPDATE wide SET n = n + 1")
    tarn.wait_caught_up()
    tarn.verify()
    assert tarn.stop() == 0
    tarn.must("rebuild")
    tarn.start().wait_caught_up()
    tarn.verify()


def test_keys_that_are_stored_out_of_line(source, worker):
    """Then PostgreSQL sends the old key with every update, and the new one as untouched."""
    source.execute("CREATE TABLE named (name text PRIMARY KEY, n int, body text, extra text)")
    source.execute("ALTER TABLE named ALTER name SET STORAGE EXTERNAL, ALTER body SET STORAGE EXTERNAL, ALTER extra SET STORAGE EXTERNAL")
    # An index takes keys of up to 2,704 bytes.
    source.execute("INSERT INTO named SELECT repeat(md5(g::text), 75), 0, repeat(md5('b' || g), 200), repeat(md5('e' || g), 200) "
                   "FROM generate_series(1, 6) g")
    tarn = worker.tarn(source).start()
    for _ in range(2):
        with source.connection.transaction():
            source.execute("UPDATE named SET n = n + 1")
            source.execute("UPDATE named SET n = n + 1, extra = extra || 'x'")
            source.execute("UPDATE named SET n = n + 1")
        source.execute("UPDATE named SET name = repeat(md5(n || name), 75) WHERE n % 2 = 1 AND length(body) > 0")
        tarn.wait_caught_up()
        tarn.verify()
    moved = tarn.query("SELECT count(_old_key) AS moved, count(*) AS changes FROM bronze.named WHERE Op = 'U'")[0]
    assert moved["moved"] < moved["changes"]
    assert tarn.value("SELECT count(*) FROM named WHERE body IS NULL OR extra IS NULL") == 0
