"""Statements while commit follows commit: each sees one state of the source, from its first row to its last."""

from __future__ import annotations

import random
import threading

import pytest

from support.cluster import wait_for
from support.rows_client import RowsClient
from support.tarn import lsn_value

ACCOUNTS, TELLERS = 400, 20
SUMS = ("SELECT (SELECT sum(balance) FROM account)::BIGINT AS account, (SELECT sum(balance) FROM teller)::BIGINT AS teller, "
        "(SELECT count(*) FROM account)::BIGINT AS rows, (SELECT coalesce(sum(delta), 0) FROM entry)::BIGINT AS entry, "
        "(SELECT count(*) FROM entry)::BIGINT AS entries, (SELECT sum(entries) FROM teller)::BIGINT AS counted")


class Transfers:
    """What pgbench does, on connections of its own: an account and a teller gain what an entry notes; an account moves to another key now
    and then, and pairs of accounts share what they have."""

    def __init__(self, source, seed: int, writers: int = 2):
        self.source, self.seed, self.stop, self.done = source, seed, threading.Event(), 0
        self.threads = [threading.Thread(target=self.write, args=(number,)) for number in range(writers)]
        self.failure: Exception | None = None

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        if self.failure:
            raise self.failure

    def write(self, number: int):
        rng = random.Random(self.seed + number)
        try:
            with self.source.connect() as connection:
                while not self.stop.is_set():
                    # A writer keeps to its own half: no deadlocks.
                    one, two = sorted(rng.sample(range(number, ACCOUNTS, len(self.threads)), 2))
                    teller, delta = rng.randrange(number, TELLERS, len(self.threads)), rng.randint(-500, 500)
                    with connection.transaction():
                        connection.execute("UPDATE account SET balance = balance + %s WHERE slot = %s", (delta, one))
                        connection.execute("UPDATE teller SET balance = balance + %s, entries = entries + 1 WHERE id = %s", (delta, teller))
                        connection.execute("INSERT INTO entry (teller, delta) VALUES (%s, %s)", (teller, delta))
                        if rng.random() < 0.3:
                            connection.execute("UPDATE account SET balance = balance - 7 WHERE slot = %s", (one,))
                            connection.execute("UPDATE account SET balance = balance + 7 WHERE slot = %s", (two,))
                        if rng.random() < 0.1:
                            connection.execute("UPDATE account SET id = nextval('keys') WHERE slot = %s", (one,))
                    self.done += 1
        except Exception as error:
            self.failure = error


@pytest.fixture
def bank(source):
    source.execute("CREATE SEQUENCE keys START 100000; CREATE TABLE account (id bigint PRIMARY KEY, slot int NOT NULL, balance bigint, filler text)")
    source.execute("CREATE INDEX ON account (slot)")
    source.execute("CREATE TABLE teller (id int PRIMARY KEY, balance bigint, entries bigint)")
    source.execute("CREATE TABLE entry (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, teller int, delta int)")
    source.execute("INSERT INTO account SELECT g, g, 0, repeat('x', 80) FROM generate_series(0, %s::int) g", (ACCOUNTS - 1,))
    source.execute("INSERT INTO teller SELECT g, 0, 0 FROM generate_series(0, %s::int) g", (TELLERS - 1,))
    return source


def instants(tarn, table: str) -> set[str]:
    return {path.name.split(".")[0] for path in (tarn.lake / f"silver/{table}/.hoodie").glob("*.*commit")}


def kept(row: dict):
    assert row["rows"] == ACCOUNTS, row
    assert row["account"] == row["teller"] == row["entry"], row
    assert row["entries"] == row["counted"], row


@pytest.mark.parametrize("interval_ms", [0, 10], ids=["without a tail", "through the tail"])
def test_a_thousand_commits(bank, worker, seed, interval_ms):
    """Whatever is in files and what in the tail at a statement, and whichever moment between the two it meets."""
    tarn = worker.tarn(bank, bronze={"flush_interval_ms": 10}, silver={"commit_interval_ms": interval_ms}).start()
    commits, answers, last, ahead = set(), 0, 0, 0
    with Transfers(bank, seed, writers=1) as transfers, RowsClient(tarn.lake) as client:
        def looked():
            nonlocal answers, last, ahead
            for _ in range(20):
                row, = client.rows(SUMS)
                kept(row)
                assert row["entries"] >= last, "an answer older than the one before"
                last, answers = row["entries"], answers + 1
            # Read before it is published: what the answer had was in the tail then.
            status = tarn.status()
            ahead += lsn_value(status["tail"]["lsn"]) > lsn_value(status["silver"]["lsn"])
            commits.update(instants(tarn, "entry"))  # Archived ones are no longer there.
            return len(commits) >= 1000
        wait_for(looked, 120, "1000 commits", every=0)
    print(f"{transfers.done} transactions, {len(commits)} commits, {answers} answers, {ahead} times something was in the tail")
    assert answers > 300
    assert (ahead > 5) == (interval_ms > 0)
    tarn.wait_caught_up()
    tarn.verify()


def test_a_statement_that_outlives_commits(bank, worker, seed):
    """An answer of some 40 MB that is read slowly, while commits and compactions go on: all of it as of its beginning."""
    bank.execute("INSERT INTO account SELECT nextval('keys'), -g, 0, repeat('x', 80) FROM generate_series(1, 100000) g")
    tarn = worker.tarn(bank, bronze={"flush_interval_ms": 20}, silver={"commit_interval_ms": 20}).start()
    with Transfers(bank, seed) as transfers, RowsClient(tarn.lake, receive_buffer=4096) as slow, RowsClient(tarn.lake) as quick:
        wait_for(lambda: transfers.done > 50, 30, "some transfers")
        stream = slow.batches("SELECT a.id, a.slot, a.balance, repeat(a.filler, 5) AS filler, "
                              "(SELECT sum(delta) FROM entry)::BIGINT AS entry FROM account a")
        read = [next(stream)]
        begun, done, compactions = instants(tarn, "account"), transfers.done, files(tarn)

        def outlived():
            # So much happens that any file of its time has a successor.
            return len(instants(tarn, "account") - begun) > 30 and transfers.done > done + 300 and files(tarn) - compactions
        wait_for(outlived, 60, "commits and a compaction")
        changed, = quick.rows("SELECT count(*) AS n FROM entry")
        for batch in stream:
            read.append(batch)
        rows = [row for batch in read for row in batch.select(["id", "slot", "balance", "entry"]).to_pylist()]
    assert sorted(row["slot"] for row in rows) == [*range(-100000, 0), *range(ACCOUNTS)]
    entry, = {row["entry"] for row in rows}
    assert sum(row["balance"] for row in rows) == entry
    assert changed["n"] > done + 250, "the others went on meanwhile"
    tarn.wait_caught_up()
    tarn.verify()


def files(tarn) -> set[str]:
    """Base files of the table: a compaction adds one."""
    return {path.name for path in (tarn.lake / "silver/account").rglob("*.parquet")}
