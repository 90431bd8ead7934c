"""Transactions that the source sends while they are open (protocol 2): kept aside until they commit, gone when they do not."""

from __future__ import annotations

import os
import random
import subprocess
from contextlib import ExitStack

import pytest

from support.cluster import wait_for

# Several times what is kept in memory, so that it is in a file.
MANY = 60_000
ROWS = "INSERT INTO big (id, tenant, v) SELECT g, g %% 3, repeat(md5(g::text), 8) FROM generate_series(%s::int, %s::int) g"


@pytest.fixture(params=[48 << 10, 64], ids=["whole", "pieces"])
def streamed(source, worker, seed, request):
    """A source whose transactions all stream once they are of some size, followed by a running tarn that takes them in whole,
    or in many pieces."""
    source.execute(f"ALTER DATABASE \"{source.name}\" SET logical_decoding_work_mem = '64kB'")
    source.execute("CREATE TABLE big (id int PRIMARY KEY, tenant int, v text); CREATE TABLE small (id int PRIMARY KEY, v text)")
    source.execute("CREATE TABLE doc (id int PRIMARY KEY, n int, body text); ALTER TABLE doc ALTER body SET STORAGE EXTERNAL")
    source.execute(ROWS, (1, 2000))
    source.execute("INSERT INTO doc SELECT g, 0, (SELECT string_agg(md5((g * 1000 + i)::text), '') FROM generate_series(1, 300) i) "
                   "FROM generate_series(1, 10) g")
    return source, worker.tarn(source, source={"piece_kb": request.param}).start()


def files(tarn) -> list[str]:
    folder = tarn.lake / "_tarn/spool"
    return sorted(os.listdir(folder)) if folder.exists() else []


def wait_open(tarn, count: int, least_bytes: int = 1):
    return tarn.wait_status(lambda s: s["source"]["open_transactions"] == count and s["source"]["spooled_bytes"] >= least_bytes,
                            what=f"{count} open transactions")


def finish(source, tarn):
    """Equal to the source, and nothing is kept of what is over."""
    tarn.wait_settled()
    tables = tarn.verify()
    assert all(table["equal"] for table in tables.values()), tables
    wait_open(tarn, 0, 0)
    assert files(tarn) == []


def streams(source, tarn) -> int:
    """How often the server sent blocks of transactions that were open."""
    return source.value("SELECT stream_count FROM pg_stat_replication_slots WHERE slot_name = %s", (tarn.sections["source"]["slot"],))


class Writer:
    """One transaction at a time on a connection of its own, in a range of keys of its own; nested savepoints."""

    def __init__(self, source, rng: random.Random, first: int):
        self.connection = source.connect(autocommit=False)
        self.rng, self.first, self.savepoints, self.names, self.open = rng, first, [], 0, False

    def change(self):
        r, first = self.rng, self.first
        low = first + r.randint(0, 4000)
        high = low + r.choice((3, 60, 800))
        kind = r.randrange(10)
        if kind < 5:
            self.connection.execute(ROWS + " ON CONFLICT (id) DO UPDATE SET v = excluded.v || 'again'", (low, high))
        elif kind < 7:
            self.connection.execute("UPDATE big SET tenant = tenant + 1 WHERE id BETWEEN %s AND %s", (low, high))
        elif kind < 8:
            self.connection.execute("UPDATE big SET id = id + 5000 WHERE id BETWEEN %s AND %s "
                                    "AND id + 5000 NOT IN (SELECT id FROM big)", (low, min(high, first + 4000)))
        else:
            self.connection.execute("DELETE FROM big WHERE id BETWEEN %s AND %s", (low, high))

    def step(self):
        self.open = True
        kind = self.rng.randrange(10)
        if kind < 5 or not self.savepoints:
            self.change()
        if kind >= 7 and len(self.savepoints) < 6:
            self.names += 1
            self.savepoints.append(f"s{self.names}")
            self.connection.execute(f"SAVEPOINT {self.savepoints[-1]}")
        elif kind >= 5 and self.savepoints:  # One of them, and all that are in it.
            at = self.rng.randrange(len(self.savepoints))
            back = self.rng.random() < 0.5
            self.connection.execute(f"{'ROLLBACK TO' if back else 'RELEASE'} {self.savepoints[at]}")
            del self.savepoints[at + back:]

    def end(self, commit: bool):
        self.connection.commit() if commit else self.connection.rollback()
        self.savepoints, self.open = [], False


def test_savepoints(streamed, seed):
    """What was rolled back to a savepoint is not there, whatever the nesting; what was released is."""
    source, tarn = streamed
    rng = random.Random(seed)
    with source.connect(autocommit=False) as connection:
        writer = Writer(source, rng, 10_000)
        writer.change()
        for commit in (True, False, True, True):
            for _ in range(60):
                writer.step()
            writer.end(commit)
        writer.connection.close()
        # Savepoints whose children were released, and that are rolled back as a whole.
        connection.execute(ROWS, (100_001, 101_000))
        connection.execute("SAVEPOINT a")
        connection.execute(ROWS, (101_001, 102_000))
        connection.execute("SAVEPOINT b")
        connection.execute("DELETE FROM big WHERE id > 100500")
        connection.execute("RELEASE b")
        connection.execute("SAVEPOINT c")
        connection.execute(ROWS, (103_001, 104_000))
        connection.execute("ROLLBACK TO a")
        connection.execute("UPDATE big SET tenant = -1 WHERE id > 100900")
        wait_open(tarn, 1)
        connection.commit()
    tarn.wait_caught_up()
    assert tarn.query("SELECT count(*) AS n, sum(tenant) AS t FROM big WHERE id > 100900") == [{"n": 100, "t": "-100"}]
    assert streams(source, tarn) > 20
    finish(source, tarn)


def test_interleaved(streamed, seed):
    """Transactions of several connections whose blocks come by turns, some rolled back, with ordinary ones between them."""
    source, tarn = streamed
    rng = random.Random(seed + 1)
    with ExitStack() as stack:
        writers = [Writer(source, rng, 100_000 * (i + 1)) for i in range(5)]
        for writer in writers:
            stack.enter_context(writer.connection)
        most = 0
        for turn in range(250):
            writer = rng.choice(writers)
            writer.step()
            if rng.random() < 0.08:
                writer.end(rng.random() < 0.7)
            if turn % 10 == 0:
                source.execute("INSERT INTO small VALUES (%s, 'between')", (turn,))
            if turn % 50 == 49:
                status = tarn.wait_caught_up()  # The open ones hold nothing up.
                most = max(most, status["source"]["open_transactions"])
                assert tarn.value("SELECT count(*) FROM small") == turn // 10 + 1
        for writer in writers:
            writer.end(rng.random() < 0.7)
    assert most >= 2
    finish(source, tarn)


def test_aborted(streamed):
    """A large transaction that is rolled back: others go on beside it, and nothing of it is left, rows or files."""
    source, tarn = streamed
    with source.connect(autocommit=False) as connection:
        connection.execute(ROWS, (100_001, 100_000 + MANY))
        connection.execute("UPDATE small SET v = 'never'")
        wait_open(tarn, 1, 10_000_000)
        assert len(files(tarn)) == 1
        source.execute("INSERT INTO small VALUES (1, 'beside it')")
        wait_for(lambda: tarn.value("SELECT count(*) FROM small") == 1, 30, "an ordinary transaction beside it")
        tarn.wait_caught_up()  # And its position is confirmed.
        assert "1 large transaction open on the source" in tarn.must("status")
        assert tarn.value("SELECT count(*) FROM big") == 2000
        connection.rollback()
    wait_open(tarn, 0, 0)
    assert files(tarn) == []
    finish(source, tarn)
    assert tarn.value("SELECT count(*) FROM big") == 2000
    assert not [row for row in tarn.query("SELECT v FROM small") if row["v"] == "never"]


def test_schema_and_truncate(streamed):
    """TRUNCATE and ADD COLUMN in the middle of an open transaction, and a column that a rollback took away again."""
    source, tarn = streamed
    with source.connect(autocommit=False) as connection:
        connection.execute(ROWS, (100_001, 103_000))
        connection.execute("INSERT INTO small SELECT g, 'before' FROM generate_series(1, 2000) g")
        wait_open(tarn, 1)
        connection.execute("TRUNCATE small, doc")
        connection.execute("INSERT INTO small SELECT g, 'after' FROM generate_series(1001, 3000) g")
        connection.execute("ALTER TABLE big ADD COLUMN extra text")
        connection.execute("INSERT INTO big SELECT g, 1, 'with', 'extra ' || g FROM generate_series(110001, 113000) g")
        connection.execute("SAVEPOINT a")
        connection.execute("ALTER TABLE big ADD COLUMN gone int")
        connection.execute("INSERT INTO big SELECT g, 1, 'rolled back', 'x', g FROM generate_series(120001, 123000) g")
        connection.execute("TRUNCATE small")
        connection.execute("ROLLBACK TO a")
        connection.execute("UPDATE big SET extra = 'set' WHERE id BETWEEN 100001 AND 101000")
        connection.execute("SAVEPOINT b")
        connection.execute("ALTER TABLE small ADD COLUMN more int")
        connection.execute("UPDATE small SET more = id WHERE id > 1500")
        connection.execute("RELEASE b")
        connection.commit()
    source.execute("INSERT INTO big VALUES (200000, 1, 'ordinary', 'behind it'); INSERT INTO small VALUES (9000, 'ordinary', 1)")
    finish(source, tarn)
    for table, columns in (("big", "id, tenant, md5(v) AS v, extra"), ("small", "id, v, more")):
        expected = [[None if v is None else str(v) for v in row] for row in source.execute(f"SELECT {columns} FROM {table} ORDER BY 1")]
        got = [[None if v is None else str(v) for v in row.values()] for row in tarn.query(f"SELECT {columns} FROM {table} ORDER BY 1")]
        assert got == expected, table
    assert tarn.value("SELECT count(*) FROM doc") == 0


class OtherWriter:
    """Upgrades the table `big`, as Spark's newer releases do unasked, and takes that back."""

    def __init__(self, tarn):
        self.properties = tarn.lake / "silver/big/.hoodie/hoodie.properties"
        self.own = self.properties.read_text()

    def upgrade(self):
        self.properties.write_text(self.own.replace("hoodie.table.version=6", "hoodie.table.version=8"))

    def take_back(self):
        self.properties.write_text(self.own)


def others_go_on(source, tarn, rows: int):
    source.execute("INSERT INTO small VALUES (9000, 'behind it')")
    tarn.wait_caught_up()
    assert tarn.value("SELECT count(*) FROM small") == rows


def test_a_table_that_cannot_take_it(streamed):
    """Another writer upgraded one of the tables meanwhile: it is held with the reason, the others have the transaction."""
    source, tarn = streamed
    writer = OtherWriter(tarn)
    with source.connect(autocommit=False) as connection:
        connection.execute(ROWS, (100_001, 103_000))
        connection.execute("INSERT INTO small SELECT g, 'with it' FROM generate_series(1, 2000) g")
        wait_open(tarn, 1)
        writer.upgrade()
        connection.commit()
    wait_for(lambda: tarn.value("SELECT count(*) FROM small") == 2000, 30, "the other table's rows")
    refused = wait_for(lambda: next((o for o in [tarn.try_query("SELECT count(*) FROM big")] if "is held" in o.err), None), 30, "the reason")
    assert refused.code == 1 and "another writer upgraded it" in refused.err, refused.text
    others_go_on(source, tarn, 2001)
    writer.take_back()
    tarn.must("resync", "public.big")
    finish(source, tarn)
    assert tarn.value("SELECT count(*) FROM big") == 5000


def test_a_quiet_table_that_cannot_take_anything(streamed):
    """The same of a table in which nothing changes: services find it, and it is held; nothing else stops."""
    source, tarn = streamed
    writer = OtherWriter(tarn)
    writer.upgrade()
    wait_for(lambda: "is held" in tarn.try_query("SELECT count(*) FROM big").err, 60, "the reason")
    others_go_on(source, tarn, 1)
    writer.take_back()
    tarn.must("resync", "public.big")
    finish(source, tarn)


def test_unchanged_toast(streamed):
    """A large value that an update in an open transaction does not touch keeps its value."""
    source, tarn = streamed
    with source.connect(autocommit=False) as connection:
        connection.execute("UPDATE doc SET n = 1 WHERE id <= 5")
        connection.execute(ROWS, (100_001, 103_000))
        connection.execute("UPDATE doc SET id = id + 100 WHERE id IN (2, 3)")
        connection.execute("SAVEPOINT a")
        connection.execute("UPDATE doc SET body = repeat('rolled back', 1000), n = 9 WHERE id IN (1, 102)")
        connection.execute(ROWS, (104_001, 105_000))
        connection.execute("ROLLBACK TO a")
        connection.execute("UPDATE doc SET n = 2 WHERE id IN (1, 103)")
        connection.execute("INSERT INTO doc SELECT 50, 0, string_agg(md5(i::text), '') FROM generate_series(1, 300) i")
        connection.execute("UPDATE doc SET n = 3 WHERE id = 50")
        wait_open(tarn, 1)
        connection.commit()
    tarn.wait_caught_up()
    columns = "id, n, md5(body) AS body"
    expected = [list(row) for row in source.execute(f"SELECT {columns} FROM doc ORDER BY 1")]
    assert [list(row.values()) for row in tarn.query(f"SELECT {columns} FROM doc ORDER BY 1")] == expected
    finish(source, tarn)


def test_killed_in_mid_transaction(streamed, seed):
    """Killed or stopped while a transaction is open, and while it is taken in after its commit: the source sends it again."""
    source, tarn = streamed
    rng = random.Random(seed + 2)
    with source.connect(autocommit=False) as connection:
        for turn in range(3):
            first = 100_000 * (turn + 1)
            connection.execute(ROWS, (first + 1, first + MANY))
            connection.execute("SAVEPOINT a")
            connection.execute("DELETE FROM big WHERE id %% 5 = %s", (turn,))
            wait_open(tarn, 1, 10_000_000)
            assert len(files(tarn)) == 1
            if turn == 1:
                assert tarn.stop() == 0, tarn.log_tail()
                assert files(tarn) == []
            else:
                tarn.kill()
                assert len(files(tarn)) == 1  # What the next start takes away.
            connection.execute("ROLLBACK TO a" if rng.random() < 0.5 else "RELEASE a")
            connection.execute(ROWS, (first + 70_001, first + 72_000))
            source.execute("INSERT INTO small VALUES (%s, 'meanwhile')", (turn,))
            tarn.start()
            wait_open(tarn, 1, 10_000_000)
            assert len(files(tarn)) == 1
            tarn.wait_caught_up()
            assert tarn.value("SELECT count(*) FROM small") == turn + 1
            connection.commit()
            changes = tarn.status()["bronze"]["changes"]
            more = rng.randint(1, 40_000)
            tarn.wait_status(lambda s: s["bronze"]["changes"] >= changes + more, what="a part of it in Bronze")
            tarn.kill()
            tarn.start().wait_caught_up()
        assert tarn.value("SELECT count(*) FROM big WHERE id > 370000") == source.value("SELECT count(*) FROM big WHERE id > 370000")
    finish(source, tarn)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_spool_is_full(streamed):
    """No room for an open transaction: tarn says so and tries again, others go on, and with room nothing is missing."""
    source, tarn = streamed
    folder = tarn.lake / "_tarn/spool"
    folder.mkdir(exist_ok=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no small disk here: {mounted.stderr.strip()}")
    try:
        with source.connect(autocommit=False) as connection:
            connection.execute(ROWS, (100_001, 100_000 + MANY))
            status = tarn.wait_status(lambda s: "No space left" in s["last_error"], what="an error")
            assert "nothing is lost" in status["last_error"] and str(folder) in status["last_error"], status["last_error"]
            source.execute("INSERT INTO small VALUES (1, 'beside it')")
            subprocess.run(["mount", "-o", "remount,size=200m", folder], check=True)
            wait_open(tarn, 1, 10_000_000)
            wait_for(lambda: tarn.value("SELECT count(*) FROM small") == 1, 30, "the ordinary transaction")
            connection.commit()
        finish(source, tarn)
    finally:
        tarn.close()
        subprocess.run(["umount", "-l", folder], check=True)


def test_services_in_mid_transaction(source, worker):
    """A transaction of many pieces, while tables are compacted and requests come in: nobody ever sees a part of it."""
    tables = [f"t{number}" for number in range(10)]
    source.execute("CREATE TABLE big (id int PRIMARY KEY, v text, w text, n int)")
    source.execute("INSERT INTO big SELECT g, repeat(md5(g::text), 5), repeat(md5(g::text), 3), 0 FROM generate_series(1, 300000) g")
    for table in tables:
        source.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, n int); INSERT INTO {table} SELECT g, 0 FROM generate_series(1, 50) g")
    tarn = worker.tarn(source, source={"piece_kb": 8 << 10}, silver={"commit_interval_ms": 0}).start()
    for turn in range(60):  # So many logs that each table waits to be compacted.
        source.execute("".join(f"UPDATE {table} SET n = {turn} WHERE id = {turn % 50 + 1};" for table in tables))
        tarn.wait_status(lambda s: s["silver"]["lsn"] == s["tail"]["lsn"], what="the commit")
    source.execute("UPDATE big SET n = 1")
    seen = []

    def through():
        seen.append(tarn.value("SELECT sum(n) FROM big"))
        if len(seen) == 3:
            tarn.must("resync", "public.t0", "--no-wait")
        return int(seen[-1]) == 300000
    wait_for(through, 120, "the transaction", every=0.01)
    assert {int(value) for value in seen} == {0, 300000}, seen
    assert len(seen) > 5
    tarn.wait_caught_up()
    tarn.verify()


def test_a_last_piece_without_rows(source, worker):
    """The last row fills a piece, so that the commit comes by itself: seen without another transaction, and nothing is confirmed
    before it is durable."""
    source.execute("CREATE TABLE big (id int PRIMARY KEY, v text); ALTER TABLE big ALTER v SET STORAGE EXTERNAL")
    tarn = worker.tarn(source, source={"piece_kb": 64}, silver={"commit_interval_ms": 600_000}, bronze={"flush_interval_ms": 600_000})
    tarn.start().wait_caught_up()
    source.execute("INSERT INTO big SELECT g, repeat(md5(g::text), 60000) FROM generate_series(1, 3) g")
    mark = source.mark()
    slot = tarn.sections["source"]["slot"]
    wait_for(lambda: source.value("SELECT confirmed_flush_lsn >= %s::pg_lsn FROM pg_replication_slots WHERE slot_name = %s", (mark, slot)),
             30, "the confirmation")
    assert tarn.value("SELECT count(*) FROM big") == 3
    tarn.kill()
    tarn.start()
    finish(source, tarn)
    source.execute("UPDATE big SET v = repeat('x', 3000000) WHERE id = 2; DELETE FROM big WHERE id = 1")
    finish(source, tarn)
    tarn.bronze_verified()
