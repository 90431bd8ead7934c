"""`history: true` in models/silver: every version of a row, valid from and to, as gold.<table>_history."""

from __future__ import annotations

import random

import pytest

MODEL = "table: customers\nhistory: true\n"
OPEN = "SELECT * FROM gold.customers_history WHERE valid_to IS NULL"


def models(folder, **silver):
    (folder / "silver").mkdir(parents=True, exist_ok=True)
    for name, text in (silver or {"customers": MODEL}).items():
        (folder / "silver" / f"{name}.yml").write_text(text)
    return str(folder)


@pytest.fixture
def shop(source, worker, tmp_path):
    source.execute("CREATE TABLE customers (id int PRIMARY KEY, tenant_id int NOT NULL, name text, plan text, note text)")
    source.execute("INSERT INTO customers SELECT g, g % 2 + 1, 'c' || g, 'free', repeat(md5(g::text), 200) FROM generate_series(1, 5) g")
    tarn = worker.tarn(source, gold={"models": models(tmp_path / "models"), "interval_ms": 50}, tenants={"column": "tenant_id"},
                       silver={"commit_interval_ms": 50}, principals=[{"name": "one", "tenant": "1"}]).start()
    tarn.wait_gold()
    return source, tarn


def change(shop, sql):
    """Carried out, and in the history."""
    source, tarn = shop
    source.execute(sql)
    tarn.wait_gold()


def versions(tarn, where="TRUE", principal=None):
    return tarn.query(f"SELECT id, tenant_id, name, plan, is_current FROM gold.customers_history WHERE {where} ORDER BY id, _from_lsn", principal=principal)


def check_open(tarn):
    """The open versions are Silver, and the times of each row's versions follow on each other."""
    columns = "id, tenant_id, name, plan, note"
    assert tarn.query(f"SELECT {columns} FROM gold.customers_history WHERE valid_to IS NULL ORDER BY id") == \
        tarn.query(f"SELECT {columns} FROM silver.customers ORDER BY id")
    assert tarn.query("SELECT count(*) AS n FROM gold.customers_history WHERE is_current <> (valid_to IS NULL) OR valid_to < valid_from") == [{"n": 0}]
    assert tarn.query("""SELECT count(*) AS n FROM (SELECT valid_to, lead(valid_from) OVER (PARTITION BY id ORDER BY _from_lsn) AS next
                         FROM gold.customers_history) WHERE valid_to > next OR (valid_to IS NULL AND next IS NOT NULL)""") == [{"n": 0}]


def test_versions_begin_and_end_with_changes(shop):
    _, tarn = shop
    assert [row["is_current"] for row in versions(tarn)] == [True] * 5
    change(shop, "UPDATE customers SET plan = 'paid' WHERE id = 1")  # Its note is untouched TOAST.
    change(shop, "UPDATE customers SET plan = 'gone', tenant_id = 1 WHERE id = 1")
    change(shop, "DELETE FROM customers WHERE id = 2")
    change(shop, "INSERT INTO customers VALUES (2, 1, 'again', 'free', NULL), (6, 2, 'new', NULL, NULL)")
    change(shop, "UPDATE customers SET plan = plan WHERE id = 3")  # No other value, no version.
    assert [(row["plan"], row["tenant_id"], row["is_current"]) for row in versions(tarn, "id = 1")] == [
        ("free", 2, False), ("paid", 2, False), ("gone", 1, True)]
    assert [(row["name"], row["is_current"]) for row in versions(tarn, "id = 2")] == [("c2", False), ("again", True)]
    assert len(versions(tarn, "id = 3")) == 1
    assert tarn.query("SELECT count(DISTINCT md5(note)) AS n FROM gold.customers_history WHERE id = 1") == [{"n": 1}]
    check_open(tarn)
    # Who sees a tenant sees its versions.
    assert [(row["id"], row["plan"]) for row in versions(tarn, "id = 1", principal="one")] == [(1, "gone")]


def test_it_equals_time_travel(shop):
    source, tarn = shop
    draw = random.Random(20261127)
    for _ in range(12):
        key = draw.randint(1, 8)
        change(shop, draw.choice([
            f"UPDATE customers SET plan = 'p{draw.randint(1, 3)}' WHERE id = {key}", f"DELETE FROM customers WHERE id = {key}",
            f"INSERT INTO customers VALUES ({key}, {draw.randint(1, 2)}, 'n', 'free', NULL) ON CONFLICT (id) DO UPDATE SET tenant_id = excluded.tenant_id"]))
    check_open(tarn)
    times = [row["t"] for row in tarn.query("""SELECT DISTINCT strftime(t, '%Y-%m-%d %H:%M:%S.%f') AS t FROM
        (SELECT valid_from AS t FROM gold.customers_history UNION ALL SELECT valid_to FROM gold.customers_history WHERE valid_to IS NOT NULL) ORDER BY t""")]
    assert len(times) > 5
    for time in times:
        then = tarn.query("SELECT id, tenant_id, plan FROM silver.customers ORDER BY id", as_of=time)
        assert tarn.query(f"""SELECT id, tenant_id, plan FROM gold.customers_history
            WHERE valid_from <= TIMESTAMPTZ '{time}+00' AND (valid_to IS NULL OR valid_to > TIMESTAMPTZ '{time}+00') ORDER BY id""") == then, time


def test_truncation_a_copy_and_a_new_column_are_followed(shop):
    source, tarn = shop
    change(shop, "UPDATE customers SET plan = 'paid' WHERE id = 4")
    before = len(versions(tarn))
    tarn.must("resync", "public.customers")
    tarn.wait_gold()
    assert len(versions(tarn)) == before  # The same rows at another position.
    change(shop, "ALTER TABLE customers ADD COLUMN city text")
    change(shop, "UPDATE customers SET city = 'Ghent' WHERE id = 5")
    assert tarn.query("SELECT city, is_current FROM gold.customers_history WHERE id = 5 ORDER BY _from_lsn") == [
        {"city": None, "is_current": False}, {"city": "Ghent", "is_current": True}]
    change(shop, "TRUNCATE customers")
    assert tarn.query(OPEN) == []
    change(shop, "INSERT INTO customers VALUES (1, 1, 'first', 'free', NULL, NULL)")
    assert [row["id"] for row in tarn.query(OPEN)] == [1]
    check_open(tarn)


def test_a_restart_goes_on_and_a_rebuild_loses_nothing(shop):
    source, tarn = shop
    change(shop, "UPDATE customers SET plan = 'paid' WHERE id < 3")
    kept = tarn.table_rows("gold.customers_history")
    tarn.kill()
    source.execute("UPDATE customers SET plan = 'more' WHERE id = 1")
    tarn.start()
    tarn.wait_gold()
    assert [row["plan"] for row in versions(tarn, "id = 1")] == ["free", "paid", "more"]
    kept = tarn.table_rows("gold.customers_history")
    tarn.stop()
    tarn.must("rebuild")
    tarn.start()
    tarn.wait_gold()
    assert tarn.table_rows("gold.customers_history") == kept
    change((source, tarn), "DELETE FROM customers WHERE id = 1")
    check_open(tarn)
    tarn.stop()
    tarn.check_tables()


def test_what_cannot_have_a_history_is_told(source, worker, tmp_path):
    source.execute("CREATE TABLE log (line text)")
    source.execute("CREATE TABLE times (id int PRIMARY KEY, valid_from date)")
    folder = models(tmp_path / "models", log="table: log\nhistory: true\n", times="table: times\nhistory: true\n")
    tarn = worker.tarn(source, gold={"models": folder}).start()
    source.execute("INSERT INTO times VALUES (1, NULL)")
    tarn.wait_gold()
    log = tarn.log.read_text()
    assert "history of log: 'public.log' has no key, by which the versions of a row would belong together" in log
    assert "history of times: the column 'valid_from' has a name that histories use" in log
    assert tarn.try_query("SELECT * FROM gold.times_history").code == 1
    assert tarn.value("SELECT count(*) FROM times") == 1
    tarn.stop()
    models(tmp_path / "models", log="table: log\nhistory: maybe\n")
    done = tarn.command("run", "--until", "0/0")
    assert done.code == 2 and "log.yml:2: 'maybe' must be true or false" in done.err
