"""`tarn reload`: tables that tarn.toml selects now are followed without a new start; what cannot be taken in while tarn runs is said."""

from __future__ import annotations

import json
import threading

import pytest

from support.cluster import wait_for


@pytest.fixture
def shop(source, worker):
    for table in ("orders", "invoices", "hidden"):
        source.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, v text)")
        source.execute(f"INSERT INTO {table} SELECT g, 'v' || g FROM generate_series(1, 300) g")
    return source, worker.tarn(source, tables={"include": ["public.orders"]}).start()


def select(tarn, **keys):
    tarn.sections["tables"] = keys
    tarn.write_config()


def is_equal(source, tarn, table: str) -> bool:
    got = tarn.try_query(f"SELECT id, v FROM {table} ORDER BY id")
    expected = [{"id": number, "v": v} for number, v in source.execute(f"SELECT id, v FROM {table} ORDER BY id")]
    return got.code == 0 and [json.loads(line) for line in got.out.splitlines()] == expected


def test_more_tables_are_followed(shop):
    """Nothing that is written meanwhile is lost, and what was followed goes on in the same process."""
    source, tarn = shop
    stop = threading.Event()

    def write():
        number = 300
        with source.connect() as connection:
            while not stop.is_set():
                number += 1
                for table in ("orders", "invoices", "hidden"):
                    connection.execute(f"INSERT INTO {table} VALUES (%s, 'new')", [number])
                    connection.execute(f"UPDATE {table} SET v = %s WHERE id = %s", [f"w{number}", number % 300 + 1])

    process = tarn.process.pid
    writer = threading.Thread(target=write)
    writer.start()
    try:
        select(tarn, include=["public.*"], exclude=["public.hid*"])
        told = tarn.must("reload")
        assert told.splitlines() == ["public.invoices is copied and followed from now on; `tarn status` tells how far"]
        tarn.wait_status(lambda status: "copied_at" in status["tables"].get("invoices", {}), what="the added table")
    finally:
        stop.set()
        writer.join()
    for table in ("orders", "invoices"):
        wait_for(lambda table=table: is_equal(source, tarn, table), 60, f"{table} to be as the source has it")
    assert tarn.process.pid == process and tarn.is_running()
    assert "hidden" not in tarn.status()["tables"]
    assert tarn.must("reload") == "nothing to do\n"
    tarn.verify()
    tarn.kill()
    source.execute("DELETE FROM invoices WHERE id < 100")
    tarn.start()
    wait_for(lambda: is_equal(source, tarn, "invoices"), 60, "the table after a new start")


def test_a_table_made_behind_the_reload(shop):
    source, tarn = shop
    select(tarn, include=["public.orders", "public.p*"])
    assert tarn.must("reload") == "nothing to do\n"
    source.execute("CREATE TABLE payments (id int PRIMARY KEY, v text)")
    source.execute("INSERT INTO payments VALUES (1, 'paid')")
    wait_for(lambda: is_equal(source, tarn, "payments"), 60, "the new table")


def test_what_cannot_be_is_refused_and_changes_nothing(shop):
    source, tarn = shop
    select(tarn, include=["public.invoices"])
    refused = tarn.command("reload")
    assert refused.code == 2  # The configuration is wrong.
    assert "[tables] selects 'public.orders' no more, which is followed: to leave it out, stop `tarn run`" in refused.err
    select(tarn, include=["public.orders", "public.ordrs"])
    refused = tarn.command("reload")
    assert refused.code == 2 and "'public.ordrs'" in refused.err
    select(tarn, include=["public.orders"], exlude=["public.x"])
    refused = tarn.command("reload")
    assert refused.code == 2 and "did you mean 'exclude'?" in refused.err
    select(tarn, include=["public.orders"])
    source.execute("INSERT INTO orders VALUES (1000, 'later')")
    wait_for(lambda: is_equal(source, tarn, "orders"), 60, "the table that is followed")
    assert list(tarn.status()["tables"]) == ["orders"]


def test_other_settings_wait_for_a_new_start(shop):
    _, tarn = shop
    tarn.sections["silver"]["commit_interval_ms"] = 200
    select(tarn, include=["public.orders", "public.invoices"])
    outcome = json.loads(tarn.must("reload", "--json"))
    assert outcome == {"added": ["public.invoices"], "waiting": ["silver.commit_interval_ms"]}
    assert "silver.commit_interval_ms changed: that counts from the next start" in tarn.must("reload")
    tarn.stop()
    stopped = tarn.command("reload")
    assert stopped.code == 1 and "no tarn runs on the lake" in stopped.err
