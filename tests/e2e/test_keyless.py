"""Tables without any key under REPLICA IDENTITY FULL: their updates and deletes are followed; of equal rows exactly one goes."""

from __future__ import annotations

import collections
import json
import random

import pytest

from support.cluster import wait_for

CRASHED = 137
WORDS = ["a", "b", "c", None]


def keyless(source, name: str, columns: str):
    source.execute(f"CREATE TABLE {name} ({columns}); ALTER TABLE {name} REPLICA IDENTITY FULL")


def stored(source, name: str = "entry", columns: str = "word, n") -> collections.Counter:
    return collections.Counter(source.execute(f"SELECT {columns} FROM {name}"))


def lake(tarn, name: str = "entry", columns: str = "word, n") -> collections.Counter:
    return collections.Counter(tuple(row.values()) for row in tarn.query(f"SELECT {columns} FROM {name}"))


def settle(source, tarn, name: str = "entry", columns: str = "word, n"):
    """Caught up, with no copy due, and equal to the source, row by row and by verify."""
    tarn.wait_settled()
    assert lake(tarn, name, columns) == stored(source, name, columns)
    tables = tarn.verify()
    assert tables[name]["equal"] and not tables[name]["append_only"], tables[name]


def change_one(dice: random.Random) -> str:
    """One row among equal ones changes, goes or comes; or all of a sort do."""
    word, other = (repr(w) if w else "NULL" for w in dice.choices(WORDS, k=2))
    one = f"ctid = (SELECT ctid FROM entry WHERE word IS NOT DISTINCT FROM {word} ORDER BY random() LIMIT 1)"
    return dice.choice([
        f"INSERT INTO entry SELECT {word}, 1 FROM generate_series(1, {dice.randrange(4)})",
        f"INSERT INTO entry VALUES ({word}, {dice.randrange(3)})",
        f"UPDATE entry SET word = {other} WHERE {one}",
        f"UPDATE entry SET n = n + 1 WHERE {one}",
        f"UPDATE entry SET n = n WHERE {one}",
        f"DELETE FROM entry WHERE {one}",
        f"DELETE FROM entry WHERE {one}",
        f"UPDATE entry SET word = {other} WHERE word IS NOT DISTINCT FROM {word} AND n = {dice.randrange(3)}",
    ])


@pytest.fixture
def entries(source, worker):
    keyless(source, "entry", "word text, n int")
    source.execute("INSERT INTO entry SELECT 'a', 1 FROM generate_series(1, 5); INSERT INTO entry VALUES ('b', 1), ('b', 2), (NULL, 1), (NULL, NULL), (NULL, NULL)")
    return source, worker.tarn(source)


def test_updates_and_deletes(entries):
    source, tarn = entries
    check = tarn.command("check")
    assert check.code == 0 and "no primary key" not in check.text, check.text
    tarn.start()
    assert lake(tarn) == stored(source)
    one_a = "ctid = (SELECT ctid FROM entry WHERE word = 'a' LIMIT 1)"
    for sql in ("INSERT INTO entry VALUES ('a', 1), ('c', 3)", f"DELETE FROM entry WHERE {one_a}", f"UPDATE entry SET n = 7 WHERE {one_a}",
                "UPDATE entry SET word = 'b', n = 1 WHERE word = 'c'", "DELETE FROM entry WHERE ctid = (SELECT ctid FROM entry WHERE n IS NULL LIMIT 1)",
                "BEGIN; INSERT INTO entry VALUES ('gone', 1); DELETE FROM entry WHERE word = 'gone'; COMMIT"):
        source.execute(sql)
    settle(source, tarn)
    assert lake(tarn)["a", 1] == 4 and lake(tarn)[None, None] == 1
    assert tarn.stop() == 0
    tarn.must("bronze", "verify")
    before = tarn.table_rows("entry")
    tarn.must("rebuild")
    assert lake(tarn) == stored(source) and len(tarn.table_rows("entry")) == len(before)
    tarn.start()
    source.execute("TRUNCATE entry; INSERT INTO entry VALUES ('a', 1), ('a', 1)")
    source.execute(f"DELETE FROM entry WHERE {one_a}")
    settle(source, tarn)
    source.execute("INSERT INTO entry SELECT 'a', 1 FROM generate_series(1, 20)")
    tarn.must("resync", "public.entry")
    source.execute("DELETE FROM entry WHERE ctid IN (SELECT ctid FROM entry LIMIT 9)")
    settle(source, tarn)
    assert lake(tarn) == {("a", 1): 12}


@pytest.mark.parametrize("commit_ms", [0, 100])
def test_random_changes_with_kills(entries, seed, commit_ms):
    source, tarn = entries
    tarn.sections["silver"]["commit_interval_ms"] = commit_ms
    tarn.sections["bronze"] = {"flush_interval_ms": 50}
    tarn.write_config()
    dice = random.Random(f"{seed} {commit_ms}")
    tarn.start()
    for _ in range(4):
        for _ in range(25):
            sqls = [change_one(dice) for _ in range(dice.choice([1, 1, 6]))]
            source.execute("; ".join(["BEGIN", *sqls, dice.choice(["COMMIT", "COMMIT", "ROLLBACK"])]))
        if dice.random() < 0.5:
            tarn.wait_caught_up()
        tarn.kill()
        source.execute(change_one(dice))
        tarn.start()
        tarn.wait_caught_up()
        assert lake(tarn) == stored(source)
    settle(source, tarn)
    assert tarn.stop() == 0
    tarn.must("rebuild")
    assert lake(tarn) == stored(source)


FAULTS = ["runner.between_layers", "runner.before_staged_commit", "silver.apply.between_tables", "silver.apply.before_run", "silver.spooled.between_tables",
          "hudi.spooled.before_commit", "bronze.flush.after_manifest",
          "hudi.commit.after_positions", "hudi.commit.after_partitions", "lake_version.before_publish", "lake_version.after_publish"]


# Not on the way of every step: what is staged is not applied.
NEVER = [(0, "runner.before_staged_commit"), (100, "silver.apply.before_run")]


@pytest.mark.parametrize("commit_ms,fault", [(ms, fault) for fault in FAULTS for ms in (0, 100) if (ms, fault) not in NEVER])
def test_a_crash_anywhere_counts_nothing_twice(source, worker, commit_ms, fault):
    """With rows in quarantine, whose commit is another one than Silver's, and DDL within the step."""
    keyless(source, "entry", "word text, n int, day date")
    source.execute("INSERT INTO entry VALUES ('a', 1, '2026-01-01'), ('a', 1, '2026-01-01'), ('q', 1, 'infinity')")
    tarn = worker.tarn(source, silver={"commit_interval_ms": commit_ms}, bronze={"flush_interval_ms": 50})
    tarn.start()
    tarn.wait_caught_up()
    tarn.kill()
    source.execute("""BEGIN; INSERT INTO entry VALUES ('a', 1, '2026-01-01'), ('q', 1, 'infinity'), ('q', 1, 'infinity');
        DELETE FROM entry WHERE ctid = (SELECT ctid FROM entry WHERE word = 'q' LIMIT 1); ALTER TABLE entry ADD more int;
        INSERT INTO entry VALUES ('a', 1, '2026-01-01'), ('q', 2, 'infinity'); COMMIT""")
    tarn.start(wait=False, environment={"TARN_FAULT": fault})

    def crashed():
        if not tarn.is_running():
            return True
        source.execute("INSERT INTO entry VALUES ('a', 1, '2026-01-01'), ('q', 1, 'infinity')")
        return False
    wait_for(crashed, 40, f"the crash at {fault}", every=0.3)
    assert tarn.wait_exit() == CRASHED, tarn.log_tail()
    tarn.start()
    tarn.wait_settled()
    assert tarn.verify()["entry"]["equal"]
    source.execute("DELETE FROM entry WHERE ctid IN (SELECT min(ctid) FROM entry GROUP BY word)")
    tarn.wait_caught_up()
    assert tarn.verify()["entry"]["equal"]
    assert tarn.value("SELECT count(*) FROM quarantine.entry") == source.value("SELECT count(*) FROM entry WHERE word = 'q'")


def test_a_transaction_that_comes_in_pieces(entries):
    """It is one commit: what came of it before a crash is forgotten, and nothing is counted twice."""
    source, tarn = entries
    tarn.sections["source"]["piece_kb"] = 2 << 10
    tarn.write_config()
    loads = tarn.lake / "_tarn/bronze/loads"
    tarn.start()
    tarn.wait_caught_up()
    tarn.kill()
    many = "INSERT INTO entry SELECT repeat('x', 1500) || g / 2, 1 FROM generate_series(1, 12000) g"
    source.execute(f"BEGIN; {many}; UPDATE entry SET n = 2 WHERE word LIKE '%7'; DELETE FROM entry WHERE word = 'a' AND n = 1; COMMIT")
    tarn.start(wait=False, environment={"TARN_FAULT": "runner.between_layers:2"})
    assert tarn.wait_exit() == CRASHED, tarn.log_tail()
    tarn.start()
    settle(source, tarn)
    # The same when the connection goes in its midst.
    before = tarn.status()["silver"]["changes"]
    source.execute("UPDATE entry SET n = 4")
    tarn.wait_status(lambda status: status["silver"]["changes"] > before, what="a piece")
    source.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = %s", (tarn.sections["source"]["slot"],))
    settle(source, tarn)
    assert len(list(loads.iterdir())) == 1, "it was copied again"


def test_values_of_many_types(source, worker):
    """Copied values and streamed ones are the same ones."""
    keyless(source, "wide", "a smallint, b bigint, c numeric(12,3), d numeric, e real, f double precision, g text, h bytea, i jsonb, j uuid, "
            "k date, l timestamptz, m interval, n int[], o inet, p boolean, q char(5), r tstzrange")
    row = ("g, g * 1000000007::bigint, g / 7.0, g / 7.0, g / 3.0, CASE g WHEN 1 THEN 'NaN'::float8 WHEN 2 THEN -0.0 ELSE g / 3.0 END, 'ü' || g, "
           "decode(md5(g::text), 'hex'), jsonb_build_object('b', g, 'a', NULL), md5(g::text)::uuid, CASE g WHEN 3 THEN 'infinity' ELSE date '2026-01-01' + g END, "
           "timestamptz '2026-01-01 00:00:00.123+02' + g * interval '1 hour', g * interval '1 day 1 sec', ARRAY[g, NULL], '10.0.0.1/24', g % 2 = 0, "
           "g::text, tstzrange(now(), NULL)")
    source.execute(f"INSERT INTO wide SELECT {row} FROM generate_series(1, 10) g, generate_series(1, 2)")
    tarn = worker.tarn(source).start()
    source.execute(f"INSERT INTO wide SELECT {row} FROM generate_series(5, 15) g")
    source.execute("DELETE FROM wide WHERE ctid IN (SELECT min(ctid) FROM wide GROUP BY a)")
    source.execute("UPDATE wide SET g = 'new' WHERE a % 2 = 0")
    tarn.wait_caught_up()
    assert tarn.verify()["wide"]["equal"]
    assert tarn.status()["copies"]["wanted"] == {}
    assert tarn.value("SELECT count(*) FROM quarantine.wide") == 1
    source.execute("DELETE FROM wide")
    tarn.wait_caught_up()
    assert tarn.value("SELECT (SELECT count(*) FROM wide) + (SELECT count(*) FROM quarantine.wide)") == 0
    assert len(list((tarn.lake / "_tarn/bronze/loads").glob("wide*"))) == 1


def test_large_values_that_an_update_leaves(source, worker):
    keyless(source, "doc", "n int, body text")
    source.execute("ALTER TABLE doc ALTER body SET STORAGE EXTERNAL")
    source.execute("INSERT INTO doc SELECT 1, repeat('y', 9000) FROM generate_series(1, 3)")
    tarn = worker.tarn(source).start()
    source.execute("UPDATE doc SET n = 2 WHERE ctid = (SELECT min(ctid) FROM doc)")
    source.execute("DELETE FROM doc WHERE ctid = (SELECT max(ctid) FROM doc WHERE n = 1)")
    settle(source, tarn, "doc", "n, body")


def test_ddl(entries):
    source, tarn = entries
    tarn.start()
    loads = tarn.lake / "_tarn/bronze/loads"
    source.execute("ALTER TABLE entry ADD more int; ALTER TABLE entry RENAME word TO term")
    source.execute("DELETE FROM entry WHERE ctid = (SELECT ctid FROM entry WHERE term = 'a' LIMIT 1); UPDATE entry SET more = n WHERE n = 2")
    tarn.wait_caught_up()
    assert lake(tarn, columns="word, n, more") == stored(source, columns="term, n, more")
    tarn.verify()
    assert len(list(loads.glob("entry*"))) == 1
    # What told rows apart is gone.
    source.execute("ALTER TABLE entry DROP n")
    source.execute("DELETE FROM entry WHERE ctid = (SELECT ctid FROM entry WHERE term = 'b' LIMIT 1)")
    wait_for(lambda: len(list(loads.glob("entry*"))) == 2, 30, "the copy")
    tarn.wait_settled()
    assert lake(tarn, columns="word, more") == stored(source, columns="term, more")
    tarn.verify()


def test_filters_tenants_and_rules(source, worker):
    keyless(source, "entry", "tenant_id int, word text, n int, at date")
    source.execute("INSERT INTO entry SELECT g % 3, 'w', g % 4, date '2026-01-15' + g FROM generate_series(1, 60) g, generate_series(1, 2)")
    tarn = worker.tarn(source, tenants={"column": "tenant_id"}, principals=[{"name": "one", "tenant": "1"}])
    (tarn.folder / "models/silver").mkdir(parents=True)
    (tarn.folder / "models/silver/entry.yml").write_text(
        "table: entry\nrules:\n  - name: not_two\n    check: n <> 2\n    explain: of the test\n    action: quarantine\n")
    tarn.sections["gold"]["models"] = str(tarn.folder / "models")
    tarn.extra = '[[mapping]]\ntables = "public.entry"\nfilter = "word <> \'out\'"\ndrop = ["at"]\nadd = { origin = "\'here\'" }\n'
    tarn.write_config()
    tarn.start()

    def equal():
        tarn.wait_caught_up()
        assert lake(tarn, columns="tenant_id, word, n") == stored(source, "entry WHERE word <> 'out' AND n <> 2", "tenant_id, word, n")
        assert tarn.value("SELECT count(*) FROM quarantine.entry") == source.value("SELECT count(*) FROM entry WHERE word <> 'out' AND n = 2")
        assert tarn.value("SELECT count(*) FROM entry", principal="one") == \
            source.value("SELECT count(*) FROM entry WHERE word <> 'out' AND n <> 2 AND tenant_id = 1")
        assert tarn.verify()["entry"]["equal"]
    equal()
    for sql in ("UPDATE entry SET word = 'out' WHERE at < '2026-01-25'", "UPDATE entry SET word = 'w' WHERE at < '2026-01-20'",
                "UPDATE entry SET n = n + 1", "UPDATE entry SET tenant_id = 2 WHERE n = 1", "DELETE FROM entry WHERE at > '2026-03-01'",
                "DELETE FROM entry WHERE word = 'out' AND n = 2"):
        source.execute(sql)
        equal()
    assert len(list((tarn.lake / "_tarn/bronze/loads").glob("entry*"))) == 1


def test_the_source_s_own_statements_never_fail(source, worker):
    """A partitioned table's partitions have identities of their own, so its inserts only are followed, as without FULL."""
    source.execute("CREATE TABLE part (id int, v text) PARTITION BY RANGE (id); ALTER TABLE part REPLICA IDENTITY FULL")
    source.execute("CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100)")
    source.execute("CREATE TABLE plain (id int, v text); INSERT INTO plain VALUES (1, 'a')")
    tarn = worker.tarn(source).start()
    source.execute("INSERT INTO part VALUES (1, 'a'), (2, 'b'); UPDATE part SET v = 'c'; DELETE FROM part WHERE id = 1")
    source.execute("UPDATE plain SET v = 'b'")
    tarn.wait_caught_up()
    tables = json.loads(tarn.command("verify", "--json").out)["tables"]
    assert {table["table"]: table["append_only"] for table in tables} == {"part": True, "plain": True}
    assert lake(tarn, "part", "id, v") == {(1, "a"): 1, (2, "b"): 1}
    # Another identity is another key.
    source.execute("ALTER TABLE plain REPLICA IDENTITY FULL")
    refused = wait_for(lambda: next((o for o in [tarn.try_query("SELECT * FROM plain")] if "move" in o.text), None), 30, "the reason")
    assert refused.code == 1 and "key" in refused.text
    source.execute("UPDATE plain SET v = 'c'; INSERT INTO part VALUES (3, 'd')")
    tarn.wait_caught_up()
    assert lake(tarn, "part", "id, v")[3, "d"] == 1
