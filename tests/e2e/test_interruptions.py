"""Whatever interrupts tarn or its source: a clear end or a new attempt, and no change is lost or doubled."""

from __future__ import annotations

import os
import random
import signal
import subprocess

import pytest

from support.cluster import wait_for
from support.history import SILVER, History


def finish(tarn, history):
    """Everything of the writer's is in Silver; nothing twice, also where there is no key."""
    tarn.wait_caught_up()
    tables = tarn.verify()
    assert set(tables) == set(SILVER)
    assert all(table["equal"] for table in tables.values()), tables
    assert history.steps > 0


def test_interrupt_in_first_copy(source, worker):
    """Ctrl-C while the first copy runs: a clean end; the next start does what is missing."""
    source.execute("CREATE TABLE big AS SELECT g AS id, repeat(md5(g::text), 4) AS v FROM generate_series(1, 400000) g")
    source.execute("ALTER TABLE big ADD PRIMARY KEY (id); CREATE TABLE small (id int PRIMARY KEY); INSERT INTO small VALUES (1)")
    tarn = worker.tarn(source).start(wait=False)
    tarn.wait_status(lambda s: s["phase"] == "first copy" and s["copy"]["rows"] > 0, what="the first copy")
    assert tarn.stop(seconds=10) == 0, tarn.log_tail()
    assert "stopped" in tarn.log_tail()
    early = tarn.try_query("SELECT count(*) FROM big")
    assert early.code == 1 and "first copy" in early.err
    source.execute("DELETE FROM big WHERE id <= 1000; INSERT INTO small VALUES (2)")
    tarn.start().wait_caught_up()
    assert tarn.value("SELECT count(*) FROM big") == 399000
    tarn.verify()


def test_interrupts_while_streaming(source, worker, seed):
    """SIGINT and SIGTERM at random moments with writers on: exit code 0, and nothing is missing."""
    rng = random.Random(seed)
    tarn = worker.tarn(source, tenants={"column": "tenant_id"})
    with History(source, seed).create() as history:
        for how in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            tarn.start()
            steps = history.steps + rng.randint(5, 40)
            wait_for(lambda: history.steps >= steps, 30, "the writer")
            assert tarn.stop(how) == 0, tarn.log_tail()
            assert tarn.query("SELECT count(*) AS n FROM item")[0]["n"] >= 0
        tarn.start()
    finish(tarn, history)


def test_kill_at_random_moments(source, worker, seed):
    """kill -9 with writers on, in first copy, at start and while streaming."""
    rng = random.Random(seed + 7)
    tarn = worker.tarn(source, tenants={"column": "tenant_id"})
    with History(source, seed + 7).create() as history:
        for turn in range(8):
            tarn.start(wait=turn % 3 != 0)
            steps = history.steps + rng.randint(1, 25)
            wait_for(lambda: history.steps >= steps, 30, "the writer")
            assert tarn.is_running(), tarn.log_tail()
            tarn.kill()
        tarn.start()
    finish(tarn, history)


def test_source_restarts(worker, session_folder, seed):
    """The server is restarted, then dies by kill -9, while tarn runs: it waits, connects again, misses nothing."""
    from support.cluster import Cluster
    server = Cluster(session_folder / "restarting", fsync="on", full_page_writes="on").create()
    try:
        source = worker.database(server)
        tarn = worker.tarn(source)
        history = History(source, seed).create()
        tarn.start()
        with history:
            for how in ("restart", "kill"):
                steps = history.steps + 10
                wait_for(lambda: history.steps >= steps, 30, "the writer")
                if how == "restart":
                    server.restart()
                else:
                    server.kill()
                    tarn.wait_status(lambda s: s["phase"] == "reconnecting" and s["last_error"], what="a new attempt")
                    assert tarn.value("SELECT count(*) FROM item") >= 0  # Queries go on.
                    server.start()
                tarn.wait_streaming()
        source.reconnect()
        finish(tarn, history)
        tarn.close()
    finally:
        server.destroy()
        worker.databases.remove(source)


def test_cut_connections(source, worker, seed):
    """pg_terminate_backend on the replication connection, again and again: tarn goes on by itself."""
    tarn = worker.tarn(source)
    with History(source, seed).create() as history:
        tarn.start()
        slot = tarn.sections["source"]["slot"]
        cut = 0
        for _ in range(3):
            wait_for(lambda: source.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots "
                                            "WHERE slot_name = %s AND active_pid IS NOT NULL", (slot,)), 30, "a connection to cut")
            cut += 1
            steps = history.steps + 5
            wait_for(lambda: history.steps >= steps, 30, "the writer")
            tarn.wait_streaming()
    assert cut == 3
    finish(tarn, history)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_full_disk(source, worker, seed):
    """The lake's disk fills up: tarn says so and ends; with room again the next start misses nothing."""
    tarn = worker.tarn(source)
    tarn.lake.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", tarn.lake], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no small disk here: {mounted.stderr.strip()}")
    try:
        history = History(source, seed).create()
        tarn.start()
        rng = random.Random(seed)
        for i in range(60):
            if not tarn.is_running():
                break
            body = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=300_000))
            source.execute("INSERT INTO customer VALUES (%s, 1, 'large', %s, now())", (10_000 + i, body))
            history.step()
            if i % 5 == 4:
                wait_for(lambda: not tarn.is_running() or tarn.status() is not None, 20, "an answer")
        code = tarn.wait_exit(60)
        assert code == 1, tarn.log_tail()
        assert "No space left" in tarn.log_tail(), tarn.log_tail()
        assert tarn.value("SELECT count(*) FROM item") >= 0  # What is there can be read.
        subprocess.run(["mount", "-o", "remount,size=200m", tarn.lake], check=True)
        tarn.start()
        finish(tarn, history)
    finally:
        tarn.close()
        subprocess.run(["umount", "-l", tarn.lake], check=True)
