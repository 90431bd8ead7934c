"""The source is not the one it was: failed over, set back, its slot or publication gone. Nothing is guessed, all is copied again."""

from __future__ import annotations

import os
import shutil

import pytest

from support.cluster import Cluster, Database, wait_for
from support.tarn import lsn_value


@pytest.fixture
def server(session_folder, worker):
    """A server of its own with a table of 300 rows, followed by a running tarn."""
    name = worker.name()
    cluster = Cluster(session_folder / name).create()
    database = Database(cluster, "shop_" + name)
    database.execute("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (id int PRIMARY KEY)")
    database.execute("INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 300) g")
    tarn = worker.tarn(database).start()
    tarn.wait_caught_up()
    try:
        yield cluster, database, tarn
    finally:
        tarn.close()
        database.connection.close()
        cluster.destroy()


def recovered(tarn, rows: int):
    """Waits until the lake has what the source has now."""
    wait_for(lambda: tarn.try_query("SELECT count(*) AS n FROM t").out == f'{{"n":{rows}}}\n', 60, "the new copy", every=0.2)
    tarn.wait_settled()
    tarn.verify()


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_promoted_standby(server, running):
    """A standby that lagged takes over: without the slot, at positions where the lake has read other changes."""
    cluster, database, tarn = server
    standby = cluster.standby(cluster.folder.with_name(cluster.folder.name + "_standby"))
    try:
        wait_for(lambda: standby.execute("SELECT count(*) FROM t", database=database.name)[0][0] == 300, 30, "the standby")
        standby.stop()
        # Committed, read by tarn, and lost with the old primary.
        database.execute("INSERT INTO t SELECT g, repeat('lost', 50) FROM generate_series(1001, 1400) g")
        tarn.wait_caught_up()
        assert tarn.value("SELECT count(*) FROM t") == 700
        lost_at = tarn.value("SELECT current_timestamp::VARCHAR").split("+")[0]
        if not running:
            assert tarn.stop() == 0
        cluster.kill()
        standby.take_over(cluster)
        database.reconnect()
        assert database.value("SELECT count(*) FROM t") == 300
        database.execute("UPDATE t SET v = 'new' WHERE id <= 10")
        if not running:
            tarn.start()
        wait_for(lambda: "failed over or restored" in tarn.log_tail(), 60, "tarn to notice")
        recovered(tarn, 300)
        assert tarn.value("SELECT count(*) FROM t WHERE v = 'new'") == 10
        # The past is what the lake saw then, and the stream goes on, through crashes and from Bronze alone.
        assert tarn.value("SELECT count(*) FROM t", as_of=lost_at) == 700
        database.execute("DELETE FROM t WHERE id <= 5; INSERT INTO t VALUES (2000, 'more')")
        tarn.kill()
        tarn.start()
        recovered(tarn, 296)
        assert tarn.stop() == 0
        assert tarn.command("rebuild").code == 0
        tarn.start()
        recovered(tarn, 296)
    finally:
        standby.destroy()


def image_of(cluster, database):
    """The server's disk as it is now."""
    cluster.stop()
    image = cluster.folder / "image"
    shutil.copytree(cluster.data, image)
    cluster.start()
    database.reconnect()
    return image


def put_back(cluster, database, image):
    cluster.stop()
    shutil.rmtree(cluster.data)
    shutil.copytree(image, cluster.data)
    own(cluster)
    cluster.start()
    database.reconnect()


@pytest.mark.parametrize("crash", [None, "source.break.before_manifest", "source.break.before_identity", "twice"])
def test_set_back(server, crash):
    """The server's disk is set back to an older image: same timeline, earlier positions, other changes at them. Also when tarn dies
    while it takes that in, and when the disk is set back once more then."""
    cluster, database, tarn = server
    image = image_of(cluster, database)
    database.execute("INSERT INTO t SELECT g, repeat('lost', 500) FROM generate_series(1001, 1400) g")
    tarn.wait_caught_up()
    assert tarn.stop() == 0
    put_back(cluster, database, image)
    if crash:
        if crash == "twice":  # The new epoch begins beyond where the next one will.
            database.execute("INSERT INTO u SELECT generate_series(1, 300)")
        tarn.start(wait=False, environment={"TARN_FAULT": "source.break.before_identity" if crash == "twice" else crash})
        assert tarn.wait_exit(60) == 137, tarn.log_tail()
        assert "the source was set back" in tarn.log_tail()
    if crash == "twice":
        put_back(cluster, database, image)
    database.execute("UPDATE t SET v = 'other' WHERE id <= 7")
    tarn.start()
    assert "the source was set back" in tarn.log_tail()
    recovered(tarn, 300)
    assert tarn.value("SELECT count(*) FROM t WHERE v = 'other'") == 7
    database.execute("DELETE FROM t WHERE id <= 5")
    recovered(tarn, 295)
    tarn.bronze_verified()


@pytest.mark.parametrize("crash", [None, "source.break.before_identity"])
def test_set_back_and_written_on(server, crash):
    """The disk is set back, and the application has written more since than what was lost: positions tell nothing any more."""
    cluster, database, tarn = server
    image = image_of(cluster, database)
    database.execute("INSERT INTO t VALUES (1001, 'lost'); UPDATE t SET v = 'lost' WHERE id = 9")
    tarn.wait_caught_up()
    read = lsn_value(tarn.status()["bronze"]["lsn"])
    tarn.kill()
    put_back(cluster, database, image)
    database.execute("INSERT INTO u SELECT generate_series(1, 5000); UPDATE t SET v = 'other' WHERE id <= 7")
    assert lsn_value(database.value("SELECT pg_current_wal_lsn()::text")) > read
    if crash:
        tarn.start(wait=False, environment={"TARN_FAULT": crash})
        assert tarn.wait_exit(60) == 137, tarn.log_tail()
    tarn.start()
    wait_for(lambda: "set back and written on" in tarn.log_tail(), 60, "tarn to notice")
    recovered(tarn, 300)
    assert tarn.value("SELECT count(*) FROM t WHERE v = 'other'") == 7
    assert tarn.value("SELECT count(*) FROM u") == 5000
    database.execute("DELETE FROM t WHERE id <= 5")
    recovered(tarn, 295)
    told = tarn.bronze_verified()["breaks"]
    assert len(told) == 1 and "set back and written on" in told[0]["why"], told


def test_changes_between_a_break_and_the_new_copy(server):
    """Positions of the new history are below those of the old one's copy: of a table that waits for its new copy they are kept all the same."""
    cluster, database, tarn = server
    image = image_of(cluster, database)
    database.execute("INSERT INTO t SELECT g, repeat('lost', 500) FROM generate_series(1001, 1400) g")
    tarn.must("resync", "public.t")
    copied_at = lsn_value(tarn.status()["tables"]["t"]["copied_at"])
    assert tarn.stop() == 0
    put_back(cluster, database, image)
    with database.connect(autocommit=False) as other:
        other.execute("INSERT INTO u VALUES (1)")  # A copy's snapshot waits for its end.
        tarn.start()
        database.execute("INSERT INTO t VALUES (5000, 'came and went'); DELETE FROM t WHERE id = 5000; UPDATE t SET v = 'other' WHERE id <= 7")
        end = lsn_value(database.value("SELECT pg_current_wal_lsn()::text"))
        assert end < copied_at, "the old copy is ahead of the new history"
        other.commit()
    recovered(tarn, 300)
    assert lsn_value(tarn.status()["tables"]["t"]["copied_at"]) > end, "the changes came before the new copy"
    changes = tarn.query("SELECT Op, id, v FROM bronze.t WHERE _lsn >= 1::BIGINT << 56 AND _xid <> 0 ORDER BY _lsn, _ordinal")
    assert [(row["Op"], row["id"]) for row in changes] == [("I", 5000), ("D", 5000), *(("U", number) for number in range(1, 8))]
    tarn.bronze_verified()


def test_set_back_while_the_first_copy_is_cut_off(session_folder, worker):
    """The image has the slot, so that only positions tell that a half of the copy is of another history."""
    name = worker.name()
    cluster = Cluster(session_folder / name).create()
    database = Database(cluster, "shop_" + name)
    tarn = worker.tarn(database, source={"copy_range_kb": 64, "copy_save_ms": 0}, silver={"copy_workers": 1})
    try:
        database.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
        database.execute("INSERT INTO t SELECT g, repeat('v', 400) FROM generate_series(1, 2000) g; CHECKPOINT")

        def cut_off(saves: int):
            tarn.start(wait=False, environment={"TARN_FAULT": f"bronze.load.after_progress:{saves}"})
            assert tarn.wait_exit(60) == 137, tarn.log_tail()
        cut_off(2)
        image = image_of(cluster, database)
        database.execute("UPDATE t SET v = repeat('lost', 100)")
        cut_off(4)
        put_back(cluster, database, image)
        database.execute("UPDATE t SET v = 'other' WHERE id % 10 = 0")
        tarn.start()
        assert "the source was set back" in tarn.log.read_text()
        recovered(tarn, 2000)
        tarn.bronze_verified()
    finally:
        tarn.close()
        database.connection.close()
        cluster.destroy()


@pytest.mark.parametrize("how", ["advanced", "made again"])
def test_slot_moved_by_somebody_else(server, how):
    """Changes went by that tarn never saw, though the slot is there: noticed, and all is copied again."""
    cluster, database, tarn = server
    slot = tarn.sections["source"]["slot"]
    database.execute("INSERT INTO u VALUES (1)")
    tarn.wait_caught_up()
    assert tarn.stop() == 0
    # Nothing is wrong with a restart, nor with WAL that is not the lake's.
    database.execute("SELECT pg_logical_emit_message(false, 'x', repeat('y', 100000))")
    tarn.start().wait_caught_up()
    assert "somebody else" not in tarn.log.read_text()
    assert tarn.stop() == 0
    database.execute("DELETE FROM t WHERE id <= 100")
    if how == "advanced":
        database.execute("SELECT pg_replication_slot_advance(%s, pg_current_wal_lsn())", (slot,))
    else:
        database.execute("SELECT pg_drop_replication_slot(%s)", (slot,))
        database.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (slot,))
    database.execute("DELETE FROM t WHERE id = 200")
    tarn.start()
    recovered(tarn, 199)
    assert f"the slot '{slot}' was moved on to" in tarn.log.read_text()
    tarn.kill()
    tarn.start()
    recovered(tarn, 199)
    assert tarn.log.read_text().count("all tables are copied again") == 1
    tarn.bronze_verified()


def own(cluster):
    """Files that were copied belong to the server's user again."""
    if os.geteuid() != 0:
        return
    for path in [cluster.data, *cluster.data.rglob("*")]:
        shutil.chown(path, "postgres", "postgres")


@pytest.mark.parametrize("what", ["slot", "publication", "invalidated"])
def test_gone_while_running(server, what):
    """Somebody drops the slot or the publication under a running tarn, or the server gives up keeping WAL for it."""
    cluster, database, tarn = server
    slot = tarn.sections["source"]["slot"]
    if what == "publication":
        database.execute(f"DROP PUBLICATION {slot}")
        database.execute("INSERT INTO t VALUES (1000, 'unseen')")
    else:
        if what == "invalidated":
            tarn.kill()
            database.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
            database.execute("SELECT pg_reload_conf()")
            database.execute("INSERT INTO t VALUES (1000, 'unseen')")
            for _ in range(4):
                database.execute("SELECT pg_logical_emit_message(false, 'test', repeat('x', 1000000))")
                database.execute("SELECT pg_switch_wal()")
            database.execute("CHECKPOINT")
            wait_for(lambda: database.value("SELECT wal_status FROM pg_replication_slots WHERE slot_name = %s", (slot,)) == "lost",
                     30, "the slot to be lost")
            assert "is lost" in tarn.command("check").out
            tarn.start()
        else:
            def dropped():
                database.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = %s", (slot,))
                return database._drop_slot(slot)
            wait_for(dropped, 30, "the slot to be dropped")
            database.execute("INSERT INTO t VALUES (1000, 'unseen')")
    wait_for(lambda: "so that changes since are not known" in tarn.log_tail(), 60, "tarn to notice")
    recovered(tarn, 301)


def test_log_that_the_server_cannot_decode(server):
    """An internal error of the server at one place of its log, however often it is asked: nothing behind it can be had from this slot."""
    _, database, tarn = server
    database.execute("CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE odd (id int PRIMARY KEY, m mood)")
    tarn.wait_status(lambda s: "odd" in s["tables"], what="the new table")
    tarn.wait_caught_up()
    # Decoding sees the catalogue as it was when the row was written: with an output function that never existed.
    output = database.value("SELECT typoutput::oid FROM pg_type WHERE typname = 'mood'")
    database.execute("UPDATE pg_type SET typoutput = 57005 WHERE typname = 'mood'")
    database.execute("INSERT INTO odd VALUES (1, 'ok'); INSERT INTO t VALUES (1000, 'behind')")
    database.execute("UPDATE pg_type SET typoutput = %s WHERE typname = 'mood'", (output,))
    wait_for(lambda: "cache lookup failed" in (tarn.status() or {}).get("last_error", ""), 30, "the error in the status")
    wait_for(lambda: "cannot be read, so that changes since are not known" in tarn.log_tail(), 60, "tarn to give the slot up")
    recovered(tarn, 301)
    assert tarn.query("SELECT id, m FROM odd") == [{"id": 1, "m": "ok"}]
    database.execute("INSERT INTO odd VALUES (2, 'ok')")
    tarn.wait_caught_up()
    assert tarn.value("SELECT count(*) FROM odd") == 2
