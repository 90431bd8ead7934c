"""Somebody changes tarn's publications so that they keep changes back: noticed, said, mended, and the tables are copied again."""

from __future__ import annotations

import pytest

from support.cluster import wait_for

FAILED, CRASHED = 1, 137
FILTER_ROWS, FILTER_COLUMNS = "SET TABLE t WHERE (id < 5), u, part", "SET TABLE t (id), u, part"
NO_UPDATES, NOT_THE_ROOT = "SET (publish = 'insert, truncate')", "SET (publish_via_partition_root = false)"
# All of it is kept back by at least one of them.
UNSEEN = ("INSERT INTO t VALUES (100, 'unseen'); UPDATE t SET v = 'unseen' WHERE id > 6; DELETE FROM t WHERE id = 6; "
          "UPDATE part SET v = 'unseen' WHERE id = 1")


@pytest.fixture
def tarn(source, worker):
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (id int PRIMARY KEY, v text)")
    source.execute("CREATE TABLE part (id int PRIMARY KEY, v text) PARTITION BY RANGE (id)")
    source.execute("CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100)")
    source.execute("INSERT INTO t SELECT g, 'v' FROM generate_series(1, 10) g; INSERT INTO u SELECT * FROM t; INSERT INTO part SELECT * FROM t")
    return worker.tarn(source).start()


def keep_back(tarn, how: str):
    """With the changes that are lost in the same transaction: before anybody can mend it."""
    tarn.database.execute(f"BEGIN; ALTER PUBLICATION {tarn.sections['source']['publication']} {how}; {UNSEEN}; COMMIT")


def recovered(tarn):
    """The lake has what the source has, the publications are as they should be, and what comes is followed."""
    def rows(outcome):
        return [tuple(row.values()) for row in outcome]
    for value in ("once more", "and again"):
        tarn.database.execute(f"INSERT INTO t VALUES ((SELECT max(id) + 1 FROM t), '{value}'); UPDATE part SET v = '{value}' WHERE id = 2")
        for table in ("t", "u", "part"):
            wanted = tarn.database.execute(f"SELECT id, v FROM {table} ORDER BY 1")
            wait_for(lambda: (answer := tarn.try_query(f"SELECT count(*) AS n FROM {table} WHERE v = '{value}'")).code == 0
                     and answer.out == '{"n":%d}\n' % sum(v == value for _, v in wanted), 60, f"{value} in {table}")
            assert rows(tarn.query(f"SELECT id, v FROM {table} ORDER BY 1")) == wanted
    tarn.wait_settled()
    tables = tarn.verify()
    assert all(table["equal"] for table in tables.values()), tables
    tarn.bronze_verified()
    assert "publication" not in tarn.command("check").out


def copies(tarn) -> dict[str, int]:
    return {table: len(list((tarn.lake / "_tarn/bronze/loads").glob(f"{table}_*")) + list((tarn.lake / "_tarn/bronze/loads").glob(f"{table}.*")))
            for table in ("t", "u", "part")}


@pytest.mark.parametrize("how,words,touched", [
    (FILTER_ROWS, ["leaves out rows of \"public\".\"t\"", "DROP TABLE \"public\".\"t\""], ["t"]),
    (FILTER_COLUMNS, ["leaves out columns of \"public\".\"t\"", "ADD TABLE \"public\".\"t\""], ["t"]),
    (NO_UPDATES, ["leaves out: update, delete", "SET (publish = 'insert, update, delete, truncate'"], ["t", "u", "part"]),
    (NOT_THE_ROOT, ["leaves out: changes of partitions under their root", "publish_via_partition_root = true"], ["t", "u", "part"])],
    ids=["rows", "columns", "kinds", "root"])
def test_changed_while_running(tarn, how, words, touched):
    before = copies(tarn)
    keep_back(tarn, how)
    name = tarn.sections["source"]["publication"]
    wait_for(lambda: f"the publication '{name}' {words[0]}" in tarn.log.read_text(), 60, "the error in the log")
    assert all(word in tarn.log.read_text() for word in words)
    recovered(tarn)
    assert {table for table, count in copies(tarn).items() if count > before[table]} == set(touched)


def test_killed_when_it_was_mended(tarn):
    """From then on nothing on the source tells that changes are missing: the lake knows it already."""
    tarn.kill()
    tarn.start(environment={"TARN_FAULT": "copy.after_publications"})
    keep_back(tarn, FILTER_ROWS)
    assert tarn.wait_exit(60) == CRASHED, tarn.log_tail()
    assert "publication" not in tarn.command("check").out
    tarn.start()
    recovered(tarn)


def test_changed_while_stopped(tarn):
    assert tarn.stop() == 0
    keep_back(tarn, NO_UPDATES)
    tarn.start()
    assert "leaves out: update, delete" in tarn.log.read_text()
    recovered(tarn)


def test_one_that_the_role_may_not_mend(source, worker):
    """The table is held, with the statement for the publication's owner; what it has is there for who asks for it."""
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v text, day date); CREATE TABLE u (id int PRIMARY KEY)")
    source.execute("INSERT INTO t SELECT g, 'v', '2026-01-01' FROM generate_series(1, 10) g; INSERT INTO t VALUES (11, 'q', 'infinity')")
    role = source.name + "_role"
    source.execute(f"CREATE ROLE {role} LOGIN REPLICATION; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    tarn = worker.tarn(source, source={"user": role})
    name = tarn.sections["source"]["publication"]
    source.execute(f"CREATE PUBLICATION {name} FOR TABLE t, u WITH (publish_via_partition_root = true)")
    source.execute(f"CREATE PUBLICATION {name}_append WITH (publish = 'insert, truncate', publish_via_partition_root = true)")
    tarn.start().wait_caught_up()
    source.execute(f"BEGIN; ALTER PUBLICATION {name} SET TABLE t WHERE (id < 5), u; INSERT INTO t VALUES (100, 'unseen'); COMMIT")
    status = tarn.wait_status(lambda s: "owner of the publication" in s["copies"]["last_error"], what="the error")
    fix = f'ALTER PUBLICATION "{name}" DROP TABLE "public"."t"; ALTER PUBLICATION "{name}" ADD TABLE "public"."t"'
    assert fix in status["copies"]["last_error"] and fix in tarn.log.read_text()
    source.execute("INSERT INTO u VALUES (1)")
    tarn.wait_caught_up()
    assert tarn.value("SELECT count(*) FROM u") == 1

    def refused_but_there():
        for table, rows in (("t", 10), ("quarantine.t", 1)):
            statement = f"SELECT count(*) AS n FROM {table}"
            refused = tarn.try_query(statement)
            assert refused.code == FAILED and "is held" in refused.err and "leaves out rows" in refused.err, refused.text
            assert tarn.must("query", "--allow-held", "--format", "json", "--quiet", statement) == '{"n":%d}\n' % rows
    refused_but_there()
    assert tarn.stop() == 0
    refused_but_there()
    tarn.start(wait=False)
    assert tarn.wait_exit() == FAILED and fix in tarn.log_tail()
    source.execute(fix)
    tarn.start()
    wait_for(lambda: tarn.try_query("SELECT count(*) AS n FROM t").out == '{"n":11}\n', 60, "the new copy")
    tarn.wait_caught_up()
    tarn.verify()
    tarn.close()
    source.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
