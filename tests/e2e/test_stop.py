"""Ctrl-C and its kin at any moment: whoever asked has the prompt back at once, and nothing goes on behind it."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from support.cluster import wait_for
from support.tarn import tarn_binary

ENDLESS = "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range + b.range > 5"
FAILED = 1


@pytest.fixture
def tarn(source, worker):
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'v' FROM generate_series(1, 10) g")
    return worker.tarn(source)


def ask(tarn, *arguments) -> subprocess.Popen:
    return subprocess.Popen([tarn_binary(), "--config", tarn.folder / "tarn.toml", *arguments], text=True, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def threads(tarn) -> int:
    """Of the process; a statement has some of its own."""
    return len(os.listdir(f"/proc/{tarn.process.pid}/task"))


def test_ctrl_c_in_a_query(tarn):
    """The client is gone at once, and soon after it the statement too; other statements are untouched."""
    tarn.start().wait_caught_up()
    before = threads(tarn)
    client = ask(tarn, "query", ENDLESS)
    wait_for(lambda: threads(tarn) > before, 30, "the statement")
    assert tarn.value("SELECT count(*) FROM t") == 10
    client.send_signal(signal.SIGINT)
    assert client.wait(10) == -signal.SIGINT
    wait_for(lambda: threads(tarn) <= before, 30, "the end of the statement")
    tarn.verify()


def test_ctrl_c_with_a_query_under_way(tarn):
    """A statement that would run for hours does not keep `tarn run` from stopping; its client is told."""
    tarn.start().wait_caught_up()
    before = threads(tarn)
    client = ask(tarn, "query", ENDLESS)
    wait_for(lambda: threads(tarn) > before, 30, "the statement")
    assert tarn.stop(seconds=20) == 0, tarn.log_tail()
    out, err = client.communicate(timeout=20)
    assert client.returncode == FAILED and out == "" and err.startswith("tarn: ") and len(err.splitlines()) == 1, err


def test_ctrl_c_in_a_query_without_tarn(tarn):
    """The same on a lake that nobody writes."""
    tarn.start().wait_caught_up()
    assert tarn.stop() == 0
    client = ask(tarn, "query", ENDLESS)
    wait_for(lambda: len(os.listdir(f"/proc/{client.pid}/task")) > 1, 30, "the statement")
    client.send_signal(signal.SIGINT)
    assert client.wait(10) == -signal.SIGINT
    assert tarn.value("SELECT count(*) FROM t") == 10


def test_ctrl_c_while_the_source_makes_us_wait(tarn):
    """Making a slot waits for every open transaction, maybe for hours: not so Ctrl-C. Nothing stays on the source."""
    source = tarn.database
    slot = tarn.sections["source"]["slot"]
    with source.connect(autocommit=False) as other:
        other.execute("INSERT INTO t VALUES (1000, 'open')")
        tarn.start(wait=False)
        wait_for(lambda: source.execute("SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'tarn %%' AND wait_event_type = "
                                        "'Lock' AND datname = current_database()"), 30, "the wait")
        assert "open for" not in tarn.must("check")  # Only after minutes.
        assert tarn.stop(seconds=20) == 0, tarn.log_tail()
        wait_for(lambda: not source.execute("SELECT 1 FROM pg_replication_slots WHERE slot_name = %s", (slot,)), 20, "no slot")
        other.commit()
    tarn.start().wait_caught_up()
    assert tarn.value("SELECT v FROM t WHERE id = 1000") == "open"
    tarn.verify()


def test_ctrl_c_in_verify(tarn):
    """A verification that nobody waits for is given up; the next one is right."""
    tarn.database.execute("INSERT INTO t SELECT g, md5(g::text) FROM generate_series(100, 300000) g")
    tarn.start().wait_caught_up()
    before = threads(tarn)
    client = ask(tarn, "verify")
    wait_for(lambda: threads(tarn) > before or client.poll() is not None, 30, "the verification")
    client.send_signal(signal.SIGINT)
    assert client.wait(10) in (-signal.SIGINT, 0)
    wait_for(lambda: threads(tarn) <= before, 30, "the end of the verification")
    tarn.database.execute("DELETE FROM t WHERE id % 2 = 0")
    tarn.wait_caught_up()
    tarn.verify()


def test_rebuild_cut_off(source, worker):
    """kill -9 in the middle of a rebuild, again and again: another rebuild, or just a run, ends with every row."""
    for name in ("a", "b"):
        source.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, v text); INSERT INTO {name} SELECT g, '{name}' FROM generate_series(1, 100) g")
    tarn = worker.tarn(source).start()
    for turn, (fault, then) in enumerate([
            ("hudi.create.after_properties:2", "rebuild"), ("silver.apply.before_run:1", "rebuild"),
            ("hudi.create.after_properties:3", "run"), ("lake_version.before_publish:1", "run"), ("hudi.commit.before_complete:1", "run")]):
        with source.connection.transaction():
            source.execute("UPDATE a SET v = v || %s::text WHERE id %% 4 = %s", (turn, turn))
            source.execute("DELETE FROM b WHERE id %% 7 = %s", (turn,))
        tarn.wait_caught_up()
        before = {table: tarn.table_rows(table) for table in ("a", "b")}
        assert tarn.stop() == 0
        cut = tarn.command("rebuild", environment={"TARN_FAULT": fault})
        assert cut.code == 137, (fault, cut.text)
        if then == "rebuild":
            tarn.must("rebuild")
            assert {table: tarn.table_rows(table) for table in before} == before, fault
        source.execute("INSERT INTO a VALUES (%s, 'after')", (1000 + turn,))
        tarn.start().wait_caught_up()
        assert tarn.value(f"SELECT v FROM a WHERE id = {1000 + turn}") == "after"
        tarn.verify()
