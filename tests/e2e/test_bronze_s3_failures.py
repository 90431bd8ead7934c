"""Bronze in an object store: crashes between any two steps, a store that is away, answers that are lost."""

from __future__ import annotations

import random
import threading
from contextlib import closing

import pytest

from support.cluster import wait_for
from support.history import History
from support.object_store import BUSY, CUT, DROP, FAIL, LOSE, PASS
from support.proxy import CuttingProxy
from support.tarn import lsn_value

COMPLETE, CRASHED = 0, 137


@pytest.mark.parametrize("point", ["bronze.load.before_manifest", "bronze.load.after_manifest", "bronze.flush.before_files",
                                   "bronze.flush.between_closes:2", "bronze.flush.before_intent", "bronze.flush.after_intent",
                                   "bronze.flush.between_files:2", "bronze.flush.before_manifest:2", "bronze.flush.after_manifest"])
def test_a_crash_at_each_step(source, make_tarn, seed, point):
    """No change is lost or there twice, no file of nobody stays."""
    history = History(source, seed, truncates=0).create()
    tarn = make_tarn(silver={"commit_interval_ms": 100})
    tarn.start(wait=False, environment={"TARN_FAULT": point})
    with history:
        assert tarn.wait_exit(60) == CRASHED, tarn.log_tail()
        tarn.start()
        tarn.bronze_verified()
    tarn.wait_caught_up()
    tarn.verify()
    assert tarn.stop() == 0
    assert tarn.bronze_verified()["warnings"] == []


@pytest.mark.parametrize("retry_seconds", [60, 1], ids=["within_patience", "beyond_patience"])
def test_the_store_is_away_for_a_while(source, make_tarn, proxy, seed, retry_seconds):
    """Nothing is confirmed to the source meanwhile, tarn says why and goes on by itself."""
    history = History(source, seed).create()
    tarn = make_tarn({"retry_seconds": retry_seconds}).start()
    history.take_steps(10)
    tarn.wait_caught_up()

    def confirmed() -> int:
        slot = tarn.sections["source"]["slot"]
        return lsn_value(source.value("SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = %s", (slot,)))
    proxy.fate = lambda method, path: DROP
    history.take_steps(30)
    mark = lsn_value(source.mark())
    said = "the object store " + proxy.endpoint + " does not answer"
    wait_for(lambda: said in tarn.log.read_text(), 30, "the message", every=0.1)
    if retry_seconds == 1:
        wait_for(lambda: tarn.log.read_text().count("trying again in") >= 3, 60, "further attempts", every=0.1)
    history.take_steps(30)
    wait_for(lambda: "s behind the source, see `tarn status`" in tarn.command("query", "SELECT count(*) FROM item").err, 30,
             "an answer that says that it is old")
    assert confirmed() < mark and tarn.is_running()
    assert tarn.log.read_text().count(said) < 20, "once in a while"
    proxy.fate = lambda method, path: PASS
    tarn.wait_caught_up()
    assert confirmed() >= mark
    tarn.verify()
    assert tarn.stop() == 0
    assert tarn.bronze_verified()["warnings"] == []


def test_stop_while_the_store_is_away(source, make_tarn, proxy, seed):
    """Ctrl-C does not wait for the store; the next start loses nothing."""
    history = History(source, seed).create()
    tarn = make_tarn({"retry_seconds": 600}).start()
    proxy.fate = lambda method, path: DROP
    history.take_steps(10)
    wait_for(lambda: "does not answer" in tarn.log.read_text(), 30, "the message", every=0.1)
    assert tarn.stop(seconds=20) == 0, tarn.log_tail()
    proxy.fate = lambda method, path: PASS
    tarn.start().wait_caught_up()
    tarn.verify()
    assert tarn.stop() == 0
    assert tarn.bronze_verified()["warnings"] == []


def test_answers_that_are_lost_and_other_failures(source, make_tarn, proxy, seed):
    """A tenth of all requests fails in every way, over kills and a second copy; some beyond the patience."""
    rng = random.Random(seed)
    history = History(source, seed).create()
    tarn = make_tarn({"retry_seconds": 2})
    tarn.start()
    proxy.fate = lambda method, path: rng.choice([DROP, LOSE, CUT, BUSY, FAIL]) if rng.random() < 0.1 else PASS
    with history:
        for turn in range(3):
            steps = history.steps + 20
            wait_for(lambda: history.steps >= steps, 30, "the writer")
            if turn == 1:
                tarn.must("resync", "item")
            tarn.kill()
            proxy.fate, flawed = (lambda method, path: PASS), proxy.fate
            tarn.start()
            proxy.fate = flawed
    proxy.fate = lambda method, path: PASS
    tarn.wait_caught_up()
    tarn.verify()
    assert tarn.stop() == 0
    assert tarn.bronze_verified()["warnings"] == []
    assert len({kind for _, _, kind in proxy.requests}) >= 3, "nothing failed"


def test_the_answers_to_manifests_are_lost(source, make_tarn, proxy, seed):
    """Beyond all patience: the manifest is there, though tarn was never told; it counts, and once."""
    history = History(source, seed).create()
    tarn = make_tarn({"retry_seconds": 1}).start()
    lost = []

    def fate(method, path):
        if method not in ("PUT", "HEAD") or "/changes/" not in path or len(lost) >= 12:
            return PASS
        lost.append(path)
        return LOSE
    proxy.fate = fate
    with history:
        wait_for(lambda: len(lost) >= 12, 60, "lost answers", every=0.1)
    tarn.wait_caught_up()
    tarn.verify()
    assert "trying again in" in tarn.log.read_text()
    assert tarn.stop() == 0
    assert tarn.bronze_verified()["warnings"] == []


def test_an_upload_that_was_cut_off_is_removed(source, make_tarn, proxy, store, bucket):
    """A file of several parts; tarn dies before its end."""
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    source.execute("INSERT INTO t SELECT g, (SELECT string_agg(md5(random()::text || g || i), '') FROM generate_series(1, 40) i) "
                   "FROM generate_series(1, 24000) g")
    tarn = make_tarn(silver={"copy_workers": 1})
    proxy.fate = lambda method, path: DROP if "partNumber=2" in path else PASS
    tarn.start(wait=False)
    wait_for(lambda: any(fate == DROP for _, _, fate in proxy.requests), 60, "the second part")
    tarn.kill()
    assert len(store.uploads(bucket)) == 1
    proxy.fate = lambda method, path: PASS
    tarn.start()
    assert store.uploads(bucket) == []
    tarn.verify()
    assert tarn.stop() == 0
    report = tarn.bronze_verified()
    assert report["warnings"] == [] and report["bytes"] > 10_000_000


def test_a_copy_confirms_nothing_that_is_not_durable(source, make_tarn, proxy):
    """Changes that came before a copy's snapshot are in no file when the connection breaks and stays away: the copy, which is
    finished meanwhile, is no reason to confirm to the source what is not durable."""
    source.execute("CREATE TABLE large (id int PRIMARY KEY, body text); CREATE TABLE small (id int PRIMARY KEY)")
    source.execute("INSERT INTO large SELECT g, repeat(md5(g::text), 60) FROM generate_series(1, 1500) g")
    with closing(CuttingProxy(source.cluster.port, lambda: None)) as way:
        tarn = make_tarn(source={"host": "127.0.0.1", "port": way.port, "connection": "sslmode=disable", "copy_mb_per_s": 1},
                         bronze={"flush_interval_ms": 600_000}, silver={"commit_interval_ms": 600_000})
        tarn.start().wait_caught_up()

        def insert(statement: str, rows: int):
            source.execute(statement)
            wait_for(lambda: tarn.value("SELECT count(*) FROM small") == rows, 30, "the rows in the tail")
        insert("INSERT INTO small SELECT generate_series(1, 100)", 100)
        resync = threading.Thread(target=tarn.command, args=("resync", "large"))
        resync.start()
        wait_for(lambda: tarn.status()["copies"]["rows"] > 0, 60, "the copy", every=0.02)
        insert("INSERT INTO small VALUES (0)", 101)
        way.held = "tarn stream"
        source.value("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = %s",
                     (tarn.sections["source"]["slot"],))
        wait_for(lambda: not tarn.status()["copies"]["copying"], 60, "its end")
        looks = tarn.status()["source"]["looks"]
        wait_for(lambda: tarn.status()["source"]["looks"] > looks + 2, 60, "the watch")
        assert tarn.status()["phase"] == "streaming", "it has all but the stream"
        tarn.kill()
        resync.join()
        way.held = None
        tarn.start().wait_status(lambda status: not status["copies"]["wanted"], what="the copy")
        tarn.verify()
        assert tarn.stop() == 0
        assert tarn.bronze_verified()["warnings"] == []
