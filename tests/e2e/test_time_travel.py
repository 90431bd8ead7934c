"""The past is there as it was: all tables at one commit, by every spelling of AS OF."""

from __future__ import annotations

import pytest


@pytest.fixture
def history(source, worker):
    """Five rounds of changes to two tables that keep one invariant, and the time after each."""
    source.execute("CREATE TABLE account (id int PRIMARY KEY, balance numeric(10,2))")
    source.execute("CREATE TABLE booking (id int PRIMARY KEY, amount numeric(10,2))")
    source.execute("INSERT INTO account SELECT g, 0 FROM generate_series(1, 20) g")
    tarn = worker.tarn(source).start()
    tarn.wait_caught_up()
    now = "SELECT (clock_timestamp() AT TIME ZONE 'UTC')::text"
    times = [(source.value(now), 20, 0)]
    for turn in range(1, 6):
        with source.connection.transaction():
            source.execute("UPDATE account SET balance = balance + %s WHERE id = %s", (turn, turn))
            source.execute("INSERT INTO booking VALUES (%s, %s)", (turn, turn))
        with source.connection.transaction():
            source.execute("DELETE FROM account WHERE id = %s", (20 - turn,))
        times.append((source.value(now), 20 - turn, sum(range(turn + 1))))
        if turn in (2, 4):  # Some rounds share a lake commit, some do not.
            tarn.wait_caught_up()
            tarn.value("SELECT count(*) FROM account")
    tarn.wait_caught_up()
    return source, tarn, times


TOTALS = """SELECT (SELECT count(*) FROM account{0}) AS n, (SELECT sum(balance) FROM account{0})::DOUBLE AS a,
  (SELECT coalesce(sum(amount), 0) FROM booking{0})::DOUBLE AS b"""


def commit_times(tarn) -> list[int]:
    """Source commit times, in microseconds, of the lake versions."""
    return sorted(int(path.stem.split("-")[1]) for path in (tarn.lake / "_tarn/versions").glob("*.json"))


def utc(micros: int) -> str:
    from datetime import datetime, timedelta, timezone
    return (datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=micros)).strftime("%Y-%m-%d %H:%M:%S.%f")


def test_totals_as_they_were(history):
    """After the rounds that ended in a commit of the lake, count and totals are exactly those of that time."""
    source, tarn, times = history
    for turn in (0, 2, 4, 5):
        when, rows, total = times[turn]
        assert tarn.query(TOTALS.format(""), as_of=when) == [{"n": rows, "a": total, "b": total}]
        for clause in (f" FOR TIMESTAMP AS OF '{when}'", f" FOR TIMESTAMP AS OF TIMESTAMP '{when}'", f" TIMESTAMP AS OF '{when}'",
                       f" AT (TIMESTAMP => TIMESTAMP '{when}')", f" FOR SYSTEM_TIME AS OF '{when}'"):
            assert tarn.query(TOTALS.format(clause)) == [{"n": rows, "a": total, "b": total}], clause
    # Every version there is, on its microsecond and just before the next: the invariant holds.
    versions = commit_times(tarn)
    for micros, following in zip(versions, [*versions[1:], versions[-1] + 2]):
        at, = tarn.query(TOTALS.format(""), as_of=utc(micros))
        assert at["a"] == at["b"]
        assert tarn.query(TOTALS.format(""), as_of=utc(following - 1)) == [at]
    assert tarn.query(TOTALS.format("")) == [{"n": 15, "a": 15, "b": 15}]


def test_deleted_row_recovered(history):
    """A row that is gone can be had from before, joined with the present in one statement."""
    source, tarn, times = history
    before = times[0][0]
    assert tarn.query("SELECT id FROM account WHERE id = 18") == []
    assert tarn.query(f"SELECT id, balance FROM account FOR TIMESTAMP AS OF '{before}' WHERE id = 18") == [{"id": 18, "balance": "0.00"}]
    lost = tarn.query(f"SELECT was.id FROM account FOR TIMESTAMP AS OF '{before}' AS was LEFT JOIN account AS now USING (id) "
                      "WHERE now.id IS NULL ORDER BY 1")
    assert [row["id"] for row in lost] == [15, 16, 17, 18, 19]


def test_before_the_history(history):
    """A time before the lake, or no time at all, is a clear error; a time in the future is the present."""
    source, tarn, times = history
    for outcome in (tarn.try_query("SELECT 1 FROM account", as_of="2001-01-01 00:00:00"),
                    tarn.try_query("SELECT 1 FROM account FOR TIMESTAMP AS OF '2001-01-01 00:00:00'")):
        assert outcome.code == 1 and outcome.out == ""
        assert "history begins at 20" in outcome.err and "2001-01-01" in outcome.err
    outcome = tarn.try_query("SELECT 1 FROM account", as_of="yesterday-ish")
    assert outcome.code == 2 and "yesterday-ish" in outcome.err
    outcome = tarn.try_query("SELECT 1 FROM account FOR TIMESTAMP AS OF 'yesterday-ish'")
    assert outcome.code == 1 and "yesterday-ish" in outcome.err
    assert tarn.query(TOTALS.format(""), as_of="2999-01-01") == [{"n": 15, "a": 15, "b": 15}]


def test_past_survives_restart_and_offline(history):
    """The same answers from the stopped lake, and after a restart."""
    source, tarn, times = history
    when, rows, total = times[2]
    assert tarn.stop() == 0
    assert tarn.query(TOTALS.format(""), as_of=when) == [{"n": rows, "a": total, "b": total}]
    tarn.start()
    source.execute("DELETE FROM account")
    tarn.wait_caught_up()
    assert tarn.query(TOTALS.format(""), as_of=when) == [{"n": rows, "a": total, "b": total}]
    assert tarn.value("SELECT count(*) FROM account") == 0
