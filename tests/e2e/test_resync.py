"""`tarn resync`: a table copied again beside the stream, without a gap in what readers see."""

from __future__ import annotations

import json
import random
import threading

import pytest

from support.cluster import wait_for


@pytest.fixture
def stock(source, worker):
    source.execute("CREATE TABLE stock (id int PRIMARY KEY, n int NOT NULL, body text)")
    source.execute("INSERT INTO stock SELECT g, 1, repeat(md5(g::text), 90) FROM generate_series(1, 3000) g")
    return source, worker.tarn(source).start()


class Writer:
    """Moves amounts between rows, so that their sum never changes; TOAST stays untouched."""

    def __init__(self, source, seed: int):
        self.source, self.random, self.stop = source, random.Random(seed), threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self.write)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    def write(self):
        with self.source.connect() as connection:
            while not self.stop.is_set():
                a, b = self.random.sample(range(1, 3001), 2)
                with connection.transaction():
                    connection.execute("UPDATE stock SET n = n - 1 WHERE id = %s", [a])
                    connection.execute("UPDATE stock SET n = n + 1 WHERE id = %s", [b])


def test_no_gap_for_readers(stock, seed):
    """While the table is copied, every answer is a state that the source was in."""
    source, tarn = stock
    answers, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            answers.append(tarn.query("SELECT count(*) AS rows, sum(n) AS sum, min(length(body)) AS body FROM stock")[0])

    with Writer(source, seed):
        reader = threading.Thread(target=read)
        reader.start()
        try:
            times = 0
            while times < 3 or len(answers) < 12:
                assert "stock is as the source has it" in tarn.must("resync", "public.stock")
                times += 1
        finally:
            stop.set()
            reader.join()
    assert {(row["rows"], int(row["sum"]), row["body"]) for row in answers} == {(3000, 3000, 2880)}
    tarn.wait_caught_up()
    tarn.verify()


def test_it_mends_what_is_wrong(stock):
    """Rows that the lake lost or has too many come right; history from before stays readable."""
    source, tarn = stock
    tarn.wait_caught_up()
    before = tarn.value("SELECT current_timestamp::VARCHAR")
    assert tarn.stop() == 0
    # A change that no message tells, and nothing that shows it.
    name = tarn.sections["source"]["publication"]
    source.execute(f"ALTER PUBLICATION {name} DROP TABLE stock")
    source.execute("DELETE FROM stock WHERE id > 2990")
    source.execute(f"ALTER PUBLICATION {name} ADD TABLE stock")
    tarn.start().wait_caught_up()
    different = tarn.command("verify", "--json")
    assert different.code == 3
    table, = json.loads(different.out)["tables"]
    assert sorted(row.pop("key") for row in table["differing"]) == sorted(f"id={number}" for number in range(2991, 3001))
    assert table["differing"] == [{"in": "silver", "what": "not in the source", "columns": []}] * 10
    assert "  silver id=3000: not in the source\n" in tarn.command("verify").out
    assert tarn.stop() == 0
    assert "next `tarn run` copies stock again" in tarn.must("resync", "stock")
    tarn.start().wait_status(lambda status: not status["copies"]["wanted"], what="the copy")
    wait_for(lambda: tarn.value("SELECT count(*) FROM stock") == 2990, 60, "the copy to be taken")
    tarn.wait_caught_up()
    tarn.verify()
    assert tarn.value("SELECT count(*) FROM stock", as_of=before.split("+")[0]) == 3000
    assert tarn.command("resync", "nothing").code == 2


def test_taken_out_of_the_publication(stock):
    """Somebody takes a followed table out of the publication while tarn runs: it is put back and copied again."""
    source, tarn = stock
    name = tarn.sections["source"]["publication"]
    first = tarn.status()["tables"]["stock"]["copied_at"]
    source.execute(f"ALTER PUBLICATION {name} DROP TABLE stock")
    source.execute("DELETE FROM stock WHERE id <= 100")
    wait_for(lambda: tarn.status()["tables"]["stock"]["copied_at"] != first, 60, "the copy")
    tarn.wait_caught_up()
    assert tarn.value("SELECT count(*) FROM stock") == 2900
    source.execute("DELETE FROM stock WHERE id <= 200")
    tarn.wait_caught_up()
    tarn.verify()


def test_kill_at_any_moment(stock, seed):
    """However often tarn is killed while it copies again, the table comes right and the stream goes on."""
    source, tarn = stock
    moment = random.Random(seed)
    with Writer(source, seed):
        for _ in range(5):
            tarn.command("resync", "--no-wait", "stock")
            stop = threading.Event()
            stop.wait(moment.uniform(0.0, 0.5))  # The moment is what is tried out.
            tarn.kill()
            tarn.start()
    tarn.must("resync", "stock")
    tarn.wait_caught_up()
    tarn.verify()
    assert int(tarn.value("SELECT sum(n) FROM stock")) == 3000


def test_a_table_that_is_new_at_a_start_holds_up_no_other(source, worker):
    """Named in the configuration, or made, while tarn was stopped, and large: what the lake has already goes on meanwhile."""
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'v' FROM generate_series(1, 50) g")
    tarn = worker.tarn(source, source={"copy_mb_per_s": 1}).start()
    assert tarn.stop() == 0
    source.execute("CREATE TABLE large (id int PRIMARY KEY, body text)")
    source.execute("INSERT INTO large SELECT g, repeat('x', 1000) FROM generate_series(1, 15000) g")
    tarn.start()
    tarn.wait_status(lambda status: status["copies"]["copying"] == "large", what="the copy of the new table")
    source.execute("INSERT INTO t VALUES (100, 'meanwhile'); INSERT INTO large VALUES (0, 'meanwhile')")
    tarn.wait_status(lambda status: status["silver"]["changes"] >= 1, what="the change of the old table")
    assert tarn.status()["copies"]["copying"] == "large", "the copy did not last as long as the test needs"
    assert tarn.value("SELECT count(*) FROM t WHERE v = 'meanwhile'") == 1
    refused = tarn.try_query("SELECT count(*) FROM large")
    assert refused.code == 1 and "copied for the first time" in refused.err, refused.text
    # Cut off and started again it goes on with what is there.
    tarn.kill()
    tarn.start()
    source.execute("DELETE FROM large WHERE id % 100 = 7")
    tarn.wait_settled(120)
    tarn.verify()
    assert tarn.value("SELECT count(*) FROM large") == 15001 - 150
