"""A partitioned table is one table of the lake, whatever becomes of its partitions; one that leaves is a table of its own."""

from __future__ import annotations

import json

import pytest

from support.cluster import wait_for

TABLE = """
CREATE TABLE sale (id int, region text, amount numeric(9,2), note text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE sale_north PARTITION OF sale FOR VALUES IN ('north', 'arctic');
CREATE TABLE sale_south PARTITION OF sale FOR VALUES IN ('south');
CREATE TABLE sale_rest PARTITION OF sale DEFAULT PARTITION BY RANGE (id);
CREATE TABLE sale_rest_low PARTITION OF sale_rest FOR VALUES FROM (MINVALUE) TO (151);
CREATE TABLE sale_rest_high PARTITION OF sale_rest FOR VALUES FROM (151) TO (MAXVALUE);
ALTER TABLE sale_north ALTER note SET STORAGE EXTERNAL; ALTER TABLE sale_south ALTER note SET STORAGE EXTERNAL;
INSERT INTO sale SELECT g, (ARRAY['north', 'south', 'east'])[g % 3 + 1], g / 4.0, repeat('note ' || g || ' ', CASE WHEN g % 10 = 0 THEN 500 ELSE 1 END)
  FROM generate_series(1, 300) g;
"""
COLUMNS = "id, region, amount, md5(note) AS note"


@pytest.fixture
def sales(source, worker):
    source.execute(TABLE)
    return source, worker.tarn(source).start()


def texts(rows) -> list[list]:
    return [[None if v is None else str(v) for v in row] for row in rows]


def of_source(source, table: str = "sale") -> list:
    return texts(source.execute(f"SELECT {COLUMNS} FROM {table} ORDER BY 1, 2"))


def of_lake(tarn, table: str = "sale", as_of: str | None = None) -> list | None:
    """None while it does not answer."""
    got = tarn.try_query(f"SELECT {COLUMNS} FROM {table} ORDER BY 1, 2", as_of=as_of)
    return texts(json.loads(line).values() for line in got.out.splitlines()) if got.code == 0 else None


def settled(source, tarn, *tables: str):
    """Until these tables of the lake, and no others, are as the source's."""
    def equal():
        tarn.wait_settled()
        return all(of_lake(tarn, table) == of_source(source, table) for table in tables)
    wait_for(equal, 40, f"{', '.join(tables)} to be as the source has it", every=0.2)
    compared = tarn.verify()
    assert set(compared) == set(tables)
    assert all(table["equal"] for table in compared.values())


def goes_on(source, tarn, *tables: str):
    """Changes of each kind, wherever the rows are; then from the lake's files, and from Bronze alone."""
    for table in tables:
        source.execute(f"INSERT INTO {table} SELECT g, (SELECT max(region) FROM {table}), 1, 'later' FROM generate_series(2001, 2010) g")
        source.execute(f"UPDATE {table} SET amount = -amount WHERE id % 10 = 0; DELETE FROM {table} WHERE id % 7 = 0")
    settled(source, tarn, *tables)
    assert tarn.stop() == 0
    assert tarn.bronze_verified()["warnings"] == []
    tarn.must("rebuild")
    for table in tables:
        assert of_lake(tarn, table) == of_source(source, table)


def copied_at(tarn, table: str = "sale") -> str:
    return tarn.status()["tables"][table]["copied_at"]


def test_rows_that_move(sales):
    """From partition to partition and back, with their large values, one by one and in one statement, in one transaction: followed."""
    source, tarn = sales
    first = copied_at(tarn)
    source.execute("UPDATE sale SET region = 'south' WHERE id IN (3, 30, 60)")
    source.execute("UPDATE sale SET region = 'arctic' WHERE region = 'north' AND id > 200")  # The partition stays.
    source.execute("UPDATE sale SET id = id + 1000 WHERE region = 'east' AND id < 20")  # Between partitions of a partition.
    with source.connection.transaction():
        source.execute("UPDATE sale SET region = 'west', amount = 0 WHERE id IN (90, 91, 92)")
        source.execute("UPDATE sale SET region = 'north' WHERE id IN (90, 91)")
        source.execute("UPDATE sale SET amount = amount + 5 WHERE id = 90")
        source.execute("DELETE FROM sale WHERE id = 91")
        source.execute("INSERT INTO sale VALUES (91, 'south', 1, 'another')")
    source.execute("UPDATE sale SET region = CASE region WHEN 'north' THEN 'south' WHEN 'south' THEN 'north' ELSE region END WHERE id BETWEEN 100 AND 140")
    settled(source, tarn, "sale")
    source.execute("CREATE TABLE sale_new PARTITION OF sale FOR VALUES IN ('new'); INSERT INTO sale VALUES (500, 'new', 1, 'x')")
    source.execute("UPDATE sale SET region = 'new' WHERE id BETWEEN 141 AND 150")
    settled(source, tarn, "sale")
    assert copied_at(tarn) == first
    goes_on(source, tarn, "sale")


@pytest.mark.parametrize("how", ["plain", "concurrently", "in_a_transaction"])
def test_detach(sales, how):
    """Its rows leave without a message: copied again; what left is a table of its own. The past has them still."""
    source, tarn = sales
    tarn.wait_caught_up()
    before, as_of, first = of_source(source), tarn.value("SELECT current_timestamp::VARCHAR").split("+")[0], copied_at(tarn)
    if how == "in_a_transaction":
        with source.connection.transaction():
            source.execute("UPDATE sale SET amount = 7 WHERE id < 30")
            source.execute("ALTER TABLE sale DETACH PARTITION sale_south")
            source.execute("INSERT INTO sale VALUES (900, 'south', 1, 'in the default partition now')")
            source.execute("UPDATE sale_south SET amount = 8 WHERE id < 60")
    elif how == "concurrently":  # Refused beside a default partition.
        source.execute("ALTER TABLE sale DETACH PARTITION sale_rest")
        source.execute("ALTER TABLE sale DETACH PARTITION sale_south CONCURRENTLY")
    else:
        source.execute("ALTER TABLE sale DETACH PARTITION sale_south")
    wait_for(lambda: copied_at(tarn) != first, 30, "a newer copy")
    tables = ["sale", "sale_south", *(["sale_rest"] if how == "concurrently" else [])]
    settled(source, tarn, *tables)
    assert of_lake(tarn, as_of=as_of) == before
    goes_on(source, tarn, *tables)


MADE_AT_ONCE = {
    "plain": ["CREATE TABLE sale_west (LIKE sale INCLUDING ALL)"],
    # All its columns have a default, and an own order; it is altered behind its place, too.
    "defaults": ["CREATE TABLE sale_west (note text DEFAULT 'n', amount numeric(9,2) DEFAULT 1, region text DEFAULT 'west', id int DEFAULT 7, PRIMARY KEY (id, region))"],
    "partitioned": ["CREATE TABLE sale_west (LIKE sale INCLUDING ALL) PARTITION BY RANGE (id)",
                    "CREATE TABLE sale_west_any PARTITION OF sale_west DEFAULT"],
    # First made as one, which it did not stay.
    "detached": ["CREATE TABLE sale_west PARTITION OF sale FOR VALUES IN ('west')", "ALTER TABLE sale DETACH PARTITION sale_west"],
}


@pytest.mark.parametrize("how", MADE_AT_ONCE)
def test_made_filled_and_attached_at_once(sales, how):
    """In one transaction: the rows were written into a table that nobody publishes, and come with the partition."""
    source, tarn = sales
    first = copied_at(tarn)
    with source.connection.transaction():
        for statement in MADE_AT_ONCE[how]:
            source.execute(statement)
        source.execute("INSERT INTO sale_west (id, region, amount, note) SELECT g, 'west', 1, 'w' FROM generate_series(1000, 1100) g")
        source.execute("ALTER TABLE sale ATTACH PARTITION sale_west FOR VALUES IN ('west')")
        if how == "defaults":
            source.execute("ALTER TABLE sale_west ALTER id SET DEFAULT 8, ALTER region SET DEFAULT 'w', ALTER amount SET DEFAULT 2, ALTER note SET DEFAULT 'm'")
    settled(source, tarn, "sale")
    assert copied_at(tarn) != first
    goes_on(source, tarn, "sale")


def test_made_as_partitions(source, worker):
    """With rows in the transaction that made them, with defaults on all columns, altered since: followed, and never copied again."""
    source.execute("CREATE TABLE event (id int DEFAULT 1, at int DEFAULT 2, body text DEFAULT 'b', PRIMARY KEY (id, at)) PARTITION BY RANGE (at)")
    source.execute("CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM (0) TO (10); INSERT INTO event VALUES (1, 1, 'one')")
    tarn = worker.tarn(source).start()
    tarn.wait_settled()
    first = copied_at(tarn, "event")
    with source.connection.transaction():
        source.execute("CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM (10) TO (20); INSERT INTO event VALUES (2, 12, 'two')")
        source.execute("CREATE TABLE event_3 PARTITION OF event (CHECK (id > 0), body DEFAULT 'own') FOR VALUES FROM (20) TO (30) PARTITION BY LIST (at)")
        source.execute("CREATE TABLE event_3_any PARTITION OF event_3 DEFAULT; INSERT INTO event VALUES (3, 23, 'three')")
    for partition in ("event_1", "event_2", "event_3_any"):
        source.execute(f"ALTER TABLE {partition} RENAME TO {partition}_old; ALTER TABLE {partition}_old ALTER body SET STORAGE EXTERNAL")
        tarn.wait_settled()
    source.execute("UPDATE event SET body = repeat(body, 1000), at = at + 1")
    tarn.wait_settled()
    assert copied_at(tarn, "event") == first
    assert tarn.verify()["event"]["equal"] and tarn.value("SELECT count(*) FROM event") == 3


@pytest.mark.parametrize("how", ["followed_before", "full", "empty", "detached_and_attached"])
def test_attach(sales, how):
    """Rows that come with a partition are told by no message, whether the lake had them as another table's or not."""
    source, tarn = sales
    first = copied_at(tarn)
    if how == "detached_and_attached":
        with source.connection.transaction():
            source.execute("ALTER TABLE sale DETACH PARTITION sale_north")
            source.execute("DELETE FROM sale_north WHERE id % 2 = 0; UPDATE sale_north SET amount = 9")
            source.execute("ALTER TABLE sale ATTACH PARTITION sale_north FOR VALUES IN ('north', 'arctic')")
        source.execute("UPDATE sale SET note = 'x' WHERE id = 3")
    else:
        create = ["CREATE TABLE sale_west (id int, region text, amount numeric(9,2), note text, PRIMARY KEY (id, region))"]
        if how != "empty":
            create.append("INSERT INTO sale_west SELECT g, 'west', 1, 'w' FROM generate_series(1000, 1100) g")
        attach = "ALTER TABLE sale ATTACH PARTITION sale_west FOR VALUES IN ('west'); INSERT INTO sale VALUES (1200, 'west', 2, 'behind it')"
        if how == "followed_before":
            for statement in create:
                source.execute(statement)
            settled(source, tarn, "sale", "sale_west")
            source.execute("UPDATE sale_west SET amount = 5 WHERE id < 1010")
            source.execute(attach)
        else:
            with source.connection.transaction():
                for statement in create:
                    source.execute(statement)
            source.execute(attach)
    settled(source, tarn, "sale")
    assert copied_at(tarn) != first
    goes_on(source, tarn, "sale")


@pytest.mark.parametrize("partition", ["sale_south", "sale_rest", "sale_rest_low"])
def test_drop(sales, partition):
    """Its rows are gone without a message: copied again, the past has them."""
    source, tarn = sales
    tarn.wait_caught_up()
    before, as_of, first = of_source(source), tarn.value("SELECT current_timestamp::VARCHAR").split("+")[0], copied_at(tarn)
    with source.connection.transaction():
        source.execute("UPDATE sale SET amount = 7 WHERE id < 30")
        source.execute(f"DROP TABLE {partition}")
        source.execute("UPDATE sale SET amount = 8 WHERE id BETWEEN 20 AND 40")
    wait_for(lambda: copied_at(tarn) != first, 30, "a newer copy")
    settled(source, tarn, "sale")
    assert of_lake(tarn, as_of=as_of) == before
    goes_on(source, tarn, "sale")


def test_ddl_while_tarn_is_away(sales):
    """All of it at once, found at the start."""
    source, tarn = sales
    tarn.wait_caught_up()
    before, as_of = of_source(source), tarn.value("SELECT current_timestamp::VARCHAR").split("+")[0]
    tarn.kill()
    source.execute("UPDATE sale SET amount = 7 WHERE id < 30")
    source.execute("ALTER TABLE sale DETACH PARTITION sale_south; DROP TABLE sale_rest_high")
    source.execute("UPDATE sale SET amount = 8 WHERE id BETWEEN 20 AND 40; UPDATE sale_south SET amount = 9 WHERE id BETWEEN 20 AND 40")
    source.execute("CREATE TABLE sale_west PARTITION OF sale FOR VALUES IN ('west'); INSERT INTO sale VALUES (1200, 'west', 2, 'w')")
    tarn.start()
    settled(source, tarn, "sale", "sale_south")
    assert of_lake(tarn, as_of=as_of) == before
    goes_on(source, tarn, "sale", "sale_south")


@pytest.mark.parametrize("statements", [
    ["TRUNCATE sale_south"],
    ["TRUNCATE sale_rest"],
    ["TRUNCATE sale", "INSERT INTO sale VALUES (1, 'south', 2, 'b'), (2, 'north', 3, 'c')", "TRUNCATE sale_south"],
    ["BEGIN", "INSERT INTO sale VALUES (900, 'south', 1, 'gone')", "TRUNCATE sale_south",
     "INSERT INTO sale VALUES (901, 'south', 1, 'a'), (1, 'south', 2, 'b')", "COMMIT"],
    ["CREATE TABLE sale_west PARTITION OF sale FOR VALUES IN ('west')", "INSERT INTO sale VALUES (1200, 'west', 2, 'gone')",
     "TRUNCATE sale_west", "INSERT INTO sale VALUES (1201, 'west', 2, 'w')"],
    ["DO $$ BEGIN EXECUTE (SELECT 'TRUNCATE ' || string_agg(relid::text, ', ') FROM pg_partition_tree('sale') WHERE isleaf); END $$",
     "INSERT INTO sale VALUES (1, 'south', 2, 'b'), (2, 'east', 3, 'c')"]],
    ids=["leaf", "subtree", "behind_the_root", "within_a_transaction", "unseen", "all_at_once"])
@pytest.mark.parametrize("away", [False, True], ids=["running", "away"])
def test_truncate_of_a_partition(sales, statements, away):
    """By its own name it is not published; the catalogue tells it, and the table is copied again."""
    source, tarn = sales
    tarn.wait_settled()
    before, as_of, first = of_source(source), tarn.value("SELECT current_timestamp::VARCHAR").split("+")[0], copied_at(tarn)
    if away:
        tarn.kill()
    for statement in statements:
        source.execute(statement)
    source.execute("UPDATE sale SET amount = 7 WHERE id < 30")
    if away:
        tarn.start()
    wait_for(lambda: copied_at(tarn) != first, 30, "a newer copy")
    settled(source, tarn, "sale")
    assert of_lake(tarn, as_of=as_of) == before
    goes_on(source, tarn, "sale")


def test_truncate(sales):
    """Of the root: followed."""
    source, tarn = sales
    tarn.wait_settled()
    first = copied_at(tarn)
    with source.connection.transaction():
        source.execute("INSERT INTO sale VALUES (900, 'south', 1, 'gone')")
        source.execute("TRUNCATE sale")
        source.execute("INSERT INTO sale VALUES (901, 'south', 1, 'a'), (1, 'south', 2, 'b'), (2, 'east', 3, 'c'), (2000, 'east', 3, 'd')")
    settled(source, tarn, "sale")
    assert copied_at(tarn) == first
    goes_on(source, tarn, "sale")


def test_truncate_with_one_partition(source, worker):
    """In the catalogue, TRUNCATE of the root and of its only partition look the same; the stream tells them apart."""
    source.execute("CREATE TABLE sale (id int PRIMARY KEY, region text, amount numeric(9,2), note text) PARTITION BY RANGE (id)")
    source.execute("CREATE TABLE sale_all PARTITION OF sale DEFAULT")
    source.execute("INSERT INTO sale SELECT g, 'south', 1, 'a' FROM generate_series(1, 30) g")
    tarn = worker.tarn(source).start()
    tarn.wait_settled()
    first = copied_at(tarn)
    source.execute("TRUNCATE sale")
    source.execute("INSERT INTO sale VALUES (1, 'south', 2, 'b')")
    settled(source, tarn, "sale")
    assert copied_at(tarn) == first
    source.execute("TRUNCATE sale_all")
    source.execute("INSERT INTO sale VALUES (2, 'south', 3, 'c')")
    wait_for(lambda: copied_at(tarn) != first, 30, "a newer copy")
    settled(source, tarn, "sale")
    goes_on(source, tarn, "sale")
