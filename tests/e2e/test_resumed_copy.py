"""A copy that is cut off goes on where it was: what is there is not copied again, and what changed meanwhile is right."""

from __future__ import annotations

import json
import random
import re

import pytest

from support.cluster import wait_for
from support.history import SILVER, History

CRASHED = 137
RANGES = {"copy_range_kb": 64, "copy_save_ms": 0}
ROWS = 6000
TABLE = f"""
CREATE TABLE big (id int PRIMARY KEY, tenant_id int NOT NULL, n bigint, body text);
ALTER TABLE big ALTER body SET STORAGE EXTERNAL;
INSERT INTO big SELECT g, g % 3, g, repeat(chr(97 + g % 26), 400) FROM generate_series(1, {ROWS}) g;
UPDATE big SET body = repeat(md5(id::text), 100) WHERE id % 50 = 0;
"""


def cut_off(tarn, saves: int = 12, table: str = "big"):
    """Leaves a copy of which so many ranges or a few more are there."""
    tarn.start(wait=False, environment={"TARN_FAULT": f"bronze.load.after_progress:{saves}"})
    assert tarn.wait_exit(60) == CRASHED, tarn.log_tail()


def is_in_lake(tarn, table: str = "big") -> bool:
    """Until then an error says what it waits for."""
    return tarn.try_query(f"SELECT count(*) FROM {table}").code == 0


def finish(tarn, table: str = "big"):
    wait_for(lambda: is_in_lake(tarn, table), 60, f"{table} in the lake", every=0.1)
    tarn.wait_caught_up()
    tarn.verify()


def went_on(tarn) -> tuple[int, int]:
    """Of the newest run: ranges that were there, rows that were there."""
    found = re.findall(r"going on with the copy of .*: (\d+) of \d+ ranges are there, (\d+) rows", tarn.log.read_text())
    assert found, tarn.log_tail()
    return int(found[-1][0]), int(found[-1][1])


def load_rows(tarn) -> list[dict]:
    import pyarrow.parquet as pq
    folder = tarn.lake / "bronze/public/big"
    return [row for file in sorted(folder.glob("LOAD*.parquet")) for row in pq.read_table(file).to_pylist()]


@pytest.fixture
def tarn(source, worker):
    source.execute(TABLE)
    source.execute("VACUUM big")
    # Its copy comes later, so that the lake's first version is ahead of the stream.
    source.execute("CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other VALUES (1)")
    return worker.tarn(source, source=RANGES, silver={"copy_workers": 1, "commit_interval_ms": 100},
                       tenants={"column": "tenant_id"})


def rebuilt_equals(tarn):
    before = tarn.table_rows("big")
    assert tarn.stop() == 0
    assert tarn.bronze_verified()["warnings"] == []
    tarn.must("rebuild")
    assert tarn.table_rows("big") == before


def test_only_what_is_missing_is_copied(source, tarn):
    cut_off(tarn)
    tarn.start()
    finish(tarn)
    ranges, rows = went_on(tarn)
    assert ranges >= 11 and rows > ROWS // 10
    loaded = load_rows(tarn)
    assert len(loaded) == ROWS, "nothing changed, so nothing was read twice"
    assert len({row["_lsn"] for row in loaded}) == 2
    assert not list((tarn.lake / "_tarn/bronze/copying").glob("*"))
    rebuilt_equals(tarn)


def test_what_changed_between_the_runs(source, tarn):
    """In the part that is there, in the part that is not, and from one to the other; large values untouched."""
    cut_off(tarn)
    source.execute("DELETE FROM big WHERE id IN (1, 2, 5001, 5002)")
    source.execute("UPDATE big SET n = -n WHERE id IN (3, 50, 5003, 5050)")
    # Free room at the front, then rows of the back move there: their large values stay where they are.
    source.execute("DELETE FROM big WHERE id BETWEEN 10 AND 400")
    source.execute("VACUUM big")
    source.execute("UPDATE big SET n = n + 1 WHERE id BETWEEN 5500 AND 5600")
    moved = source.value("SELECT count(*) FROM big WHERE id BETWEEN 5500 AND 5600 AND (ctid::text::point)[0] < 40")
    assert moved > 50, "rows moved from the missing part to the part that is there"
    # And the other way: the old place is in the part that is there.
    source.execute("UPDATE big SET body = repeat('x', 900) WHERE id BETWEEN 420 AND 440")
    # Keys: one changes, one goes and comes back elsewhere, two change places.
    source.execute("UPDATE big SET id = 100001 WHERE id = 4")
    source.execute("UPDATE big SET id = 100002 WHERE id = 5700")
    source.execute("DELETE FROM big WHERE id = 6; INSERT INTO big VALUES (6, 1, 66, 'came back')")
    source.execute("UPDATE big SET id = -1 WHERE id = 7; UPDATE big SET id = 7 WHERE id = 5900; UPDATE big SET id = 5900 WHERE id = -1")
    # To another tenant's partition.
    source.execute("UPDATE big SET tenant_id = tenant_id + 10 WHERE id IN (8, 5800)")
    source.execute("INSERT INTO big SELECT g, 1, g, 'new' FROM generate_series(200000, 200010) g")
    tarn.start()
    finish(tarn)
    assert went_on(tarn)[0] >= 11
    rebuilt_equals(tarn)
    assert len(load_rows(tarn)) < ROWS + 400, "what changed, and no more, was read again"


@pytest.mark.parametrize("statement", ["VACUUM FULL big", "CLUSTER big USING big_pkey", "TRUNCATE big",
                                       "ALTER TABLE big ADD COLUMN more int DEFAULT 7", "ALTER TABLE big DROP COLUMN n",
                                       "ALTER TABLE big ALTER n TYPE numeric(20, 2)", "DROP TABLE big"],
                         ids=["vacuum_full", "cluster", "truncate", "add", "drop_column", "retype", "made_again"])
def test_a_table_that_is_another_starts_over(source, tarn, statement):
    cut_off(tarn)
    source.execute(statement)
    if statement.startswith("DROP TABLE"):
        source.execute(TABLE)
    tarn.start()
    finish(tarn)
    assert "going on with the copy" not in tarn.log.read_text()
    assert len({row["_lsn"] for row in load_rows(tarn)}) <= 1
    rebuilt_equals(tarn)


PARTED = f"""
CREATE TABLE big (id int, tenant_id int NOT NULL, n bigint, body text, PRIMARY KEY (id, tenant_id)) PARTITION BY LIST (tenant_id);
CREATE TABLE big_0 PARTITION OF big FOR VALUES IN (0);
CREATE TABLE big_1 (body text, gone int, n bigint, tenant_id int NOT NULL, id int NOT NULL, PRIMARY KEY (id, tenant_id));
ALTER TABLE big_1 DROP gone; ALTER TABLE big ATTACH PARTITION big_1 FOR VALUES IN (1);
CREATE TABLE big_rest PARTITION OF big DEFAULT PARTITION BY RANGE (id);
CREATE TABLE big_low PARTITION OF big_rest FOR VALUES FROM (MINVALUE) TO ({ROWS // 2});
CREATE TABLE big_high PARTITION OF big_rest FOR VALUES FROM ({ROWS // 2}) TO (MAXVALUE);
CREATE TABLE big_none PARTITION OF big FOR VALUES IN (7);
ALTER TABLE big_0 ALTER body SET STORAGE EXTERNAL; ALTER TABLE big_1 ALTER body SET STORAGE EXTERNAL; ALTER TABLE big_low ALTER body SET STORAGE EXTERNAL;
INSERT INTO big SELECT g, g % 4, g, repeat(chr(97 + g % 26), 400) FROM generate_series(1, {ROWS}) g;
UPDATE big SET body = repeat(md5(id::text), 100) WHERE id % 50 = 0;
"""


@pytest.fixture
def parted(source, worker):
    """Partitions of very different sizes, one of partitions, one by default, one with another order of columns, an empty one."""
    source.execute(PARTED)
    source.execute("VACUUM big")
    return worker.tarn(source, source=RANGES, silver={"copy_workers": 1, "commit_interval_ms": 100}, tenants={"column": "tenant_id"})


def test_a_partitioned_table_by_several_workers(source, parted):
    parted.sections["silver"]["copy_workers"] = 3
    parted.write_config()
    parted.start()
    finish(parted)
    loaded = load_rows(parted)
    assert len(loaded) == ROWS and len({(row["_lsn"], row["_ordinal"]) for row in loaded}) == ROWS
    folder = parted.lake / "bronze/public/big"
    assert len(list(folder.glob("LOAD*.parquet"))) > 3, "files of several ranges"
    rebuilt_equals(parted)


def test_a_partitioned_table_goes_on(source, parted):
    """Rows change, go and move between partitions, from the part that is there to the missing one and back; a partition is made meanwhile."""
    cut_off(parted, 8)
    source.execute("DELETE FROM big WHERE id IN (1, 2, 3, 4, 5001, 5002, 5003, 5004)")
    source.execute("UPDATE big SET n = -n WHERE id % 100 BETWEEN 50 AND 53")
    # Free room at the front of each partition, then rows of its back move there.
    source.execute("DELETE FROM big WHERE id BETWEEN 10 AND 400 OR id BETWEEN 3000 AND 3200")
    source.execute("VACUUM big")
    source.execute("UPDATE big SET n = n + 1 WHERE id BETWEEN 5500 AND 5600")
    # Between partitions, their large values untouched, both ways; of partitions of partitions; of different orders.
    source.execute("UPDATE big SET tenant_id = 1 - tenant_id WHERE tenant_id IN (0, 1) AND id % 9 = 0")
    source.execute("UPDATE big SET id = id + 10000 WHERE tenant_id = 2 AND id BETWEEN 500 AND 600; UPDATE big SET id = id - 9000 WHERE tenant_id = 3 AND id BETWEEN 5800 AND 5900")
    source.execute("UPDATE big SET tenant_id = 7 WHERE tenant_id = 1 AND id % 25 = 0")
    source.execute("CREATE TABLE big_new PARTITION OF big FOR VALUES IN (8); INSERT INTO big SELECT g, 8, g, 'new' FROM generate_series(200000, 200100) g")
    source.execute("UPDATE big SET tenant_id = 8 WHERE tenant_id = 0 AND id % 30 = 0")
    parted.start()
    finish(parted)
    ranges, rows = went_on(parted)
    assert ranges >= 7 and rows > ROWS // 20
    assert len({row["_lsn"] for row in load_rows(parted)}) == 2, "rows of both runs"
    rebuilt_equals(parted)


@pytest.mark.parametrize("statement", [
    "ALTER TABLE big DETACH PARTITION big_0", "DROP TABLE big_low", "TRUNCATE big_1", "VACUUM FULL big_high",
    "CREATE TABLE big_new (LIKE big INCLUDING ALL); INSERT INTO big_new VALUES (9, 8, 1, 'b'); ALTER TABLE big ATTACH PARTITION big_new FOR VALUES IN (8)",
    "ALTER TABLE big ADD COLUMN more int DEFAULT 7"], ids=["detach", "drop", "truncate", "vacuum_full", "attach_at_once", "add"])
def test_a_partitioned_table_that_is_another_starts_over(source, parted, statement):
    cut_off(parted, 8)
    with source.connect(autocommit=statement.startswith("VACUUM")) as connection:
        connection.execute(statement)
    parted.start()
    finish(parted)
    assert "going on with the copy of \"public\".\"big\"" not in parted.log.read_text()
    assert len({row["_lsn"] for row in load_rows(parted)}) == 1
    rebuilt_equals(parted)


@pytest.mark.parametrize("how", ["without_key", "slot_lost", "unpublished"])
def test_what_cannot_be_gone_on_with_starts_over(source, worker, tarn, how):
    if how == "without_key":
        source.execute("ALTER TABLE big DROP CONSTRAINT big_pkey; ALTER TABLE big REPLICA IDENTITY FULL")
    cut_off(tarn)
    slot, publication = tarn.sections["source"]["slot"], tarn.sections["source"]["publication"]
    if how == "slot_lost":
        source.value("SELECT pg_drop_replication_slot(%s)::text", (slot,))
    if how == "unpublished":
        source.execute(f'ALTER PUBLICATION "{publication}" DROP TABLE big')
    source.execute("DELETE FROM big WHERE id IN (1, 2, 5001)")
    tarn.start()
    finish(tarn)
    assert "going on with the copy" not in tarn.log.read_text()
    assert tarn.stop() == 0


def test_taken_out_of_a_publication_that_is_another_s(source, worker):
    """What changed meanwhile is not known, also when the publication's owner has put the table back before tarn could."""
    source.execute(TABLE)
    role = source.name + "_role"
    source.execute(f"CREATE ROLE {role} LOGIN REPLICATION; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    tarn = worker.tarn(source, source={**RANGES, "user": role}, silver={"copy_workers": 1})
    name = tarn.sections["source"]["publication"]
    source.execute(f"CREATE PUBLICATION {name} FOR TABLE big WITH (publish_via_partition_root = true)")
    source.execute(f"CREATE PUBLICATION {name}_append WITH (publish = 'insert, truncate', publish_via_partition_root = true)")
    cut_off(tarn)
    source.execute(f"ALTER PUBLICATION {name} DROP TABLE big")
    source.execute("DELETE FROM big WHERE id IN (1, 2, 5001); UPDATE big SET n = -1 WHERE id = 3")
    tarn.start(wait=False)
    fix = f'ALTER PUBLICATION "{name}" ADD TABLE "public"."big"'
    assert tarn.wait_exit() == 1 and fix in tarn.log_tail()
    source.execute(fix)
    tarn.start()
    finish(tarn)
    assert "going on with the copy" not in tarn.log.read_text()
    tarn.close()
    source.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_what_was_forgotten_comes_back(source, tarn):
    """A machine that loses its power may show a note again that was removed: of a copy that is finished, and of a history that is over."""
    cut_off(tarn)
    note, = (tarn.lake / "_tarn/bronze/copying").glob("*")
    text = note.read_text()
    source.execute("DELETE FROM big WHERE id < 100")
    tarn.start()
    finish(tarn)
    assert tarn.log.read_text().count("going on with the copy") == 1 and not note.exists()
    assert tarn.stop() == 0

    def copied_whole():
        note.write_text(text)
        copied = tarn.log.read_text().count("taking the copy of")
        tarn.start()
        tarn.command("resync", "big")
        wait_for(lambda: tarn.log.read_text().count("taking the copy of") > copied, 60, "the copy in Silver", every=0.1)
        finish(tarn)
        assert tarn.log.read_text().count("going on with the copy") == 1, "it was finished"
        assert tarn.stop() == 0
    copied_whole()
    source.execute("UPDATE big SET n = -n WHERE id < 1000")
    source.value("SELECT pg_drop_replication_slot(%s)::text", (tarn.sections["source"]["slot"],))
    source.execute("DELETE FROM big WHERE id BETWEEN 100 AND 200")
    copied_whole()


def test_cut_off_again_and_again(source, tarn, seed):
    """Each run brings some ranges; rows change between them and while they go on; the source has them once."""
    rng = random.Random(seed)
    runs = 0
    for saves in (5, 4, 6, 3, 4, 60):
        tarn.start(wait=False, environment={"TARN_FAULT": f"bronze.load.after_progress:{saves}"})
        for _ in range(6):
            low = rng.randint(1, ROWS - 60)
            source.execute("UPDATE big SET n = n + 1, tenant_id = %s WHERE id BETWEEN %s AND %s",
                           (rng.randint(1, 5), low, low + rng.randint(0, 40)))
            source.execute("DELETE FROM big WHERE id BETWEEN %s AND %s", (low + 50, low + 52))
            source.execute("INSERT INTO big VALUES (%s, 1, 0, repeat('y', 3000)) ON CONFLICT DO NOTHING", (rng.randint(1, ROWS),))
            source.execute("UPDATE big SET id = id + 1000000 WHERE id = %s", (rng.randint(1, ROWS),))
        source.execute("VACUUM big")
        if saves < 60:
            assert tarn.wait_exit(60) == CRASHED, tarn.log_tail()
            runs += 1
    tarn.wait_streaming()
    finish(tarn)
    assert runs == 5 and tarn.log.read_text().count("going on with the copy") == 5
    rebuilt_equals(tarn)


@pytest.mark.parametrize("point", ["copy.before_manifest", "bronze.load.before_manifest", "bronze.load.after_manifest",
                                   "silver.take_copy.before_changes"])
def test_a_crash_later(source, tarn, point):
    """In the second run, at each step from its end to its place in Silver."""
    cut_off(tarn)
    source.execute("UPDATE big SET n = n + 1 WHERE id % 7 = 0; DELETE FROM big WHERE id % 31 = 0")
    tarn.start(wait=False, environment={"TARN_FAULT": point})
    assert tarn.wait_exit(60) == CRASHED, tarn.log_tail()
    source.execute("UPDATE big SET n = n + 1 WHERE id % 11 = 0; DELETE FROM big WHERE id % 37 = 0")
    tarn.start()
    finish(tarn)
    assert len({row["_lsn"] for row in load_rows(tarn)}) in (2, 3), "the first run's rows were used"
    rebuilt_equals(tarn)


def test_beside_the_stream(source, tarn):
    """A table that appears while running, and one that is copied again, are gone on with, too."""
    tarn.start()
    finish(tarn)
    tarn.stop()
    tarn.start(environment={"TARN_FAULT": "bronze.load.after_progress:10"})
    source.execute(TABLE.replace(" big ", " later "))
    assert tarn.wait_exit(60) == CRASHED, tarn.log_tail()
    source.execute("UPDATE later SET n = -n WHERE id % 3 = 0; DELETE FROM later WHERE id < 30")
    tarn.start()
    finish(tarn, "later")
    assert went_on(tarn)[0] >= 9
    tarn.stop()
    tarn.start(environment={"TARN_FAULT": "bronze.load.after_progress:10"})
    tarn.command("resync", "big")  # It ends with the process that it asked.
    assert tarn.wait_exit(60) == CRASHED, tarn.log_tail()
    source.execute("UPDATE big SET n = -n WHERE id % 3 = 0; DELETE FROM big WHERE id < 30")
    tarn.start()
    wait_for(lambda: tarn.log.read_text().count("taking the copy of") == 2, 60, "the copy in Silver", every=0.1)
    finish(tarn)
    assert tarn.log.read_text().count("going on with the copy") == 2


def test_with_an_application_on(source, worker, seed):
    """Random work of an application while copies are cut off at random places; two workers."""
    rng = random.Random(seed)
    history = History(source, seed, keys=400, truncates=0).create(300)
    tarn = worker.tarn(source, source={"copy_range_kb": 8, "copy_save_ms": 0}, tenants={"column": "tenant_id"})

    def all_there() -> bool:
        return all(is_in_lake(tarn, table) for table in SILVER)
    with history:
        for _ in range(6):
            tarn.start(wait=False, environment={"TARN_FAULT": f"bronze.load.after_progress:{rng.randint(1, 9)}"})
            wait_for(lambda: not tarn.is_running() or all_there(), 60, "a crash, or the end", every=0.1)
            tarn.close()
        tarn.start()
        wait_for(all_there, 60, "all tables in the lake", every=0.1)
    tarn.wait_caught_up()
    tarn.verify()
    before = {table: tarn.table_rows(table) for table in SILVER}
    assert tarn.stop() == 0
    assert tarn.bronze_verified()["warnings"] == []
    tarn.must("rebuild")
    assert {table: tarn.table_rows(table) for table in SILVER} == before


def test_changes_that_no_message_tells(source, tarn):
    """A row filter looks at a large value that an update does not touch: whether the row is still wanted is not in the message. A copy
    that went on over such a change begins again."""
    tarn.extra = """
[[mapping]]
tables = "public.big"
filter = "n > 0 OR body = 'kept'"
"""
    tarn.write_config()
    cut_off(tarn)
    # It moves to the end of the table, where a copy that goes on looks, and its filter is no more fulfilled.
    source.execute("UPDATE big SET n = 0 WHERE id = 50")
    source.execute("UPDATE big SET n = n + 1 WHERE id BETWEEN 40 AND 60 AND id <> 50")
    tarn.start()
    finish(tarn)
    assert tarn.value("SELECT count(*) FROM big WHERE id = 50") == 0
    assert "big is copied once more" in tarn.log.read_text()
    rebuilt_equals(tarn)


def test_files_of_a_finished_copy_are_gone(source, worker):
    """The copy was finished and not taken when tarn died; its file is lost. The table is copied once more."""
    source.execute("CREATE TABLE big (id int PRIMARY KEY); INSERT INTO big SELECT generate_series(1, 100)")
    tarn = worker.tarn(source).start()
    tarn.wait_caught_up()
    assert tarn.stop() == 0
    tarn.start(environment={"TARN_FAULT": "bronze.load.after_manifest"})
    source.execute("INSERT INTO big SELECT generate_series(101, 200)")
    tarn.command("resync", "big")
    assert tarn.wait_exit(60) == CRASHED, tarn.log_tail()
    newest, = (path for path in (tarn.lake / "_tarn/bronze/loads").iterdir() if path.name != "big.json")
    lost = tarn.lake / json.loads(newest.read_text())["files"][0]["path"]
    lost.unlink()
    tarn.start()
    finish(tarn)
    assert "big is copied once more" in tarn.log.read_text() and lost.name in tarn.log.read_text()
    assert tarn.log.read_text().count("made the slot") == 1, "nothing is wrong with the slot"
    source.execute("DELETE FROM big WHERE id > 150")
    finish(tarn)
