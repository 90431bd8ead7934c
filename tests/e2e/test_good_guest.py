"""tarn never breaks, blocks or fills its source, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal

import pytest

from support.cluster import wait_for
from support.tarn import lsn_value

TABLES = {
    "with_key": "CREATE TABLE {} (id int PRIMARY KEY, v text)",
    "without_key": "CREATE TABLE {} (id int, v text)",
    "full_with_key": "CREATE TABLE {0} (id int PRIMARY KEY, v text); ALTER TABLE {0} REPLICA IDENTITY FULL",
    "full_without_key": "CREATE TABLE {0} (id int, v text); ALTER TABLE {0} REPLICA IDENTITY FULL",
    "nothing_with_key": "CREATE TABLE {0} (id int PRIMARY KEY, v text); ALTER TABLE {0} REPLICA IDENTITY NOTHING",
    "unique_index": "CREATE TABLE {0} (id int NOT NULL UNIQUE, v text); ALTER TABLE {0} REPLICA IDENTITY USING INDEX {0}_id_key",
    "parted": "CREATE TABLE {0} (id int PRIMARY KEY, v text) PARTITION BY HASH (id); "
              "CREATE TABLE {0}_0 PARTITION OF {0} FOR VALUES WITH (MODULUS 2, REMAINDER 0); "
              "CREATE TABLE {0}_1 PARTITION OF {0} FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
}


@pytest.fixture
def guest(source, worker):
    for name, sql in TABLES.items():
        source.execute(sql.format(name))
        source.execute(f"INSERT INTO {name} SELECT g, 'v' || g FROM generate_series(1, 50) g")
    return source, worker.tarn(source, tables={"include": ["public.*"], "exclude": ["public.excluded"]})


def write(source, turn: int):
    """Every kind of statement on every kind of table; an error of the source's is the test's."""
    for name in TABLES:
        source.execute(f"INSERT INTO {name} VALUES (%s, 'new')", (1000 + turn,))
        source.execute(f"UPDATE {name} SET v = v || '!' WHERE id = %s", (1 + turn,))
        source.execute(f"UPDATE {name} SET id = id + 5000 WHERE id = %s", (10 + turn,))
        source.execute(f"DELETE FROM {name} WHERE id = %s", (20 + turn,))
        with source.connection.transaction():
            source.execute(f"INSERT INTO {name} SELECT g, 'many' FROM generate_series(%s::int, %s::int) g", (2000 + turn * 10, 2005 + turn * 10))
            source.execute(f"DELETE FROM {name} WHERE v = 'many' AND id %% 2 = 0 AND id >= %s", (2000 + turn * 10,))


def test_no_statement_of_the_source_fails(guest):
    """Writes to tables with and without keys, before, while and after tarn runs; what it says it follows is right."""
    source, tarn = guest
    write(source, 0)
    tarn.start()
    write(source, 1)
    tarn.wait_caught_up()
    write(source, 2)
    tarn.wait_caught_up()
    tables = tarn.verify()
    followed = {name for name, table in tables.items() if not table["append_only"]}
    assert {"with_key", "full_with_key", "unique_index", "parted"} <= followed
    for name in TABLES:
        if name in followed:
            assert tables[name]["equal"]
        else:  # Every insert is there, as it was.
            assert tarn.value(f"SELECT count(*) FROM {name} WHERE v = 'new'") == 3, name
    check = tarn.command("check")
    assert "without_key" in check.out and "no primary key" in check.out
    assert tarn.stop() == 0
    write(source, 3)


def test_remove_leaves_nothing(guest):
    """After `tarn remove` the source has no slot, no publication, no trigger, no schema of tarn's; a second one is fine."""
    source, tarn = guest
    objects = "SELECT (SELECT count(*) FROM pg_proc) + (SELECT count(*) FROM pg_namespace) + (SELECT count(*) FROM pg_class) " \
              "+ (SELECT count(*) FROM pg_event_trigger) + (SELECT count(*) FROM pg_trigger)"
    before = source.value(objects)
    tarn.start()
    write(source, 0)
    tarn.wait_caught_up()
    running = tarn.command("remove")
    assert running.code == 1 and "another tarn" in running.err
    assert tarn.stop() == 0
    assert source.value("SELECT count(*) FROM pg_publication") > 0
    tarn.must("remove")
    assert source.value("SELECT count(*) FROM pg_publication") == 0
    assert source.value("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()") == 0
    assert source.value(objects) == before
    assert source.value("SELECT count(*) FROM pg_class WHERE relreplident = 'f'") == 2
    assert "nothing of tarn" in tarn.must("remove")
    # The lake stays readable.
    assert tarn.value("SELECT count(*) FROM with_key") == source.value("SELECT count(*) FROM with_key")


def test_slot_moves_on_an_idle_database(guest):
    """What the source writes elsewhere (an excluded table, another database) does not pile up behind the slot."""
    source, tarn = guest
    source.execute("CREATE TABLE excluded (id int PRIMARY KEY, v text)")
    tarn.start().wait_caught_up()
    kept = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn) FROM pg_replication_slots WHERE database = current_database()"
    for what in ("INSERT INTO excluded SELECT g, repeat('x', 100) FROM generate_series(1, 20000) g", "DELETE FROM excluded"):
        source.execute(what)
        end = source.mark()
        wait_for(lambda: source.value("SELECT confirmed_flush_lsn >= %s::pg_lsn FROM pg_replication_slots "
                                      "WHERE database = current_database()", (end,)), 30, "the slot's move")
        assert source.value(kept) < 100_000
    other = source.cluster.connect("postgres")
    other.execute("CREATE TABLE IF NOT EXISTS elsewhere (v text)")
    other.execute("INSERT INTO elsewhere SELECT repeat('x', 1000) FROM generate_series(1, 5000)")
    end = source.value("SELECT pg_current_wal_lsn()::text")
    wait_for(lambda: source.value("SELECT confirmed_flush_lsn >= %s::pg_lsn FROM pg_replication_slots "
                                  "WHERE database = current_database()", (end,)), 30, "the slot's move")
    other.execute("DROP TABLE elsewhere")
    status = tarn.status()
    assert lsn_value(status["source"]["confirmed"]) >= lsn_value(end)
    write(source, 0)
    tarn.wait_caught_up()
    tarn.verify()


def test_the_stream_waits_for_no_lock(source, worker):
    """Somebody keeps a followed table locked: the stream goes on, for that table and others, and DDL behind the lock is told."""
    source.execute("CREATE TABLE locked (id int PRIMARY KEY, n int); CREATE TABLE free (id int PRIMARY KEY)")
    source.execute("INSERT INTO locked VALUES (1, 1)")
    tarn = worker.tarn(source).start()
    tarn.wait_caught_up()
    os.kill(tarn.process.pid, signal.SIGSTOP)
    try:
        source.execute("INSERT INTO locked VALUES (2, 2); ANALYZE locked")  # Then the source describes the table again.
        lock = source.connect(autocommit=False)
        lock.execute("LOCK TABLE locked IN ACCESS EXCLUSIVE MODE")
        source.execute("INSERT INTO free VALUES (1)")
    finally:
        os.kill(tarn.process.pid, signal.SIGCONT)
    wait_for(lambda: tarn.value("SELECT count(*) FROM free") == 1, 30, "the row behind the lock")
    assert tarn.value("SELECT count(*) FROM locked") == 2
    lock.execute("ALTER TABLE locked ADD COLUMN made int DEFAULT 7")
    lock.execute("INSERT INTO locked VALUES (3, 3, 3)")
    lock.commit()
    lock.close()
    wait_for(lambda: tarn.try_query("SELECT sum(made) AS made FROM locked").out == '{"made":"17"}\n', 60, "the filled column")
    tarn.wait_caught_up()
    tarn.verify()


def test_kept_wal_is_told(source, worker):
    """WAL that the source keeps because of tarn is warned of, and the warning ends when it is gone."""
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    tarn = worker.tarn(source, source={"wal_warn_mb": 2}).start()
    with source.connect(autocommit=False) as idle:  # An open transaction keeps WAL, whatever tarn confirms.
        idle.execute("INSERT INTO t VALUES (1)")
        source.execute("SELECT pg_logical_emit_message(false, 'test', repeat('x', 1000000)) FROM generate_series(1, 4)")
        tarn.wait_status(lambda status: status["source"]["alarm"], what="the alarm")
        assert "WARNING: the source keeps" in tarn.must("status") and "MB of WAL for the slot" in tarn.log_tail()
        idle.rollback()

    def gone(status):
        source.execute("CHECKPOINT")  # Writes what a slot's restart position is moved by.
        return not status["source"]["alarm"]
    tarn.wait_status(gone, what="the end of the alarm")
    assert "within bounds again" in tarn.log_tail()


def test_kept_wal_is_told_while_tables_are_copied(source, worker):
    """A first copy, and one beside the stream, may last for hours, in which nothing else looks at what the source keeps."""
    source.execute("CREATE TABLE t (id int PRIMARY KEY, body text)")
    source.execute("INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(1, 30000) g")
    tarn = worker.tarn(source, source={"wal_warn_mb": 2, "copy_mb_per_s": 1}).start(wait=False)

    def alarmed(status):
        source.execute("SELECT pg_logical_emit_message(false, 'test', repeat('x', 1000000))")
        return status["phase"] == "first copy" and status["source"]["alarm"]
    tarn.wait_status(alarmed, what="the alarm")
    assert "MB of WAL for the slot" in tarn.log_tail()


def test_copies_keep_a_rate(source, worker):
    """A copy asks no more of the source than it may: it cannot be done before the limit allows it."""
    source.execute("CREATE TABLE t (id int PRIMARY KEY, body text)")
    source.execute("INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(1, 3000) g")
    tarn = worker.tarn(source, source={"copy_mb_per_s": 1}).start()
    assert tarn.status()["copy"]["seconds"] >= 2.5  # Of 3 MB.
    tarn.verify()


def test_what_it_does_has_a_name(source, worker):
    """Whoever looks at the server sees which table a copy is of and what each connection is for; a snapshot's slot is tarn's, and goes with it."""
    source.execute("CREATE TABLE \"Odd name\" (id int PRIMARY KEY, body text)")
    source.execute("INSERT INTO \"Odd name\" SELECT g, repeat('x', 1000) FROM generate_series(1, 3000) g")
    tarn = worker.tarn(source, source={"copy_mb_per_s": 1, "copy_range_kb": 256}, silver={"copy_workers": 2})
    slot = tarn.sections["source"]["slot"]

    def activity() -> dict[str, list[str]]:
        names: dict[str, list[str]] = {}
        for name, query in source.execute("SELECT application_name, query FROM pg_stat_activity WHERE datname = current_database() "
                                          "AND pid <> pg_backend_pid() AND backend_type IN ('client backend', 'walsender')"):
            names.setdefault(name, []).append(query)
        return names

    def slots() -> list[tuple]:
        return source.execute("SELECT slot_name, temporary FROM pg_replication_slots WHERE database = current_database() ORDER BY temporary")

    def two_copies() -> bool:
        return len([query for query in activity().get("tarn copy public.Odd name", []) if query.startswith("COPY (SELECT")]) == 2

    def looked():
        wait_for(two_copies, 30, "two workers that copy")
        names, (own, snapshot) = activity(), slots()
        assert all(name.startswith("tarn ") for name in names), names
        assert "tarn snapshot" in names
        assert own == (slot, False) and snapshot[1] and re.fullmatch("tarn_snapshot_[0-9a-f]{16}", snapshot[0])
        return snapshot[0]
    tarn.start(wait=False)
    first = looked()
    tarn.wait_streaming()
    wait_for(lambda: slots() == [(slot, False)], 30, "the end of the snapshot's slot")
    wait_for(lambda: {"tarn stream", "tarn watch"} <= set(activity()), 30, "the names of what goes on")
    tarn.must("resync", "public.Odd name", "--no-wait")
    assert looked() != first, "two of them may be there at once"
    wait_for(lambda: slots() == [(slot, False)], 30, "the end of the snapshot's slot")
    tarn.wait_settled()
    tarn.verify()


def test_no_locks_are_held(guest):
    """While tarn streams it holds no transaction open: ALTER TABLE and VACUUM go through at once."""
    source, tarn = guest
    tarn.start().wait_caught_up()
    source.execute("SET lock_timeout = '3s'")
    source.execute("ALTER TABLE with_key ADD COLUMN extra int")
    source.execute("VACUUM FULL full_with_key")
    open_transactions = source.value("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                                     "AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL AND backend_type = 'client backend'")
    assert open_transactions == 0
    source.execute("UPDATE with_key SET extra = 1")
    tarn.wait_caught_up()
    tarn.verify()
