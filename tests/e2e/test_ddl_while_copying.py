"""DDL that meets a copy: between its snapshot and its table's turn, between two ranges, and while a resync goes on. It converges."""

from __future__ import annotations

import json
import re
import threading

import pytest

from support.cluster import wait_for

# About 0.6 MB of 2000 rows: more than half a second at the rate below, in some ten ranges.
TABLE = """CREATE TABLE {0} (id int PRIMARY KEY, a int, b varchar(5), n numeric(5,2), body text);
INSERT INTO {0} SELECT g, g, 'b' || g % 1000, g / 100.0, repeat(md5(g::text), 8) FROM generate_series(1, 2000) g;"""
SLOW = {"copy_mb_per_s": 1, "copy_range_kb": 64}
COLUMNS = "id, a, b, n, md5(body) AS body"
# What becomes of the table `t`, and which columns are compared then.
DDL = {
    "default": ("ALTER TABLE t ADD COLUMN made date DEFAULT '2026-01-31'", COLUMNS + ", made"),
    "volatile_default": ("ALTER TABLE t ADD COLUMN u uuid NOT NULL DEFAULT gen_random_uuid()", COLUMNS + ", u"),
    "drop_column": ("ALTER TABLE t DROP COLUMN a", "id, b, n, md5(body) AS body"),
    "reorder": ("ALTER TABLE t DROP COLUMN a, ADD COLUMN a int; UPDATE t SET a = -id WHERE id % 2 = 0", COLUMNS),
    "reorder_empty": ("ALTER TABLE t DROP COLUMN b, ADD COLUMN b varchar(5)", COLUMNS),
    "retype": ("ALTER TABLE t ALTER a TYPE text USING 'a' || a", COLUMNS),
    "widen_int": ("ALTER TABLE t ALTER a TYPE bigint", COLUMNS),
    "widen_varchar": ("ALTER TABLE t ALTER b TYPE varchar(20); UPDATE t SET b = b || ' longer' WHERE id % 5 = 0", COLUMNS),
    "widen_numeric": ("ALTER TABLE t ALTER n TYPE numeric(9,2); UPDATE t SET n = n + 1000000 WHERE id % 5 = 0", COLUMNS),
    "narrow": ("ALTER TABLE t ALTER a TYPE smallint, ALTER b TYPE varchar(2) USING left(b, 2)", COLUMNS),
    "truncate": ("TRUNCATE t; INSERT INTO t VALUES (5, 5, 'five', 5, 'after'), (9000, 1, 'x', 1, 'after')", COLUMNS),
    "made_again": ("BEGIN; DROP TABLE t; CREATE TABLE t (body text, id int PRIMARY KEY, a text, b varchar(5), n numeric(5,2)); "
                   "INSERT INTO t VALUES ('x', 3, 'three', 'b', 3), ('y', 10000, 'new', 'b', 4); COMMIT", COLUMNS),
    "vacuum_full": ("VACUUM FULL t", COLUMNS),
}
# Rows before and behind, some of which were copied already whatever the range.
BEFORE = "UPDATE t SET n = n + 1 WHERE id % 100 = 1; DELETE FROM t WHERE id % 100 = 2"
BEHIND = "UPDATE t SET n = n + 2 WHERE id % 100 IN (1, 3); DELETE FROM t WHERE id % 100 = 4; INSERT INTO t (id, n) VALUES (20000, 1)"


def named(sql: str, table: str) -> str:
    for before, after in ((" t ", f" {table} "), (" t;", f" {table};")):
        sql = sql.replace(before, after)
    return sql[:-2] + " " + table if sql.endswith(" t") else sql


def run(connection, case: str, table: str):
    """As an application would: what was there before, the DDL, what comes behind it."""
    for sql in (BEFORE, DDL[case][0], BEHIND):
        for statement in named(sql, table).split("; "):
            connection.execute(statement)


def same(source, tarn, table: str, columns: str) -> bool:
    def texts(rows):
        return [[None if v is None else str(v) for v in row] for row in rows]
    expected = texts(source.execute(f"SELECT {columns} FROM {table} ORDER BY 1"))
    got = tarn.try_query(f"SELECT {columns} FROM {table} ORDER BY 1")
    return got.code == 0 and texts(json.loads(line).values() for line in got.out.splitlines()) == expected


def converges(source, tarn, tables: dict[str, str]):
    """Tables by name, with the columns to compare; then they go on being followed, and Bronze is complete."""
    def equal():
        tarn.wait_settled()
        return all(same(source, tarn, *table) for table in tables.items())
    wait_for(equal, 60, f"{', '.join(tables)} to be as the source has it", every=0.2)
    assert all(table["equal"] for table in tarn.verify().values())
    for table in tables:
        source.execute(f"UPDATE {table} SET body = 'last' WHERE id % 9 = 0; DELETE FROM {table} WHERE id % 10 = 5")
    assert equal()
    tarn.verify()
    assert tarn.stop() == 0
    assert tarn.bronze_verified()["warnings"] == []


def copying(tarn, table: str):
    """While some of the table's ranges are there, and some are not."""
    def some(status):
        first = status["phase"] != "streaming" and status["copy"]["table"].endswith(table)
        rows = status["copy"]["rows"] if first else status["copies"]["rows"] if table in status["copies"]["copying"] else 0
        return 200 < rows < 1500
    tarn.wait_status(some, 30, f"a part of {table}")


def test_before_the_table_s_turn(source, worker):
    """One snapshot for all, and while its largest table is copied all kinds of DDL to those that wait for their turn."""
    for case in DDL:
        source.execute(TABLE.format("t_" + case))
    source.execute(TABLE.format("front") + "INSERT INTO front SELECT g, g, 'b', 1, repeat(md5(g::text), 8) FROM generate_series(2001, 5000) g")
    tarn = worker.tarn(source, source=SLOW, silver={"copy_workers": 1})
    tarn.start(wait=False)
    tarn.wait_status(lambda s: s["copy"]["table"] == "public.front" and s["copy"]["rows"] > 200, 30, "a part of the first table")
    for case in DDL:
        run(source.connection, case, "t_" + case)
    status = tarn.status()
    assert status["copy"]["table"] == "public.front" and status["copy"]["rows"] < 5000, "all of it came before the others' turn"
    tarn.wait_streaming()
    converges(source, tarn, {"t_" + case: columns for case, (_, columns) in DDL.items()})


@pytest.mark.parametrize("case", ["default", "drop_column", "retype", "truncate", "made_again"])
def test_between_two_ranges(source, worker, case):
    """Of the table itself: the source has the statement wait for the copy, or the copy starts over."""
    source.execute(TABLE.format("big"))
    tarn = worker.tarn(source, source=SLOW, silver={"copy_workers": 1})
    with source.connect() as connection:
        tarn.start(wait=False)
        copying(tarn, "big")
        other = threading.Thread(target=run, args=(connection, case, "big"))
        other.start()
        other.join()
    tarn.wait_streaming()
    converges(source, tarn, {"big": DDL[case][1]})


@pytest.mark.parametrize("case", ["volatile_default", "drop_column", "reorder", "widen_numeric", "truncate", "made_again"])
def test_beside_the_stream(source, worker, case):
    """A resync of the table is under way: what it copied is of no use any more, or is."""
    source.execute(TABLE.format("big"))
    tarn = worker.tarn(source, source=SLOW, silver={"copy_workers": 2}).start()
    tarn.must("resync", "public.big", "--no-wait")
    copying(tarn, "big")
    run(source.connection, case, "big")
    converges(source, tarn, {"big": DDL[case][1]})


class Truncating:
    """Some connections that empty the table `busy` and fill it again, one after another without a pause."""

    def __init__(self, source):
        self.source, self.done = source, threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(3)]

    def run(self, number: int):
        with self.source.connect() as connection:
            turn = 0
            while not self.done.is_set():
                turn += 1
                with connection.transaction():
                    connection.execute("TRUNCATE busy")
                    connection.execute("INSERT INTO busy SELECT g, %s FROM generate_series(1, 300) g", (f"{number}, {turn}",))

    def __enter__(self):
        for thread in self.threads:
            thread.start()

    def __exit__(self, *_):
        self.done.set()
        for thread in self.threads:
            thread.join()


def lost_copies(reason: str) -> int:
    found = re.search(r"; (\d+) copies came to nothing, as it was truncated", reason)
    return int(found[1]) if found else 0


@pytest.mark.parametrize("begun", ["at_the_start", "beside_the_stream"])
def test_truncated_as_often_as_it_is_copied(source, worker, begun):
    """No copy of it can begin before it is another table again: tried less and less often, and said; all else goes on meanwhile."""
    source.execute("CREATE TABLE busy (id int PRIMARY KEY, body text); CREATE TABLE calm (id int PRIMARY KEY, body text); INSERT INTO calm VALUES (1, 'one')")
    tarn = worker.tarn(source)
    if begun == "beside_the_stream":
        tarn.start().wait_settled()
    with Truncating(source):
        if begun == "beside_the_stream":
            tarn.must("resync", "public.busy", "--no-wait")
        else:
            tarn.start()
        told = tarn.wait_status(lambda s: lost_copies(s["copies"]["wanted"].get("busy", "")) >= 3 and "the next one begins in" in s["copies"]["wanted"]["busy"])
        assert told["phase"] == "streaming"
        source.execute("INSERT INTO calm VALUES (2, 'two')")
        wait_for(lambda: tarn.value("SELECT count(*) FROM calm") == 2, 30, "another table's row")
        assert "copies came to nothing" in tarn.must("status")
    converges(source, tarn, {"busy": "id, body", "calm": "id, body"})
    log = tarn.log.read_text()
    pauses = [float(pause) for pause in re.findall(r"busy was truncated or changed .* begins in (\S+) s", log)]
    assert len(pauses) >= 3 and all(pause >= 0.5 * 2 ** turn for turn, pause in enumerate(pauses[:5]))


@pytest.mark.parametrize("case", [case for case in DDL if case not in ("made_again", "vacuum_full")])
def test_in_the_middle_of_a_transaction(source, worker, case):
    """No copy is under way; rows before and behind the DDL, in its own transaction, and another table's between."""
    source.execute(TABLE.format("big") + "CREATE TABLE other (id int PRIMARY KEY, body text)")
    tarn = worker.tarn(source).start()
    tarn.wait_caught_up()
    with source.connection.transaction():
        source.execute("INSERT INTO other VALUES (1, 'before')")
        run(source.connection, case, "big")
        source.execute("INSERT INTO other VALUES (2, 'behind')")
    converges(source, tarn, {"big": DDL[case][1], "other": "id, body"})


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_an_enum_s_new_value(source, worker, streamed):
    """Added, used in the next transaction; rows of before and behind it in one that was open all the while."""
    if streamed:
        source.execute(f"ALTER DATABASE \"{source.name}\" SET logical_decoding_work_mem = '64kB'")
    source.execute("CREATE TYPE mood AS ENUM ('calm', 'merry'); CREATE TABLE person (id int PRIMARY KEY, feels mood, all_moods mood[], body text)")
    source.execute("INSERT INTO person SELECT g, 'calm', '{calm,merry}', 'x' FROM generate_series(1, 500) g")
    tarn = worker.tarn(source).start()
    first = tarn.status()["tables"]["person"]["copied_at"]
    with source.connect(autocommit=False) as connection:
        connection.execute("INSERT INTO person SELECT g, 'merry', '{}', repeat('y', 50) FROM generate_series(1001, 3000) g")
        source.execute("ALTER TYPE mood ADD VALUE 'sad' BEFORE 'merry'")
        source.execute("UPDATE person SET feels = 'sad', all_moods = '{sad,calm}' WHERE id < 50")
        connection.execute("INSERT INTO person SELECT g, 'sad', '{sad}', repeat('y', 50) FROM generate_series(3001, 5000) g")
        connection.commit()
    converges(source, tarn, {"person": "id, feels, all_moods, body"})
    tarn.start()
    assert tarn.status()["tables"]["person"]["copied_at"] == first
    assert tarn.value("SELECT count(*) FROM person WHERE feels = 'sad'") == source.value("SELECT count(*) FROM person WHERE feels = 'sad'") > 1000
