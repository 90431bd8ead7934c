"""Row filters: only rows that fulfil them reach the lake, by copy and by stream, whatever happens to a row."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from support.lake_files import files_with

TABLE = """
CREATE DOMAIN region_name AS text;
CREATE TABLE orders (
  id int PRIMARY KEY, region region_name, quantity bigint, price numeric, day date, placed timestamptz, active boolean,
  ref uuid, code char(4), secret text)"""
FILTER = "region IN ('EU', 'O''x') AND (quantity >= 5 OR price IS NULL) AND secret <> 'hidden'"
MAPPING = f"""
[[mapping]]
tables = "public.orders"
filter = "{FILTER}"
drop = ["secret"]
"""


def insert(source, number: int, region: str | None, quantity: int | None, price: str | None = "1.50", secret: str = "x",
           code: str = "ab"):
    source.execute("INSERT INTO orders VALUES (%s, %s, %s, %s, '2026-11-20', '2026-11-20 09:30+01', true, "
                   "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', %s, %s)", (number, region, quantity, price, code, secret))


def numbers(tarn, table: str = "orders") -> list[int]:
    return [row["id"] for row in tarn.query(f"SELECT id FROM {table} ORDER BY id")]


def wanted(source, table: str = "orders", where: str = FILTER) -> list[int]:
    return [number for number, in source.execute(f"SELECT id FROM {table} WHERE {where} ORDER BY id")]


@pytest.fixture
def orders(source, worker):
    source.execute(TABLE)
    insert(source, 1, "EU", 5)
    insert(source, 2, "US", 5, code="out")
    insert(source, 3, "EU", 4, code="out")
    insert(source, 4, "EU", 1, price=None)
    insert(source, 5, None, 9, code="out")
    insert(source, 6, "O'x", 5)
    insert(source, 7, "EU", 9, secret="hidden", code="out")
    tarn = worker.tarn(source)
    tarn.extra = MAPPING
    tarn.write_config()
    return source, tarn


@pytest.mark.parametrize("identity", ["DEFAULT", "FULL"])
def test_rows_outside_are_in_no_file(orders, identity):
    source, tarn = orders
    source.execute(f"ALTER TABLE orders REPLICA IDENTITY {identity}")
    assert tarn.command("check").code == 0
    tarn.start()
    assert numbers(tarn) == [1, 4, 6]
    insert(source, 11, "EU", 8)
    insert(source, 12, "US", 8, code="out")
    source.execute("UPDATE orders SET region = 'US', code = 'out' WHERE id = 1")           # leaves
    source.execute("UPDATE orders SET region = 'EU', code = 'in' WHERE id = 2")            # enters
    source.execute("UPDATE orders SET quantity = 3 WHERE id = 3")                          # stays outside
    source.execute("UPDATE orders SET day = '2027-01-01' WHERE id = 4")                    # stays inside
    source.execute("UPDATE orders SET id = 60 WHERE id = 6")                               # inside, under another key
    source.execute("UPDATE orders SET id = 50, region = 'EU', code = 'in' WHERE id = 5")   # enters under another key
    source.execute("UPDATE orders SET id = 110, secret = 'hidden', code = 'out' WHERE id = 11")  # leaves under another key
    source.execute("DELETE FROM orders WHERE id = 12")                                     # was never inside
    tarn.wait_caught_up()
    assert numbers(tarn) == wanted(source) == [2, 4, 50, 60]
    source.execute("DELETE FROM orders WHERE id = 2")
    tarn.wait_caught_up()
    assert numbers(tarn) == wanted(source)
    tarn.verify()
    assert tarn.stop() == 0
    # Nothing of a row that is outside, but for the keys of rows that were not known to be.
    assert not files_with(tarn.lake, "out ", "hidden", "'US'")
    assert files_with(tarn.lake / "silver", "ab  ")
    before = tarn.table_rows("orders")
    tarn.must("rebuild")
    assert tarn.table_rows("orders") == before
    tarn.must("bronze", "verify")


FILTERS = [
    "quantity > 3 AND NOT (active = TRUE AND price < 10.5)",
    "price >= -2.25 OR price IS NULL",
    "price <> 3.10 AND quantity NOT IN (1, 2, -3)",
    "day >= '2026-06-01' AND day <> 'infinity'",
    "placed < '2026-06-01 12:00:00+02' OR placed IS NULL",
    "ref = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11' OR active <> TRUE",
    "code = 'ab' OR region <> 'EU'",
    "NOT (region = 'EU' OR code IS NULL) AND id <> 7",
]


def random_row(dice: random.Random) -> tuple:
    return (dice.choice([None, "EU", "US", "eu", "EU "]), dice.choice([None, -3, 1, 2, 3, 4, 1 << 40]),
            dice.choice([None, "NaN", "-2.25", "-2.2500000000000000000000001", "10.5", "10.50", "3.1", "1e30", "0", "Infinity"]),
            dice.choice([None, "2026-05-31", "2026-06-01", "infinity", "-infinity", "0044-03-15 BC", "12026-01-01"]),
            dice.choice([None, "2026-06-01 09:59:59.999999+00", "2026-06-01 10:00+00", "infinity", "0044-03-15 BC"]),
            dice.choice([None, True, False]),
            dice.choice([None, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"]),
            dice.choice([None, "ab", "abc", ""]))


@pytest.mark.parametrize("filter", FILTERS)
def test_the_stream_decides_as_the_source_does(source, worker, seed, filter):
    """Random rows of all types, inserted, updated and deleted: the lake's are those that the source's WHERE finds."""
    dice = random.Random(f"{seed} {filter}")
    source.execute(TABLE)
    columns = "region, quantity, price, day, placed, active, ref, code"

    def put(number):
        source.execute(f"INSERT INTO orders (id, {columns}) VALUES ({number}, %s, %s, %s, %s, %s, %s, %s, %s)", random_row(dice))
    for number in range(40):
        put(number)
    tarn = worker.tarn(source)
    tarn.extra = f'[[mapping]]\ntables = "public.orders"\nfilter = """{filter}"""\n'
    tarn.write_config()
    tarn.start()

    def lake():
        return sorted(row["id"] for row in tarn.query("SELECT id FROM silver.orders UNION ALL SELECT id FROM quarantine.orders"))
    assert lake() == wanted(source, where=filter)
    for number in range(40, 80):
        put(number)
    for number in dice.sample(range(80), 40):
        source.execute(f"UPDATE orders SET ({columns}) = ROW(%s, %s, %s, %s::date, %s::timestamptz, %s, %s::uuid, %s) WHERE id = {number}",
                       random_row(dice))
    source.execute("DELETE FROM orders WHERE id %% 9 = 0", ())
    tarn.wait_caught_up()
    assert lake() == wanted(source, where=filter)
    tarn.verify()
    assert tarn.stop() == 0


def wait_copied(tarn):
    tarn.wait_status(lambda status: not status["copies"]["wanted"], what="the copy")
    tarn.wait_caught_up()


def test_a_changed_filter_copies_the_table_again(orders):
    source, tarn = orders
    source.execute("CREATE TABLE other (id int PRIMARY KEY)")
    tarn.start()
    tarn.wait_caught_up()
    assert tarn.stop() == 0
    loads = sorted(path.name for path in (tarn.lake / "_tarn/bronze/loads").iterdir())
    tarn.extra = MAPPING.replace(FILTER, "region = 'US'")
    tarn.write_config()
    insert(source, 20, "US", 1)
    tarn.start()
    insert(source, 21, "US", 1)
    insert(source, 22, "EU", 9)
    wait_copied(tarn)
    assert numbers(tarn) == [2, 20, 21]
    tarn.verify()
    assert tarn.stop() == 0
    tarn.extra = ""
    tarn.write_config()
    tarn.start()
    wait_copied(tarn)
    assert numbers(tarn) == wanted(source, where="true")
    tarn.verify()
    assert tarn.stop() == 0
    # Of the table whose filter it is, and once for each change.
    after = sorted(path.name for path in (tarn.lake / "_tarn/bronze/loads").iterdir())
    assert after == sorted([*loads, "orders.2.json", "orders.3.json"])
    before = tarn.table_rows("orders")
    tarn.must("rebuild")
    assert tarn.table_rows("orders") == before


@pytest.mark.parametrize("identity", ["DEFAULT", "FULL"])
def test_untouched_toast_values(source, worker, identity):
    """A large value that the filter needs, or that the lake does not have when a row enters, is had from a new copy."""
    source.execute("CREATE TABLE doc (id int PRIMARY KEY, kind text, state int, body text)")
    source.execute("ALTER TABLE doc ALTER kind SET STORAGE EXTERNAL, ALTER body SET STORAGE EXTERNAL")
    source.execute(f"ALTER TABLE doc REPLICA IDENTITY {identity}")
    long = "k" * 5000
    tarn = worker.tarn(source)
    tarn.extra = f'[[mapping]]\ntables = "public.doc"\nfilter = "kind <> \'secret\' AND state > 0"\n'
    tarn.write_config()
    tarn.start()

    def rows():
        return [tuple(row.values()) for row in tarn.query("SELECT id, kind, state, body FROM doc ORDER BY id")]

    def stored():
        return source.execute("SELECT id, kind, state, body FROM doc WHERE kind <> 'secret' AND state > 0 ORDER BY id")
    source.execute("INSERT INTO doc VALUES (1, %s, 1, 'b'), (2, 'open', 0, %s), (3, 'open', 1, %s)", (long, long, long))
    tarn.wait_caught_up()
    assert rows() == stored()
    source.execute("UPDATE doc SET state = 2 WHERE id = 3")  # Inside all along: its value is carried.
    tarn.wait_caught_up()
    assert rows() == stored() and tarn.status()["copies"]["wanted"] == {}
    source.execute("UPDATE doc SET body = 'later' WHERE id = 1")  # `kind` is not sent.
    wait_copied(tarn)
    assert rows() == stored()
    source.execute("UPDATE doc SET state = 1 WHERE id = 2")  # Enters; `body` is not sent.
    wait_copied(tarn)
    assert rows() == stored() and len(rows()) == 3
    tarn.verify()
    copies = len(list((tarn.lake / "_tarn/bronze/loads").glob("doc*.json")))
    assert copies == (3 if identity == "DEFAULT" else 1)


def test_columns_that_change_under_a_filter(orders):
    """The filter follows the type that a column has; without the column tarn stops, as nothing may go past the filter."""
    source, tarn = orders
    tarn.start()
    source.execute("ALTER TABLE orders ALTER quantity TYPE numeric, ADD note text")
    insert_late = "INSERT INTO orders (id, region, quantity, secret, note) VALUES (%s, 'EU', %s, 'x', 'n')"
    source.execute(insert_late, (30, "5.5"))
    source.execute(insert_late, (31, "NaN"))
    wait_copied(tarn)
    assert numbers(tarn) == wanted(source) == [1, 4, 6, 30, 31]
    tarn.verify()
    source.execute("ALTER TABLE orders RENAME region TO area")
    source.execute("INSERT INTO orders (id, area, quantity, secret) VALUES (32, 'US', 9, 'x')")
    assert tarn.wait_exit() == 2
    assert "'region'" in tarn.log_tail() and "tarn.toml" in tarn.log_tail()
    # With the filter for the new name it goes on; what is between is judged by nobody, so the table is copied.
    tarn.extra = MAPPING.replace("region", "area")
    tarn.write_config()
    tarn.start()
    wait_copied(tarn)
    assert numbers(tarn) == wanted(source, where=FILTER.replace("region", "area"))
    tarn.verify()


def test_partitions_and_several_filters(source, worker):
    source.execute("CREATE TABLE event (id int, day date, kind text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)")
    source.execute("CREATE TABLE event_old PARTITION OF event FOR VALUES FROM (MINVALUE) TO ('2026-01-01')")
    source.execute("CREATE TABLE event_new PARTITION OF event FOR VALUES FROM ('2026-01-01') TO (MAXVALUE)")
    source.execute("CREATE TABLE journal (id int, kind text)")
    fill = "INSERT INTO event SELECT g, date '2025-12-25' + g, CASE g %% 2 WHEN 0 THEN 'a' ELSE 'b' END FROM generate_series(%s::int, %s::int) g"
    source.execute(fill, (1, 10))
    source.execute("INSERT INTO journal VALUES (1, 'a'), (2, 'b')")
    tarn = worker.tarn(source)
    tarn.extra = ('[[mapping]]\ntables = "public.*"\nfilter = "kind = \'a\'"\n'
                  '[[mapping]]\ntables = "public.event"\nfilter = "day >= \'2025-12-28\'"\n')
    tarn.write_config()
    tarn.start()
    source.execute(fill, (11, 20))
    source.execute("UPDATE event SET day = '2020-01-01' WHERE id = 12")
    source.execute("UPDATE event SET day = '2027-01-01', kind = 'a' WHERE id = 1")
    source.execute("INSERT INTO journal VALUES (3, 'a'), (4, 'b')")
    tarn.wait_caught_up()
    assert numbers(tarn, "event") == wanted(source, "event", "kind = 'a' AND day >= '2025-12-28'")
    assert numbers(tarn, "journal") == [1, 3]
    # What a partition tells of a row before is by its own identity, whatever the root says.
    source.execute("ALTER TABLE event REPLICA IDENTITY FULL")
    source.execute("UPDATE event SET kind = 'b' WHERE id IN (4, 6)")
    source.execute("DELETE FROM event WHERE id = 8")
    tarn.wait_caught_up()
    assert numbers(tarn, "event") == wanted(source, "event", "kind = 'a' AND day >= '2025-12-28'")
    tarn.verify()
    source.execute("TRUNCATE event")
    source.execute(fill, (30, 31))
    tarn.wait_caught_up()
    assert numbers(tarn, "event") == [30]
    tarn.verify()


@pytest.mark.parametrize("filter,words", [
    ("region = 'EU", ["tarn.toml:", "character 10", "not closed"]),
    ("region = 'EU' AND", ["tarn.toml:", "character 18", "a column is expected"]),
    ("", ["tarn.toml:", "character 1"]),
    ("reigon = 'EU'", ["tarn.toml:", "'reigon'", "region", "public.orders"]),
    ("region > 'EU'", ["tarn.toml:", "'region'", "only =, <> and IN"]),
    ("quantity = 'five'", ["'five'", "whole number"]),
    ("lower(region) = 'eu'", ["tarn.toml:", "character 6"]),
    ("id = 1; DROP TABLE orders", ["tarn.toml:", "character 7"]),
    ("placed > '2026-01-01'", ["offset"]),
    ("doc = 5", ["'doc'", "cannot be filtered"]),
])
def test_mistakes_are_named_before_anything_is_copied(orders, filter, words):
    source, tarn = orders
    source.execute("ALTER TABLE orders ADD doc jsonb")
    tarn.extra = f'[[mapping]]\ntables = "public.orders"\nfilter = "{filter}"\n'
    tarn.write_config()
    for command in (["check"], ["run", "--until", source.mark()]):
        outcome = tarn.command(*command)
        assert outcome.code != 0, outcome.text
        for word in words:
            assert word in outcome.text, outcome.text
    assert not list(tarn.lake.rglob("*.parquet"))
