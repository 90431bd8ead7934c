"""Queries see what no file holds yet: the tail. Bronze and Silver wait for an hour here, so that all is the tail's."""

from __future__ import annotations

import time

import pytest

from support.cluster import wait_for
from support.history import History

HOUR = 3_600_000
COMPARED = {
    "customer": ("id, tenant_id, name, md5(body) AS body", ""),
    "item": ("tenant_id, id, qty, price::text AS price", "WHERE price <> 'NaN'"),
    "stock": ("code, qty", ""),
    "event": ("tenant_id, what", ""),
}


@pytest.fixture
def slow(worker):
    def start(source, **sections):
        return worker.tarn(source, bronze={"flush_interval_ms": HOUR}, silver={"commit_interval_ms": HOUR},
                           tenants={"column": "tenant_id"}, **sections).start()
    return start


def wait_seen(source, tarn):
    """Until a row that is committed now is seen, and with it everything before it."""
    number = source.value("INSERT INTO marker DEFAULT VALUES RETURNING id")
    wait_for(lambda: tarn.value(f"SELECT count(*) FROM marker WHERE id = {number}") == 1, 30, f"marker {number}", every=0.05)


def same_rows(source, tarn):
    for table, (columns, where) in COMPARED.items():
        expected = sorted([str(v) for v in row] for row in source.execute(f"SELECT {columns} FROM {table} {where}"))
        got = sorted([str(v) for v in row.values()] for row in tarn.query(f"SELECT {columns} FROM {table}"))
        assert got == expected, table
    refused = source.value("SELECT count(*) FROM item WHERE price = 'NaN'")
    assert tarn.value("SELECT count(*) FROM quarantine.item") == refused


def written(tarn) -> set:
    """Files that a flush or a commit would add."""
    return {path for pattern in ("silver/*/.hoodie/*", "quarantine/*/.hoodie/*", "_tarn/bronze/changes/*")
            for path in tarn.lake.glob(pattern)}


def test_random_history(request, source, slow):
    """Inserts, updates, untouched TOAST values, moves, key changes, deletes, refusals; then a crash, then a commit."""
    seed = request.config.tarn_seed
    print(f"seed {seed}")
    history = History(source, seed, truncates=0).create()
    source.execute("CREATE TABLE marker (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY)")
    tarn = slow(source)
    files = written(tarn)
    for _ in range(6):
        for _ in range(25):
            history.step()
        wait_seen(source, tarn)
        same_rows(source, tarn)
    assert written(tarn) == files
    status = tarn.status()
    assert status["tail"]["lsn"] > status["silver"]["lsn"]
    tarn.kill()  # Nothing of it was confirmed, so all of it comes again.
    tarn.start()
    wait_seen(source, tarn)
    same_rows(source, tarn)
    history.step()
    tarn.verify()  # Needs a lake version with all of it: it commits.
    assert written(tarn) != files
    same_rows(source, tarn)
    for _ in range(10):
        history.step()
    wait_seen(source, tarn)
    same_rows(source, tarn)
    assert tarn.stop() == 0


def test_tenants_and_time(source, slow):
    """A tenant sees its own rows of the tail, a row that moved away no more; a time before the tail is without it."""
    source.execute("CREATE TABLE sale (id int PRIMARY KEY, tenant_id int NOT NULL, note text)")
    source.execute("CREATE TABLE marker (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY)")
    source.execute("INSERT INTO sale SELECT g, g % 2 + 1, 'old' FROM generate_series(1, 20) g")
    tarn = slow(source, principals=[{"name": "one", "tenant": "1"}, {"name": "two", "tenant": "2"}])
    before = source.value("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')")
    source.execute("INSERT INTO sale VALUES (100, 1, 'new of one'), (101, 2, 'new of two')")
    source.execute("UPDATE sale SET tenant_id = 2 WHERE id = 2")
    source.execute("DELETE FROM sale WHERE id = 4")
    source.execute("UPDATE sale SET note = 'changed' WHERE id IN (3, 6)")
    wait_seen(source, tarn)
    for name, tenant in (("one", 1), ("two", 2)):
        expected = [list(row) for row in source.execute("SELECT id, note FROM sale WHERE tenant_id = %s ORDER BY 1", (tenant,))]
        assert [list(row.values()) for row in tarn.query("SELECT id, note FROM sale ORDER BY 1", principal=name)] == expected
        assert tarn.query("SELECT count(*) AS n FROM sale WHERE note LIKE 'new of%'", principal=name) == [{"n": 1}]
    assert tarn.value("SELECT count(*) FROM sale WHERE note = 'old'", as_of=before) == 20
    # Filters and projections work on the tail's rows as on a file's.
    assert tarn.query("SELECT id FROM sale WHERE tenant_id = 2 AND id > 50 ORDER BY id DESC LIMIT 1") == [{"id": 101}]
    assert tarn.value("SELECT count(*) FROM sale") == source.value("SELECT count(*) FROM sale")


def test_what_cannot_be_staged(source, slow):
    """TRUNCATE and a new column commit what is in the tail, in order, and go on from there."""
    source.execute("CREATE TABLE note (id int PRIMARY KEY, body text); ALTER TABLE note ALTER body SET STORAGE EXTERNAL")
    source.execute("CREATE TABLE marker (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY)")
    source.execute("INSERT INTO note SELECT g, repeat('x', 3000) || g FROM generate_series(1, 10) g")
    tarn = slow(source)
    source.execute("INSERT INTO note VALUES (11, repeat('y', 3000))")
    wait_seen(source, tarn)
    source.execute("ALTER TABLE note ADD COLUMN likes int")
    source.execute("UPDATE note SET likes = id")  # The large values are not touched: one is in the tail alone.
    wait_seen(source, tarn)
    assert tarn.value("SELECT count(*) FROM note WHERE likes = id AND length(body) >= 3000") == 11
    source.execute("UPDATE note SET likes = likes + 1 WHERE id < 5")
    wait_seen(source, tarn)
    source.execute("TRUNCATE note")
    source.execute("INSERT INTO note VALUES (1, 'after')")
    wait_seen(source, tarn)
    assert tarn.query("SELECT id, body, likes FROM note") == [{"id": 1, "body": "after", "likes": None}]
    tarn.verify()


def test_the_tail_is_bounded(source, slow):
    """Steps that are each small enough to be staged, of 64 MB together and more: they are committed, though the next commit is an hour away, and of 32 MB and more in Bronze."""
    source.execute("CREATE TABLE doc (id int PRIMARY KEY, body text); CREATE TABLE marker (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY)")
    tarn = slow(source)
    before = tarn.status()["silver"]["commits"]
    committed_at, flushed_at, flushes = [], [], tarn.status()["bronze"]["flushes"]
    for megabytes in range(2, 121, 2):
        # Rows of their own, so that nothing replaces what is staged already.
        source.execute("INSERT INTO doc SELECT g, repeat(md5(g::text), 6250) FROM generate_series(%s::int, %s::int) g", (megabytes * 10, megabytes * 10 + 9))
        wait_seen(source, tarn)
        if tarn.status()["silver"]["commits"] > before + len(committed_at):
            committed_at.append(megabytes)
        if tarn.status()["bronze"]["flushes"] > flushes + len(flushed_at):
            flushed_at.append(megabytes)
    assert 30 <= flushed_at[0] < 50 and len(flushed_at) > len(committed_at), flushed_at
    print(f"committed behind {committed_at} MB")
    assert committed_at and committed_at[0] >= 50, "before that all of it was the tail's"
    assert all(later - earlier >= 50 for earlier, later in zip(committed_at, committed_at[1:]))
    assert committed_at[0] <= 90
    assert tarn.query("SELECT count(*) AS n, count(DISTINCT id) AS ids, sum(length(body)) AS characters FROM doc") == [
        {"n": 600, "ids": 600, "characters": str(600 * 200_000)}]


def test_flush_and_commit_in_time(source, worker):
    """What is in the tail reaches Bronze and Silver by itself, although nothing follows it."""
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    tarn = worker.tarn(source, bronze={"flush_interval_ms": 300}, silver={"commit_interval_ms": 1500}).start()
    source.execute("INSERT INTO t VALUES (1)")
    started = time.monotonic()
    tarn.wait_status(lambda s: s["bronze"]["changes"] == 1, 20, "Bronze")
    tarn.wait_status(lambda s: s["silver"]["changes"] == 1, 20, "Silver")
    print(f"in Silver after {time.monotonic() - started:.2f} s")
    assert tarn.value("SELECT count(*) FROM t") == 1


def test_read_your_own_writes(source, worker):
    """With --fresh an answer has what was committed before it was asked for, by position and by 'now', also while other databases
    write, large transactions come in pieces, and a table is copied again."""
    source.execute("CREATE TABLE mine (id int PRIMARY KEY, body text)")
    tarn = worker.tarn(source, source={"piece_kb": 64}).start()
    tarn.wait_caught_up()

    def count(fresh: str) -> int:
        return tarn.query("SELECT count(*) AS n FROM mine", fresh=fresh)[0]["n"]
    rows = 0
    for turn in range(120):
        many = 300 if turn % 10 == 0 else 1
        source.execute("INSERT INTO mine SELECT g, repeat('x', 1000) FROM generate_series(%s::int, %s::int) g", (rows, rows + many - 1))
        rows += many
        if turn == 50:
            assert tarn.command("resync", "--no-wait", "mine").code == 0
        assert count(source.value("SELECT pg_current_wal_lsn()::text") if turn % 2 else "now") == rows, turn
        if turn % 7 == 0:  # WAL of nothing that is followed.
            source.execute("CREATE TABLE IF NOT EXISTS pg_temp.other (id int); SELECT pg_logical_emit_message(false, 'x', repeat('y', 9000))")
            assert count("now") == rows
    assert tarn.value("SELECT count(*) FROM mine") == rows


def test_what_cannot_be_fresh(source, worker):
    source.execute("CREATE TABLE mine (id int PRIMARY KEY)")
    tarn = worker.tarn(source).start()
    tarn.wait_caught_up()
    ask = ("query", "SELECT count(*) FROM mine", "--fresh")
    late = tarn.command(*ask, "FFFFFF/0", "--within", "0.2")
    assert late.code == 1 and "FFFFFF/0 is not visible within 0.2 s" in late.err and "tarn status" in late.err, late.text
    for wrong in ("yesterday", "5"):
        refused = tarn.command(*ask, wrong)
        assert refused.code == 2 and f"'{wrong}'" in refused.err and "0/16B3748" in refused.err, refused.text
    assert tarn.command(*ask, "now", "--as-of", "2026-11-26").code == 2
    assert tarn.stop() == 0
    alone = tarn.command(*ask, "now")
    assert alone.code == 1 and "tarn run" in alone.err, alone.text
