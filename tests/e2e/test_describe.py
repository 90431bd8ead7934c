"""`tarn describe`: what a table of the lake is, whose, from where, and what is in it."""

from __future__ import annotations

import json

import pytest

ORDERS = """
table: orders
description: Sales, one row an order.
owner: sales@example.com
columns: {id: The order., total: What the customer pays.}
rules: [{name: no_total, check: total >= 0}]
tests: [{expression: id > 0}]
"""
BY_TENANT = """
description: Orders of each tenant.
owner: finance@example.com
key: [tenant_id]
partition: tenant_id
columns: {orders: How many.}
"""


@pytest.fixture
def lake(source, worker, tmp_path):
    source.execute('CREATE TABLE orders (id int PRIMARY KEY, tenant_id int NOT NULL, "Total sum" text, total numeric(10,2))')
    source.execute("INSERT INTO orders SELECT g, g % 3, 'x' || g, CASE WHEN g = 7 THEN -1 ELSE g END FROM generate_series(1, 30) g")
    source.execute("CREATE TABLE notes (id int PRIMARY KEY, text text)")
    for name, text in (("silver/orders.yml", ORDERS), ("gold/by_tenant.yml", BY_TENANT),
                       ("gold/by_tenant.sql", "SELECT tenant_id, count(*) AS orders FROM orders GROUP BY 1")):
        (tmp_path / "models" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "models" / name).write_text(text)
    tarn = worker.tarn(source, gold={"models": str(tmp_path / "models")}, tenants={"column": "tenant_id"}).start()
    tarn.wait_gold()
    return source, tarn


def described(tarn, *arguments) -> list[dict]:
    return json.loads(tarn.must("describe", "--json", *arguments))["tables"]


def test_a_table_of_silver_with_its_statistics(lake):
    source, tarn = lake
    source.execute("DELETE FROM orders WHERE id = 30")
    source.execute("UPDATE orders SET total = NULL WHERE id = 1")
    tarn.query("SELECT 1", fresh="now")
    (table,) = described(tarn, "orders", "--statistics")
    assert {key: table[key] for key in ("table", "description", "owner", "source", "state", "key", "rules", "checks", "read_by")} == {
        "table": "silver.orders", "description": "Sales, one row an order.", "owner": "sales@example.com", "source": "public.orders",
        "state": "follows", "key": ["id"], "rules": 1, "checks": 1, "read_by": ["gold.by_tenant"]}
    assert table["source_names"] == {"Total_sum": "Total sum"}
    columns = {column["name"]: column for column in table["columns"]}
    assert columns["total"]["type"] == "DECIMAL(10,2)" and columns["total"]["description"] == "What the customer pays."
    assert (columns["id"]["min"], columns["id"]["max"]) == ("1", "29")
    assert (columns["total"]["min"], columns["total"]["max"]) == ("2.00", "29.00")
    assert float(columns["total"]["null_percentage"]) == pytest.approx(100 / 28, abs=0.01)
    shown = tarn.must("describe", "silver.orders", "--statistics")
    for line in ("silver.orders\n", "  what        Sales, one row an order.\n", "  owner       sales@example.com\n", "  source      public.orders\n",
                 "  partitions  3, by tenant_id\n", "  promises    1 rules, 1 checks\n", "  read by     gold.by_tenant\n", "from 2.00 to 29.00"):
        assert line in shown


def test_rows_are_counted_as_queries_count_them(lake):
    source, tarn = lake
    source.execute("DELETE FROM orders WHERE id > 20")
    source.execute("INSERT INTO orders SELECT g, 9, 'new', 1 FROM generate_series(100, 104) g")
    tarn.stop()
    tarn.must("run", "--until", source.value("SELECT pg_current_wal_lsn()::text"))
    for name in ("silver.orders", "gold.by_tenant", "quarantine.orders", "silver.notes"):
        (table,) = described(tarn, name)
        assert table["content"]["rows"] == tarn.query(f"SELECT count(*) AS n FROM {name}")[0]["n"], name
    (orders,) = described(tarn, "orders")
    assert (orders["content"]["rows"], orders["content"]["partitions"]) == (24, 4)


def test_the_list_has_all_tables_but_empty_quarantines(lake):
    _, tarn = lake
    assert {table["table"]: (table["content"]["rows"], table["owner"]) for table in described(tarn)} == {
        "silver.orders": (29, "sales@example.com"), "silver.notes": (0, ""), "gold.by_tenant": (3, "finance@example.com"),
        "quarantine.orders": (1, "sales@example.com")}
    shown = tarn.must("describe")
    assert "gold.by_tenant" in shown and "Orders of each tenant." in shown and "quarantine.notes" not in shown


def test_a_name_that_is_none_is_told(lake):
    _, tarn = lake
    done = tarn.command("describe", "ordrs")
    assert done.code == 1
    assert "the lake has no table 'ordrs' in silver, gold, quarantine or external; `tarn describe` lists them" in done.err
