"""What DDL does to a followed table is in the lake, too: followed where messages tell it, copied again where they do not."""

from __future__ import annotations

import json
import signal
import threading

import pytest

from support.cluster import wait_for


@pytest.fixture
def goods(source, worker):
    """A followed table of 400 rows, and one beside it that nothing happens to."""
    source.execute("CREATE TABLE goods (id int PRIMARY KEY, label varchar(20), price numeric(8,2), stock int, "
                   "net cidr DEFAULT '10.1.0.0/16', worth numeric(12,2) GENERATED ALWAYS AS (id * 2.5) STORED)")
    source.execute("INSERT INTO goods SELECT g, 'good ' || g, g / 4.0, g FROM generate_series(1, 400) g")
    source.execute("CREATE TABLE other (id int PRIMARY KEY, v int)")
    source.execute("INSERT INTO other SELECT g, g FROM generate_series(1, 50) g")
    return source, worker.tarn(source).start()


def texts(rows) -> list[list]:
    return [[None if v is None else str(v) for v in row] for row in rows]


def settled(source, tarn, table: str, columns: str, lake: str | None = None, lake_columns: str | None = None):
    """Waits until no copy is due any more, then compares the table with the source, and everything by verify."""
    expected = texts(source.execute(f"SELECT {columns} FROM {table} ORDER BY 1"))

    def equal():
        tarn.wait_settled()
        got = tarn.try_query(f"SELECT {lake_columns or columns} FROM {lake or table} ORDER BY 1")
        return got.code == 0 and texts(json.loads(line).values() for line in got.out.splitlines()) == expected

    wait_for(equal, 60, f"{table} to be as the source has it", every=0.2)
    tarn.verify()


def copies(tarn, table: str = "goods") -> str:
    return tarn.status()["tables"][table]["copied_at"]


@pytest.mark.parametrize("ddl,columns", [
    ("ADD COLUMN made date DEFAULT '2026-01-31'", "id, label, price, made"),
    ("ADD COLUMN token uuid DEFAULT gen_random_uuid()", "id, token"),
    ("ADD COLUMN number bigserial NOT NULL", "id, number"),
    ("ADD COLUMN flag bool NOT NULL DEFAULT true; ALTER TABLE goods ALTER COLUMN flag DROP DEFAULT", "id, flag"),
    ("ALTER COLUMN price TYPE numeric(12,3)", "id, price"),
    ("ALTER COLUMN stock TYPE text", "id, stock"),
    ("ALTER COLUMN stock TYPE bigint", "id, stock"),
    ("ALTER COLUMN stock TYPE int USING stock * 10", "id, stock"),
    ("ALTER COLUMN label TYPE varchar(3) USING left(label, 3)", "id, label"),
    ("ALTER COLUMN net TYPE inet", "id, net::text"),
    ("ALTER COLUMN worth DROP EXPRESSION", "id, worth"),
    ("DROP COLUMN stock, ADD COLUMN stock int", "id, stock"),
    ("DROP COLUMN stock, ADD COLUMN stock jsonb DEFAULT '{\"n\": 1}'", "id, stock::text")],
    ids=["constant-default", "volatile-default", "serial", "django", "decimal", "retype", "widen", "using", "narrow", "cidr-inet", "generated", "again", "again-other"])
@pytest.mark.parametrize("quiet", [False, True], ids=["busy", "quiet"])
def test_ddl_that_fills_or_changes_rows(goods, ddl, columns, quiet):
    """No message tells what such DDL does to the rows that are there: the table is copied again, by itself."""
    source, tarn = goods
    first = copies(tarn)
    with source.connection.transaction():
        source.execute("UPDATE goods SET price = price + 1 WHERE id < 10")
        source.execute("ALTER TABLE goods " + ddl)
        if not quiet:  # Then the stream tells that the columns changed; else the catalogue is all there is.
            source.execute("UPDATE goods SET price = price + 1 WHERE id BETWEEN 5 AND 20")
            if "NOT NULL DEFAULT true" not in ddl:
                source.execute("INSERT INTO goods (id, label) VALUES (900, 'new')")
    source.execute("UPDATE other SET v = v + 1")
    wait_for(lambda: copies(tarn) != first, 60, "a newer copy")
    settled(source, tarn, "goods", columns)
    # And it goes on being followed, from Bronze alone, too.
    source.execute("DELETE FROM goods WHERE id % 7 = 0; UPDATE goods SET label = NULL WHERE id % 11 = 0")
    settled(source, tarn, "goods", columns)
    assert tarn.stop() == 0
    assert tarn.command("rebuild").code == 0
    settled(source, tarn.start(), "goods", columns)


@pytest.mark.parametrize("ddl,columns,lake_columns", [
    ("ADD COLUMN note text", "id, note", None),
    ("ALTER COLUMN label TYPE varchar(40)", "id, label", None),
    ("ALTER COLUMN label TYPE text", "id, label", None),
    ("RENAME COLUMN label TO title", "id, title", "id, label"),
    ("RENAME TO wares", "id, label", None),
    ("DROP COLUMN stock", "id, label, price", None),
    ("ALTER COLUMN label SET NOT NULL", "id, label", None)],
    ids=["add", "longer", "text", "rename-column", "rename-table", "drop", "not-null"])
def test_ddl_that_is_followed(goods, ddl, columns, lake_columns):
    """Nothing is copied where the messages tell everything; the lake keeps its names, through a restart as well."""
    source, tarn = goods
    first = copies(tarn)
    source.execute("ALTER TABLE goods " + ddl)
    table = "wares" if "wares" in ddl else "goods"
    for step in range(2):
        source.execute(f"UPDATE {table} SET price = price + 1 WHERE id BETWEEN 5 AND 20")
        source.execute(f"INSERT INTO {table} ({columns}) SELECT {900 + step}, {', '.join(['NULL'] * columns.count(','))}"
                       if "NOT NULL" not in ddl else f"INSERT INTO {table} (id, label) VALUES ({900 + step}, 'x')")
        settled(source, tarn, table, columns, "goods", lake_columns)
        assert copies(tarn) == first
        assert tarn.stop() == 0
        tarn.start()


@pytest.mark.parametrize("rewrite", ["VACUUM FULL goods", "CLUSTER goods USING goods_pkey", "TRUNCATE goods"], ids=["vacuum", "cluster", "truncate"])
def test_a_column_added_behind_a_rewrite_that_changed_no_column(goods, rewrite):
    """Once the watch saw that the storage is another and the columns are the same, a new column needs no copy."""
    source, tarn = goods
    first = copies(tarn)
    source.execute(rewrite)
    looks = tarn.wait_caught_up()["source"]["looks"]
    tarn.wait_status(lambda status: status["source"]["looks"] > looks + 2, what="some looks at the catalogue")
    source.execute("ALTER TABLE goods ADD COLUMN note text; INSERT INTO goods (id, note) VALUES (1001, 'new')")
    settled(source, tarn, "goods", "id, note")
    assert copies(tarn) == first
    # While one that no look came before could be the trace of anything.
    source.execute("ALTER TABLE goods ADD COLUMN number bigserial NOT NULL; INSERT INTO goods (id) VALUES (1002)")
    settled(source, tarn, "goods", "id, note, number")
    assert copies(tarn) != first


def test_tables_rewritten_while_the_catalogue_is_read(source, worker):
    """What a look at the catalogue tells is as of one moment: DDL that comes in the midst of it is seen by the next one."""
    source.execute("CREATE TYPE size AS ENUM ('small', 'large')")
    columns = ", ".join(f"c{number} size" for number in range(80))
    for number in range(250):  # Types of one's own make the look last until it comes to the tables behind.
        source.execute(f"CREATE TABLE other{number} ({columns})")
    tables = [f"t{number}" for number in range(12)]
    for table in tables:
        source.execute(f"CREATE TABLE {table} (id int PRIMARY KEY); INSERT INTO {table} SELECT g FROM generate_series(1, 5) g")
    # The first look is the one that the server's caches, still empty, do not keep from seeing the present.
    tarn = worker.tarn(source, tables={"include": ["public.t*"]}).start(wait=False)
    wait_for(lambda: source.value("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '%watch%' AND query LIKE '%c.relreplident%'"), every=0.001)
    for table in tables:
        source.execute(f"ALTER TABLE {table} ADD COLUMN token uuid DEFAULT gen_random_uuid()")
    tarn.wait_settled()
    for table in tables:
        sql = f"SELECT id, token FROM {table} ORDER BY 1"
        assert texts(row.values() for row in tarn.query(sql)) == texts(source.execute(sql)), table


def test_a_table_that_is_gone_before_it_could_be_copied(goods):
    """Nothing waits for its copy any longer."""
    source, tarn = goods
    blocker = source.connect(autocommit=False)
    blocker.execute("CREATE TABLE passing (id int PRIMARY KEY)")
    tarn.process.send_signal(signal.SIGSTOP)
    blocker.commit()
    blocker.execute("LOCK TABLE passing IN ACCESS EXCLUSIVE MODE")
    tarn.process.send_signal(signal.SIGCONT)
    tarn.wait_status(lambda status: "passing" in status["copies"]["wanted"], what="its copy to be wanted")
    blocker.execute("DROP TABLE passing")
    blocker.commit()
    settled(source, tarn, "goods", "id, label")
    assert "passing" not in tarn.status()["tables"]


def test_several_columns_added_while_tarn_is_away(goods):
    """The stream tells of one after the other when the catalogue has all of them already."""
    source, tarn = goods
    first = copies(tarn)
    assert tarn.stop() == 0
    for number in range(3):
        source.execute(f"ALTER TABLE goods ADD COLUMN c{number} int; UPDATE goods SET c{number} = id WHERE id % 3 = {number}")
    tarn.start()
    settled(source, tarn, "goods", "id, c0, c1, c2")
    assert copies(tarn) == first
    # One that nothing was written to since is not in the lake yet, and makes no difference.
    source.execute("ALTER TABLE goods ADD COLUMN quiet numeric(9,2), ADD COLUMN silent timestamptz, ADD COLUMN still text[]")
    tarn.verify()


def test_a_held_table_says_why(goods):
    """Until the new copy is there, statements fail with the reason and do not answer with what may be wrong; others go on."""
    source, tarn = goods
    blocker = source.connect(autocommit=False)
    blocker.execute("UPDATE other SET v = 0 WHERE id = 1")  # An open transaction keeps a snapshot from being made.
    source.execute("ALTER TABLE goods ADD COLUMN made date DEFAULT '2026-01-31'")
    source.execute("UPDATE goods SET stock = 0 WHERE id = 1; INSERT INTO other VALUES (100, 100)")
    wait_for(lambda: "added with a default" in tarn.try_query("SELECT made FROM goods").text, 30, "the reason")
    wait_for(lambda: tarn.value("SELECT count(*) FROM other") == 51, 30, "the other table to go on")
    assert "added with a default" in tarn.must("tables")
    # A verification needs a snapshot, which waits for the open transaction, too.
    threading.Timer(1, blocker.rollback).start()
    outcome = tarn.command("verify", "--json")
    results = {table["table"]: table for table in json.loads(outcome.out)["tables"]}
    assert results["other"]["equal"]
    if outcome.code == 3:  # Otherwise the copy was quicker.
        assert "added with a default" in results["goods"]["held"]
    blocker.close()
    settled(source, tarn, "goods", "id, stock, made")


def test_a_table_made_again(goods):
    """A table that is dropped and made again under its name, with other columns, is copied; its history stays."""
    source, tarn = goods
    tarn.wait_caught_up()
    before = tarn.value("SELECT current_timestamp::VARCHAR")
    first = copies(tarn)
    with source.connection.transaction():
        source.execute("DROP TABLE goods")
        source.execute("CREATE TABLE goods (label int, id int PRIMARY KEY, extra text)")
        source.execute("INSERT INTO goods VALUES (1, 1, 'a'), (2, 2, 'b')")
    source.execute("INSERT INTO goods VALUES (3, 3, 'c')")
    wait_for(lambda: copies(tarn) != first, 60, "a newer copy")
    settled(source, tarn, "goods", "id, label, extra")
    source.execute("UPDATE goods SET extra = 'changed' WHERE id = 3")
    settled(source, tarn, "goods", "id, label, extra")
    assert tarn.value("SELECT count(*) FROM goods WHERE label = 'good 7'", as_of=before.split("+")[0]) == 1
    # Dropped for good: the lake keeps what it has.
    source.execute("DROP TABLE goods")
    tarn.wait_status(lambda status: "goods" in status["gone"], what="the table to be gone")
    assert tarn.value("SELECT count(*) FROM goods") == 3


def test_a_dropped_table_stays_readable(goods):
    """As it was, also behind a restart; other tables go on."""
    source, tarn = goods
    source.execute("UPDATE goods SET stock = 0 WHERE id = 1")
    tarn.wait_caught_up()
    source.execute("DROP TABLE goods")
    for number in (51, 52):
        source.execute("INSERT INTO other VALUES (%s, 0)", (number,))
        tarn.wait_caught_up()
        assert tarn.value("SELECT count(*) FROM other") == number
        assert tarn.query("SELECT count(*) AS n, sum(stock)::BIGINT AS s FROM goods") == [{"n": 400, "s": 400 * 401 // 2 - 1}]
        assert tarn.stop() == 0
        assert tarn.value("SELECT count(*) FROM goods") == 400
        tarn.start()
    tarn.verify()


def test_another_key(goods):
    """A Hudi table cannot change its key: the table is held with what to do, and nothing is lost."""
    source, tarn = goods
    source.execute("ALTER TABLE goods DROP CONSTRAINT goods_pkey, ALTER COLUMN label SET NOT NULL, ADD PRIMARY KEY (label)")
    source.execute("UPDATE goods SET stock = 1 WHERE id = 1; UPDATE other SET v = 7")
    wait_for(lambda: "no longer what the source has (key: label)" in tarn.try_query("SELECT * FROM goods").text, 60, "the reason")
    assert tarn.value("SELECT count(*) FROM other WHERE v = 7") == 50
    # It is not copied over and over, nor is a stop and start the end of what is known about it.
    for _ in range(2):
        loads = len(list((tarn.lake / "_tarn/bronze/loads").glob("goods*")))
        source.execute("UPDATE goods SET stock = stock + 1 WHERE id < 5; UPDATE other SET v = v + 1")
        tarn.wait_caught_up()
        looks = tarn.status()["source"]["looks"]
        tarn.wait_status(lambda status: status["source"]["looks"] > looks + 3, what="some looks at the catalogue")
        assert len(list((tarn.lake / "_tarn/bronze/loads").glob("goods*"))) <= loads + 1
        assert "no longer what the source has" in tarn.try_query("SELECT * FROM goods").text
        assert tarn.stop() == 0
        tarn.start()


def test_new_tables_while_running(goods):
    """Tables that appear are copied and followed, without a change lost between; others are not disturbed."""
    source, tarn = goods
    stop = threading.Event()

    def write():
        number = 0
        with source.connect() as connection:
            while not stop.is_set():
                number += 1
                connection.execute("INSERT INTO fresh VALUES (%s, 'x')", [1000 + number])
                connection.execute("UPDATE fresh SET v = %s WHERE id = %s", [f"y{number}", number % 500])
                connection.execute("UPDATE other SET v = v + 1 WHERE id = %s", [number % 50 + 1])

    with source.connection.transaction():
        source.execute("CREATE TABLE fresh (id int PRIMARY KEY, v text)")
        source.execute("INSERT INTO fresh SELECT g, 'v' || g FROM generate_series(1, 500) g")
    writer = threading.Thread(target=write)
    writer.start()
    try:
        tarn.wait_status(lambda status: "copied_at" in status["tables"].get("fresh", {}), what="the new table")
    finally:
        stop.set()
        writer.join()
    settled(source, tarn, "fresh", "id, v")
    tarn.kill()
    source.execute("DELETE FROM fresh WHERE id < 100")
    settled(source, tarn.start(), "fresh", "id, v")


def test_change_inside_a_transaction(goods):
    """A column that comes in mid-transaction, rows before and after it, and another table between."""
    source, tarn = goods
    with source.connection.transaction():
        source.execute("UPDATE goods SET stock = -1 WHERE id = 1")
        source.execute("ALTER TABLE goods ADD COLUMN note text")
        source.execute("UPDATE other SET v = -1 WHERE id = 1")
        source.execute("UPDATE goods SET note = 'n' WHERE id < 4")
        source.execute("ALTER TABLE goods RENAME COLUMN note TO remark")
        source.execute("UPDATE goods SET remark = 'r' WHERE id = 1")
    settled(source, tarn, "goods", "id, stock, remark")


def test_enum_and_domain(source, worker):
    """A value added to an enum, an enum made of a text, a domain over a domain."""
    source.execute("CREATE TYPE mood AS ENUM ('calm', 'merry')")
    source.execute("CREATE DOMAIN small AS int CHECK (VALUE < 1000); CREATE DOMAIN tiny AS small CHECK (VALUE < 100)")
    source.execute("CREATE TABLE person (id int PRIMARY KEY, feels mood, size tiny, said text)")
    source.execute("INSERT INTO person VALUES (1, 'calm', 5, 'calm')")
    tarn = worker.tarn(source).start()
    source.execute("ALTER TYPE mood ADD VALUE 'sad'")
    source.execute("INSERT INTO person VALUES (2, 'sad', 99, 'merry')")
    settled(source, tarn, "person", "id, feels, size, said")
    source.execute("ALTER TABLE person ALTER COLUMN said TYPE mood USING said::mood")
    source.execute("INSERT INTO person VALUES (3, 'merry', 1, 'sad')")
    settled(source, tarn, "person", "id, feels, size, said")


def test_ddl_between_the_look_at_the_catalogue_and_the_first_copy(source, worker):
    """A start describes the tables, then makes the slot and the snapshot, which wait for transactions that are open."""
    source.execute("CREATE TABLE wider (id int PRIMARY KEY, v int); CREATE TABLE swapped (id int PRIMARY KEY, a int, b int)")
    source.execute("CREATE TABLE narrower (id int PRIMARY KEY, v int); CREATE TABLE retyped (id int PRIMARY KEY, v text)")
    source.execute("CREATE TABLE gone (id int PRIMARY KEY, v int); CREATE TABLE again (id int PRIMARY KEY, v int)")
    for table in ("wider", "narrower", "retyped", "gone", "again"):
        source.execute(f"INSERT INTO {table} SELECT g, g FROM generate_series(1, 40) g")
    source.execute("INSERT INTO swapped SELECT g, g, -g FROM generate_series(1, 40) g")
    tarn = worker.tarn(source)
    with source.connect() as open_one:
        open_one.execute("BEGIN")
        open_one.execute("SELECT pg_current_xact_id()")
        tarn.start(wait=False)
        wait_for(lambda: source.execute("SELECT 1 FROM pg_stat_activity WHERE application_name = 'tarn set-up' AND query ~ '^CREATE_REPLICATION_SLOT'"),
                 30, "the slot to be under way")
        source.execute("ALTER TABLE wider ADD COLUMN w text; UPDATE wider SET w = 'w' || id; INSERT INTO wider VALUES (41, 41, 'w41')")
        source.execute("ALTER TABLE swapped RENAME a TO c; ALTER TABLE swapped RENAME b TO a; ALTER TABLE swapped RENAME c TO b")
        source.execute("ALTER TABLE narrower DROP COLUMN v; ALTER TABLE retyped ALTER v TYPE int USING v::int * 2; DROP TABLE gone")
        source.execute("DROP TABLE again; CREATE TABLE again (id int PRIMARY KEY, u text); INSERT INTO again VALUES (1, 'one')")
        open_one.execute("COMMIT")
    tarn.wait_streaming()
    settled(source, tarn, "wider", "id, v, w")
    settled(source, tarn, "narrower", "id")
    settled(source, tarn, "retyped", "id, v")
    settled(source, tarn, "again", "id, u")
    settled(source, tarn, "swapped", "id, a, b")
    source.execute("INSERT INTO wider VALUES (42, 42, 'w42'); INSERT INTO again VALUES (2, 'two'); INSERT INTO swapped (id, a, b) VALUES (41, -41, 41)")
    settled(source, tarn, "wider", "id, v, w")
    settled(source, tarn, "again", "id, u")
    settled(source, tarn, "swapped", "id, a, b")
    assert tarn.stop() == 0
    tarn.start()
    settled(source, tarn, "again", "id, u")
