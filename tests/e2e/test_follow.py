"""Silver follows the source through everything an application does to its tables."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest


@pytest.fixture
def accounts(source, worker):
    """A source with three tables, one of them empty, followed by a running tarn."""
    source.execute("CREATE TABLE account (id int PRIMARY KEY, owner text, balance numeric(12,2))")
    source.execute("CREATE TABLE entry (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account int, amount numeric(12,2))")
    source.execute("CREATE TABLE nothing (id int PRIMARY KEY, v text)")
    source.execute("INSERT INTO account SELECT g, 'owner ' || g, g * 1.25 FROM generate_series(1, 500) g")
    source.execute("INSERT INTO entry (account, amount) SELECT g % 500 + 1, g / 7.0 FROM generate_series(1, 2000) g")
    return source, worker.tarn(source).start()


def same(source, tarn, table: str, columns: str):
    """The rows as `tarn query` gives them are the source's."""
    expected = [[None if v is None else str(v) for v in row] for row in
                source.execute(f"SELECT {columns} FROM {table} ORDER BY 1")]
    got = [[None if v is None else str(v) for v in row.values()] for row in
           tarn.query(f"SELECT {columns} FROM {table} ORDER BY 1")]
    assert got == expected


def test_first_copy(accounts):
    """What was there before tarn is in Silver, an empty table too."""
    source, tarn = accounts
    same(source, tarn, "account", "id, owner, balance")
    same(source, tarn, "entry", "id, account, amount")
    assert tarn.value("SELECT count(*) FROM nothing") == 0
    assert [t["equal"] for t in tarn.verify().values()] == [True, True, True]


def test_insert_update_delete(accounts):
    """Every kind of change arrives; a table that was empty gets its first rows."""
    source, tarn = accounts
    source.execute("INSERT INTO account VALUES (1000, 'new', 1), (1001, NULL, NULL)")
    source.execute("UPDATE account SET balance = balance + 0.01 WHERE id % 2 = 0")
    source.execute("UPDATE account SET owner = NULL WHERE id = 4")
    source.execute("DELETE FROM account WHERE id % 10 = 0")
    source.execute("INSERT INTO nothing VALUES (1, 'first')")
    tarn.wait_caught_up()
    for table, columns in (("account", "id, owner, balance"), ("nothing", "id, v")):
        same(source, tarn, table, columns)
    # Deleted, and then there again with another image; inserted and deleted in one transaction.
    with source.connection.transaction():
        source.execute("INSERT INTO account VALUES (10, 'again', 10), (2000, 'never seen', 1)")
        source.execute("DELETE FROM account WHERE id = 2000")
    source.execute("DELETE FROM nothing")
    tarn.wait_caught_up()
    same(source, tarn, "account", "id, owner, balance")
    assert tarn.value("SELECT count(*) FROM nothing") == 0
    tarn.verify()


def test_key_changes(accounts):
    """An UPDATE of the key moves the row; a chain and a swap of keys in one transaction end right."""
    source, tarn = accounts
    source.execute("UPDATE account SET id = 5000 WHERE id = 5")
    with source.connection.transaction():
        source.execute("UPDATE account SET id = 6000 WHERE id = 6")
        source.execute("UPDATE account SET id = 6001, owner = 'twice' WHERE id = 6000")
    with source.connection.transaction():  # 7 and 8 change places.
        source.execute("UPDATE account SET id = -1 WHERE id = 7")
        source.execute("UPDATE account SET id = 7 WHERE id = 8")
        source.execute("UPDATE account SET id = 8 WHERE id = -1")
    with source.connection.transaction():  # A key that somebody else takes at once.
        source.execute("UPDATE account SET id = 9000 WHERE id = 9")
        source.execute("INSERT INTO account VALUES (9, 'heir', 0)")
    source.execute("UPDATE account SET id = id + 100000 WHERE id BETWEEN 400 AND 500")
    tarn.wait_caught_up()
    same(source, tarn, "account", "id, owner, balance")
    tarn.verify()


def test_truncate(accounts):
    """TRUNCATE empties; rows before and after it in the same transaction are right, and so is a second table with it."""
    source, tarn = accounts
    source.execute("TRUNCATE entry")
    tarn.wait_caught_up()
    assert tarn.value("SELECT count(*) FROM entry") == 0
    with source.connection.transaction():
        source.execute("INSERT INTO account VALUES (3000, 'before', 1)")
        source.execute("TRUNCATE account, entry")
        source.execute("INSERT INTO account VALUES (1, 'after', 1), (3001, 'after', 2)")
        source.execute("INSERT INTO entry (account, amount) VALUES (1, 1)")
    source.execute("UPDATE account SET balance = 7 WHERE id = 1")
    tarn.wait_caught_up()
    same(source, tarn, "account", "id, owner, balance")
    same(source, tarn, "entry", "id, account, amount")
    tarn.verify()


def test_transactions(accounts):
    """Rolled-back work never shows, whatever the nesting; a commit shows in all its tables at once."""
    source, tarn = accounts
    with source.connect(autocommit=False) as connection:
        connection.execute("INSERT INTO account VALUES (7000, 'rolled back', 1)")
        connection.rollback()
        connection.execute("INSERT INTO account VALUES (7001, 'kept', 1)")
        connection.execute("SAVEPOINT a")
        connection.execute("INSERT INTO account VALUES (7002, 'dropped', 1)")
        connection.execute("UPDATE account SET owner = 'dropped' WHERE id = 7001")
        connection.execute("SAVEPOINT b")
        connection.execute("DELETE FROM account WHERE id = 1")
        connection.execute("ROLLBACK TO a")
        connection.execute("INSERT INTO entry (account, amount) VALUES (7001, 5)")
        connection.execute("RELEASE a")
        connection.commit()
    tarn.wait_caught_up()
    same(source, tarn, "account", "id, owner, balance")
    for turn in range(15):  # Both sides of a transfer are always there, and its entry with them.
        with source.connection.transaction():
            source.execute("UPDATE account SET balance = balance - 1 WHERE id = %s", (turn + 20,))
            source.execute("INSERT INTO entry (account, amount) VALUES (%s, -1000000)", (turn + 20,))
            source.execute("UPDATE account SET balance = balance + 2 WHERE id = %s", (turn + 60,))
        row, = tarn.query("SELECT (SELECT sum(balance) FROM account) - (SELECT count(*) FROM entry WHERE amount = -1000000)"
                          " AS total")
        assert float(row["total"]) == float(source.value("SELECT sum(balance) FROM account")) - turn - 1
    tarn.verify()


def test_large_transaction(accounts):
    """A transaction that PostgreSQL streams before its end (over logical_decoding_work_mem), one kept, one rolled back."""
    source, tarn = accounts
    with source.connect(autocommit=False) as connection:
        connection.execute("INSERT INTO account SELECT g, repeat('x', 100), 1 FROM generate_series(100001, 160000) g")
        connection.execute("UPDATE account SET balance = 2 WHERE id > 130000")
        connection.execute("SAVEPOINT a")
        connection.execute("DELETE FROM account WHERE id > 100500")
        connection.execute("ROLLBACK TO a")
        connection.execute("DELETE FROM account WHERE id > 150000")
        connection.commit()
        connection.execute("INSERT INTO account SELECT g, repeat('y', 100), 1 FROM generate_series(200001, 260000) g")
        connection.rollback()
    tarn.wait_caught_up()
    assert tarn.value("SELECT count(*) FROM account") == source.value("SELECT count(*) FROM account")
    tarn.verify()


def incompressible(rng: random.Random, length: int = 20_000) -> str:
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=length))


def test_unchanged_toast(source, worker, seed):
    """A large value that an update does not touch keeps its value, though the stream does not carry it."""
    rng = random.Random(seed)
    source.execute("CREATE TABLE doc (id int PRIMARY KEY, n int, body text, extra text)")
    source.execute("ALTER TABLE doc ALTER body SET STORAGE EXTERNAL, ALTER extra SET STORAGE EXTERNAL")
    for i in range(1, 13):
        source.execute("INSERT INTO doc VALUES (%s, 0, %s, %s)", (i, incompressible(rng), incompressible(rng)))
    tarn = worker.tarn(source).start()
    source.execute("UPDATE doc SET n = 1 WHERE id = 1")
    with source.connection.transaction():  # Twice in one transaction.
        source.execute("UPDATE doc SET n = 1 WHERE id = 2")
        source.execute("UPDATE doc SET n = 2 WHERE id = 2")
    with source.connection.transaction():  # One column new, the other untouched, then the reverse.
        source.execute("UPDATE doc SET body = %s WHERE id = 3", (incompressible(rng),))
        source.execute("UPDATE doc SET extra = %s WHERE id = 3", (incompressible(rng),))
    source.execute("UPDATE doc SET id = 104 WHERE id = 4")
    with source.connection.transaction():  # Twice another key, and then once more.
        source.execute("UPDATE doc SET id = 105 WHERE id = 5")
        source.execute("UPDATE doc SET id = 205 WHERE id = 105")
        source.execute("UPDATE doc SET n = 9 WHERE id = 205")
    with source.connection.transaction():  # Gone and there again: nothing of the old row may come back.
        source.execute("DELETE FROM doc WHERE id = 6")
        source.execute("INSERT INTO doc VALUES (6, 1, %s, NULL)", (incompressible(rng),))
        source.execute("UPDATE doc SET n = 2 WHERE id = 6")
    source.execute("UPDATE doc SET body = NULL WHERE id = 7")
    source.execute("UPDATE doc SET n = 5 WHERE id = 7")
    with source.connection.transaction():  # Inserted and at once updated.
        source.execute("INSERT INTO doc VALUES (20, 0, %s, %s)", (incompressible(rng), incompressible(rng)))
        source.execute("UPDATE doc SET n = 1 WHERE id = 20")
    with source.connection.transaction():  # A key that goes to another row, whose values were not touched either.
        source.execute("UPDATE doc SET id = 108 WHERE id = 8")
        source.execute("UPDATE doc SET id = 8 WHERE id = 9")
    tarn.wait_caught_up()
    source.execute("UPDATE doc SET n = n + 100")
    tarn.wait_caught_up()
    same(source, tarn, "doc", "id, n, md5(body) AS body, md5(extra) AS extra")
    tarn.verify()


def test_added_column(accounts):
    """A nullable column that comes while tarn runs: NULL in the rows that were there, values from then on."""
    source, tarn = accounts
    source.execute("ALTER TABLE account ADD COLUMN note text, ADD COLUMN level int")
    source.execute("UPDATE account SET note = 'seen', level = id WHERE id < 10")
    source.execute("INSERT INTO account VALUES (8000, 'with', 1, 'a note', 3)")
    tarn.wait_caught_up()
    same(source, tarn, "account", "id, owner, balance, note, level")
    tarn.verify()
    assert tarn.stop() == 0
    source.execute("ALTER TABLE account ADD COLUMN later date")
    source.execute("UPDATE account SET later = '2026-02-28' WHERE id = 3")
    tarn.start().wait_caught_up()
    same(source, tarn, "account", "id, owner, balance, note, level, later")
    tarn.verify()


def test_dropped_column(accounts):
    """A column that the source drops stays in Silver, NULL in the rows that change later; the table goes on."""
    source, tarn = accounts
    source.execute("ALTER TABLE account DROP COLUMN owner")
    source.execute("UPDATE account SET balance = 1 WHERE id = 1")
    tarn.wait_caught_up()
    rows = tarn.query("SELECT id, owner, balance FROM account WHERE id IN (1, 2) ORDER BY id")
    assert rows == [{"id": 1, "owner": None, "balance": "1.00"}, {"id": 2, "owner": "owner 2", "balance": "2.50"}]
    tarn.verify()


def test_verify_beside_truncate(accounts):
    """`tarn verify` is right about a source that empties tables meanwhile."""
    source, tarn = accounts
    stop = threading.Event()

    def truncate():
        with source.connect() as connection:
            connection.execute("SET lock_timeout = '15s'")
            while not stop.is_set():
                connection.execute("TRUNCATE nothing")
                connection.execute("INSERT INTO nothing SELECT g, 'v' FROM generate_series(1, 20) g")
                stop.wait(0.03)

    with ThreadPoolExecutor(1) as pool:
        truncating = pool.submit(truncate)
        try:
            for _ in range(8):
                tarn.verify()
        finally:
            stop.set()
            truncating.result()  # No statement of the source waited for long.
