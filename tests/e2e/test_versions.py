"""PostgreSQL 14, 16, 17 and 18 as the source (all other tests have 15), and 13, which is refused."""

from __future__ import annotations

import pytest

from support.cluster import Cluster, other_version, wait_for
from support.tarn import lsn_value

FAILED, FOUND = 1, 3
MAJORS = [14, 16, 17, 18]
TABLES = """
CREATE TABLE account (id int PRIMARY KEY, owner text, balance numeric(12,2), twice numeric GENERATED ALWAYS AS (balance * 2) STORED);
CREATE TABLE doc (id int PRIMARY KEY, n int, body text); ALTER TABLE doc ALTER body SET STORAGE EXTERNAL;
CREATE TABLE big (id int PRIMARY KEY, v text);
CREATE TABLE note (what text);
CREATE TABLE day (id int, at date, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE day_1 PARTITION OF day FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE day_2 PARTITION OF day FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
INSERT INTO account SELECT g, 'owner ' || g, g FROM generate_series(1, 500) g;
INSERT INTO doc SELECT g, 0, (SELECT string_agg(md5((g * 1000 + i)::text), '') FROM generate_series(1, 200) i) FROM generate_series(1, 20) g;
INSERT INTO big SELECT g, 'first' FROM generate_series(1, 100) g;
INSERT INTO note VALUES ('one');
INSERT INTO day SELECT g, date '2026-01-01' + g % 59, 'v' FROM generate_series(1, 100) g;
"""
MANY = "INSERT INTO big SELECT g, repeat(md5(g::text), 4) FROM generate_series(%s::int, %s::int) g"


@pytest.fixture(scope="session")
def servers(session_folder, cache_folder):
    """Each version's server, started when it is asked for first."""
    running: dict[int, Cluster] = {}

    def server(major: int) -> Cluster:
        if major not in running:
            folder = session_folder / f"postgres-{major}"
            settings = {"max_prepared_transactions": "5", "logical_decoding_work_mem": "'64kB'"}
            running[major] = Cluster(folder / "cluster", bin=other_version(cache_folder, folder / "programs", major), **settings)
            running[major].create()
        return running[major]
    yield server
    for cluster in running.values():
        cluster.destroy()


@pytest.fixture
def followed(worker, servers, request):
    """(database, running tarn) on the version that the test names."""
    source = worker.database(servers(request.param))
    assert source.value("SHOW server_version_num").startswith(str(request.param))
    source.execute(TABLES)
    tarn = worker.tarn(source)
    assert tarn.command("check").code == 0, tarn.command("check").text
    tarn.start().wait_caught_up()
    return source, tarn


def equal(tarn):
    """Each table, that of inserts only, too."""
    tarn.wait_settled()
    tables = tarn.verify()
    assert set(tables) == {"account", "doc", "big", "note", "day"} and all(table["equal"] for table in tables.values()), tables


def change(source, turn: int):
    """Every kind of change; `turn` from 0 keeps them apart."""
    first = 100 * turn
    source.execute("INSERT INTO account VALUES (%s, 'new', 7.5)", (10_000 + turn,))
    source.execute("UPDATE account SET balance = balance + 1 WHERE id BETWEEN %s AND %s", (first + 1, first + 20))
    source.execute("UPDATE account SET id = id + 100000 WHERE id BETWEEN %s AND %s", (first + 21, first + 30))
    source.execute("DELETE FROM account WHERE id BETWEEN %s AND %s", (first + 31, first + 40))
    source.execute("UPDATE doc SET n = n + 1 WHERE id %% 2 = %s", (turn % 2,))  # The body is not touched, and not sent.
    source.execute("UPDATE doc SET id = id + 1000, n = 5 WHERE id = %s", (turn + 1,))
    source.execute("INSERT INTO note VALUES ('more')")
    source.execute("UPDATE day SET at = date '2026-02-20' WHERE id BETWEEN %s AND %s AND at < '2026-02-01'", (10 * turn, 10 * turn + 9))
    with source.connection.transaction():
        source.execute("INSERT INTO day VALUES (%s, '2026-02-02', 'gone')", (1000 + turn,))
        source.execute("TRUNCATE big, note" if turn == 0 else "TRUNCATE day")
        source.execute("INSERT INTO big VALUES (%s, 'behind the truncate')", (-1 - turn,))


def large(source, tarn):
    """Sent while they are open: one commits, in part; one does not."""
    slot = tarn.sections["source"]["slot"]

    def streams() -> int:
        return source.value("SELECT stream_count FROM pg_stat_replication_slots WHERE slot_name = %s", (slot,))
    before = streams()
    with source.connection.transaction():
        source.execute(MANY, (1000, 4000))
        with source.connection.transaction(force_rollback=True):
            source.execute(MANY, (5000, 8000))
        source.execute("DELETE FROM big WHERE id BETWEEN 1100 AND 1200")
    with source.connection.transaction(force_rollback=True):
        source.execute(MANY, (10_000, 14_000))
    wait_for(lambda: streams() > before, 20, "a block of an open transaction")


@pytest.mark.parametrize("followed", MAJORS, indirect=True)
def test_whole_way(followed):
    source, tarn = followed
    change(source, 0)
    large(source, tarn)
    equal(tarn)
    assert tarn.value("SELECT count(*) FROM big") == 3001 - 101 + 1
    # A column that appears, without and with a value for the rows of before.
    source.execute("ALTER TABLE account ADD COLUMN note text")
    source.execute("UPDATE account SET note = 'seen' WHERE id < 5")
    source.execute("ALTER TABLE doc ADD COLUMN kind text NOT NULL DEFAULT 'plain'")
    tarn.wait_caught_up()
    assert tarn.value("SELECT count(*) FROM account WHERE note = 'seen'") == 4
    wait_for(lambda: tarn.try_query("SELECT DISTINCT kind FROM doc").out == '{"kind":"plain"}\n', 30, "the column's default", every=0.2)
    equal(tarn)
    # A generated column is not sent, whatever the version.
    assert "twice" not in tarn.query("SELECT * FROM account LIMIT 1")[0]
    tarn.kill()
    change(source, 1)
    tarn.start()
    equal(tarn)
    tarn.must("bronze", "verify")
    assert tarn.stop() == 0
    tarn.must("remove")
    assert source.execute("SELECT slot_name FROM pg_replication_slots WHERE database = current_database()") == []
    assert source.execute("SELECT pubname FROM pg_publication") == []


@pytest.mark.parametrize("followed", MAJORS, indirect=True)
def test_partitions(followed):
    """What the catalogue shows of a partition's origin: made as one, it is followed; made, filled and attached at once, it is copied."""
    source, tarn = followed
    tarn.wait_settled()
    first = tarn.status()["tables"]["day"]["copied_at"]
    with source.connection.transaction():
        source.execute("CREATE TABLE day_3 PARTITION OF day (v DEFAULT 'x') FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')")
        source.execute("INSERT INTO day VALUES (1, '2026-03-03', 'made')")
    equal(tarn)
    assert tarn.status()["tables"]["day"]["copied_at"] == first
    with source.connection.transaction():
        source.execute("CREATE TABLE day_4 (v text, at date NOT NULL, id int NOT NULL, PRIMARY KEY (id, at))")
        source.execute("INSERT INTO day_4 VALUES ('attached', '2026-04-04', 1)")
        source.execute("ALTER TABLE day ATTACH PARTITION day_4 FOR VALUES FROM ('2026-04-01') TO ('2026-05-01')")
    equal(tarn)
    assert tarn.status()["tables"]["day"]["copied_at"] != first
    assert tarn.value("SELECT count(*) FROM day WHERE v IN ('made', 'attached')") == 2


def test_version_13_is_refused(worker, servers):
    source = worker.database(servers(13))
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    tarn = worker.tarn(source)
    check = tarn.command("check")
    assert check.code == FOUND and "PostgreSQL 13" in check.out and "14 or later" in check.out, check.text
    run = tarn.command("run")
    assert run.code == FAILED and "PostgreSQL 13" in run.err.splitlines()[-1] and "14 or later" in run.err, run.text
    assert source.execute("SELECT slot_name FROM pg_replication_slots") == []
    assert source.execute("SELECT pubname FROM pg_publication") == []


@pytest.mark.parametrize("followed", [MAJORS[0], MAJORS[-1]], indirect=True)
def test_prepared_transactions(followed):
    """Two-phase commits are there when they are committed, at that place in the order, and never when they are rolled back."""
    source, tarn = followed

    def seen() -> list:
        return tarn.query("SELECT id, owner FROM account WHERE id > 50000 ORDER BY id")
    with source.connect() as other:
        names = {name: f"{source.name}_{name}" for name in ("small", "large", "never", "large_never")}
        for name, statements in {
                "small": ["INSERT INTO account VALUES (50001, 'prepared', 1)", "UPDATE doc SET n = 77 WHERE id = 3"],
                "large": [MANY % (20_000, 24_000), "DELETE FROM big WHERE id = 20007"],
                "never": ["INSERT INTO account VALUES (50002, 'never', 1)"],
                "large_never": [MANY % (30_000, 34_000)]}.items():
            other.execute("BEGIN")
            for statement in statements:
                other.execute(statement)
            other.execute(f"PREPARE TRANSACTION '{names[name]}'")
        # An ordinary one that commits meanwhile passes them all.
        other.execute("INSERT INTO account VALUES (50003, 'ordinary', 1)")
        tarn.wait_caught_up()
        assert seen() == [{"id": 50003, "owner": "ordinary"}]
        assert tarn.value("SELECT count(*) FROM big") == 100
        # Whoever makes a slot, as verify does, waits for them: check names them.
        assert f"'{names['small']}' is prepared" in tarn.must("check")
        tarn.kill()  # They are open across a restart of tarn.
        tarn.start().wait_caught_up()
        assert seen() == [{"id": 50003, "owner": "ordinary"}]
        for name in ("never", "large_never"):
            other.execute(f"ROLLBACK PREPARED '{names[name]}'")
        other.execute("UPDATE account SET owner = 'before the commit' WHERE id = 50003")
        before = tarn.wait_caught_up()["silver"]["lsn"]
        for name in ("small", "large"):
            other.execute(f"COMMIT PREPARED '{names[name]}'")
        tarn.wait_caught_up()
    assert seen() == [{"id": 50001, "owner": "prepared"}, {"id": 50003, "owner": "before the commit"}]
    assert tarn.value("SELECT count(*) FROM big") == 100 + 4001 - 1
    assert tarn.value("SELECT n FROM doc WHERE id = 3") == 77
    # Each change has the position of its COMMIT PREPARED, behind all that committed before it.
    epoch, lsn = 1 << 56, lsn_value(before)
    assert tarn.value("SELECT min(_lsn) FROM account WHERE id = 50001") % epoch > lsn
    equal(tarn)
    tarn.must("bronze", "verify")
    assert tarn.stop() == 0
