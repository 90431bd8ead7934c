"""Columns that the configuration adds, and names of tables that it gives: in Bronze, Silver and SQL, by copy and by stream."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

ADD = """
[[mapping]]
tables = "public.*"
add = { loaded_from = "database", of_schema = "schema", of_table = "table" }
[[mapping]]
tables = "public.orders"
add = { source = "'shop ''eu'" }
"""


def rows(tarn, table: str) -> list[dict]:
    found = tarn.query(f"SELECT * FROM {table} ORDER BY id")
    return [{name: value for name, value in row.items() if not name.startswith("_")} for row in found]


def columns(tarn, table: str) -> list[str]:
    return [row["column_name"] for row in tarn.query(f"SELECT column_name FROM (DESCRIBE {table})")
            if not row["column_name"].startswith("_")]


def bronze(tarn, folder: str) -> list[dict]:
    """All rows of a table's Bronze files, the copies' first."""
    paths = sorted((tarn.lake / "bronze/public" / folder).glob("*.parquet"), key=lambda path: (path.name[:4] != "LOAD", path.name))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def wait_copied(tarn):
    tarn.wait_status(lambda status: not status["copies"]["wanted"], what="the copy")
    tarn.wait_caught_up()


@pytest.fixture
def shop(source, worker):
    source.execute("CREATE TABLE orders (id int PRIMARY KEY, note text); CREATE TABLE log (id int)")
    source.execute("INSERT INTO orders VALUES (1, 'a'), (2, 'b'); INSERT INTO log VALUES (1)")
    return source, worker.tarn(source)


def configure(tarn, extra: str):
    tarn.extra = extra
    tarn.write_config()


def test_added_columns(shop):
    source, tarn = shop
    configure(tarn, ADD)
    assert tarn.command("check").code == 0
    tarn.start()
    source.execute("INSERT INTO orders VALUES (3, 'c')")
    source.execute("UPDATE orders SET note = 'bb' WHERE id = 2")
    source.execute("UPDATE orders SET id = 10 WHERE id = 1")
    source.execute("DELETE FROM orders WHERE id = 3")
    source.execute("INSERT INTO log VALUES (2)")
    source.execute("ALTER TABLE orders ADD more int")  # Followed: no reason to copy.
    source.execute("INSERT INTO orders VALUES (4, 'd', 44)")
    tarn.wait_caught_up()
    constant = {"source": "shop 'eu", "loaded_from": source.name, "of_schema": "public", "of_table": "orders"}
    assert rows(tarn, "orders") == [{"id": number, "note": note, "more": more, **constant}
                                    for number, note, more in [(2, "bb", None), (4, "d", 44), (10, "a", None)]]
    assert rows(tarn, "log") == [{"id": number, "loaded_from": source.name, "of_schema": "public", "of_table": "log"} for number in (1, 2)]
    # Behind the source's columns.
    assert columns(tarn, "silver.log") == ["id", "loaded_from", "of_schema", "of_table"]
    tarn.verify()
    assert tarn.stop() == 0
    assert len(list((tarn.lake / "_tarn/bronze/loads").glob("orders*"))) == 1
    stored = bronze(tarn, "orders")
    assert len(stored) == 7
    for row in stored:
        assert {name: row[name] for name in constant} == (constant if row["Op"] != "D" else dict.fromkeys(constant)), row
    before = tarn.table_rows("orders"), tarn.table_rows("log")
    tarn.must("rebuild")
    assert (tarn.table_rows("orders"), tarn.table_rows("log")) == before
    tarn.must("bronze", "verify")


def test_a_changed_column_copies_its_tables_again(shop):
    source, tarn = shop
    configure(tarn, '[[mapping]]\ntables = "public.orders"\nadd = { source = "\'one\'", gone = "table" }\n')
    tarn.start()
    tarn.wait_caught_up()
    assert tarn.stop() == 0
    configure(tarn, '[[mapping]]\ntables = "public.orders"\nadd = { source = "\'two\'", fresh = "schema" }\n')
    tarn.start()
    source.execute("INSERT INTO orders VALUES (3, 'c')")
    wait_copied(tarn)
    assert rows(tarn, "orders") == [{"id": number, "note": note, "source": "two", "fresh": "public", "gone": None}
                                    for number, note in [(1, "a"), (2, "b"), (3, "c")]]
    assert rows(tarn, "log") == [{"id": 1}]
    tarn.verify()
    # The table's name is a value, so a rename of the table is another value.
    assert tarn.stop() == 0
    configure(tarn, '[[mapping]]\ntables = "public.o*"\nadd = { source = "\'two\'", fresh = "table" }\n')
    tarn.start()
    wait_copied(tarn)
    source.execute("ALTER TABLE orders RENAME TO offers")
    source.execute("INSERT INTO offers VALUES (4, 'd')")
    tarn.wait_status(lambda status: not status["copies"]["wanted"] and
                     {row["fresh"] for row in rows_or_none(tarn)} == {"offers"}, what="the copy")
    assert len(rows(tarn, "orders")) == 4
    tarn.verify()
    loads = {path.name for path in (tarn.lake / "_tarn/bronze/loads").iterdir()}
    assert not [name for name in loads if name.startswith("log.2")]


def rows_or_none(tarn) -> list[dict]:
    """None while the table is held."""
    outcome = tarn.try_query("SELECT fresh FROM orders")
    return tarn.query("SELECT fresh FROM orders") if outcome.code == 0 else []


NAMED = '[[mapping]]\ntables = "public.orders"\ntable_name = "sales_orders"\n'


def test_a_table_with_a_name_of_its_own(shop):
    source, tarn = shop
    configure(tarn, NAMED)
    assert tarn.command("check").code == 0
    tarn.start()
    source.execute("INSERT INTO orders VALUES (3, 'c')")
    source.execute("DELETE FROM orders WHERE id = 1")
    tarn.wait_caught_up()
    assert rows(tarn, "sales_orders") == [{"id": 2, "note": "b"}, {"id": 3, "note": "c"}]
    assert rows(tarn, "silver.sales_orders") == rows(tarn, "sales_orders")
    assert tarn.try_query("SELECT * FROM orders").code == 1
    # A table that is renamed on the source keeps its name in the lake for as long as tarn runs.
    source.execute("ALTER TABLE orders RENAME TO offers")
    source.execute("INSERT INTO offers VALUES (4, 'd')")
    tarn.wait_caught_up()
    assert [row["id"] for row in rows(tarn, "sales_orders")] == [2, 3, 4]
    tarn.verify()
    assert tarn.stop() == 0
    refused = tarn.command("run", "--until", source.mark())
    assert refused.code != 0 and "'public.orders'" in refused.text
    configure(tarn, NAMED.replace("public.orders", "public.offers"))
    tarn.start()
    source.execute("INSERT INTO offers VALUES (5, 'e')")
    tarn.wait_caught_up()
    assert [row["id"] for row in rows(tarn, "sales_orders")] == [2, 3, 4, 5]
    tarn.verify()
    assert tarn.stop() == 0
    for folder in ("bronze/public", "silver"):
        assert {path.name for path in (tarn.lake / folder).iterdir() if path.is_dir()} == {"sales_orders", "log"}
    assert {path.name for path in (tarn.lake / "_tarn/bronze/loads").iterdir()} == {"sales_orders.json", "log.json"}
    before = tarn.table_rows("sales_orders")
    tarn.must("rebuild")
    assert tarn.table_rows("sales_orders") == before
    tarn.must("bronze", "verify")


@pytest.mark.parametrize("rebuilt", [False, True])
def test_another_name_for_a_followed_table(shop, rebuilt):
    """It is copied under the new name; under the old one it stays as it was, until it has that name again."""
    source, tarn = shop
    tarn.start()
    tarn.wait_caught_up()
    assert tarn.stop() == 0

    def restart(extra: str):
        if rebuilt:
            tarn.must("rebuild")
        configure(tarn, extra)
        tarn.start()
    restart(NAMED)
    source.execute("INSERT INTO orders VALUES (3, 'c')")
    tarn.wait_caught_up()
    tarn.wait_status(lambda status: not status["copies"]["wanted"], what="the copy")
    assert [row["id"] for row in rows(tarn, "sales_orders")] == [1, 2, 3]
    assert [row["id"] for row in rows(tarn, "orders")] == [1, 2]
    verified = tarn.verify()
    assert set(verified) == {"sales_orders", "log"}
    assert tarn.stop() == 0
    # Once more: nothing is copied for that.
    loads = len(list((tarn.lake / "_tarn/bronze/loads").iterdir()))
    restart(NAMED)
    source.execute("UPDATE orders SET note = 'bb' WHERE id = 2")
    tarn.wait_caught_up()
    assert [row["note"] for row in rows(tarn, "sales_orders")] == ["a", "bb", "c"]
    assert [row["note"] for row in rows(tarn, "orders")] == ["a", "b"]
    assert "left" in [line for line in tarn.must("tables").splitlines() if line.startswith("orders ")][0]
    tarn.verify()
    assert tarn.stop() == 0
    assert len(list((tarn.lake / "_tarn/bronze/loads").iterdir())) == loads
    # Back again: a copy brings the old name up to the present.
    restart("")
    source.execute("DELETE FROM orders WHERE id = 1")
    wait_copied(tarn)
    assert [row["note"] for row in rows(tarn, "orders")] == ["bb", "c"]
    assert [row["note"] for row in rows(tarn, "sales_orders")] == ["a", "bb", "c"]
    assert set(tarn.verify()) == {"orders", "log"}
    assert tarn.stop() == 0
    tarn.must("bronze", "verify")


def test_a_name_that_another_table_has_is_refused(shop):
    source, tarn = shop
    source.execute("CREATE SCHEMA other; CREATE TABLE other.stock (id int PRIMARY KEY); CREATE TABLE other.parts (id int PRIMARY KEY)")
    tarn.sections["tables"]["include"] = ["public.*", "other.*"]

    def refused(table: str, name: str, other: str):
        configure(tarn, f'[[mapping]]\ntables = "{table}"\ntable_name = "{name}"\n')
        for command in (["check"], ["run", "--until", source.mark()]):
            outcome = tarn.command(*command)
            assert outcome.code != 0 and f"'{name}'" in outcome.text and other in outcome.text, outcome.text
    refused("public.orders", "log", "public.log")
    refused("public.orders", "other__stock", "other.stock")
    refused("other.stock", "parts", "other.parts")  # Bronze's folder.
    assert not list(tarn.lake.rglob("*.parquet"))
    configure(tarn, "")
    tarn.start()
    tarn.wait_caught_up()
    source.execute("DROP TABLE log")
    tarn.wait_caught_up()
    assert tarn.stop() == 0
    refused("public.orders", "log", "public.log")  # The lake has it, though the source does not any more.
