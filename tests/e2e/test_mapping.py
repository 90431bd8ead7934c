"""Table mappings: what is dropped is in no file of the lake, what is hashed is there as a hash only, by copy and by stream."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pytest

from support.lake_files import files_with

SECRET = "a secret of this test"
TABLE = """
CREATE TABLE customer (
  id int PRIMARY KEY, tenant_id int NOT NULL, email text, phone bigint, password_hash text, password_salt bytea,
  fullname text, note text)"""
MAPPING = """
[[mapping]]
tables = "public.customer"
drop = ["password*", "note"]
hash = ["email", "phone"]
rename = { fullname = "name" }
"""


def hashed(text: str) -> str:
    return hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()


def insert(source, number: int):
    source.execute("INSERT INTO customer VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                   (number, number % 2, f"e{number}@example.org", 4900000000 + number, f"hidden-password-{number}",
                    f"hidden-salt-{number}".encode(), f"Name {number}", "hidden-note"))


def expected(*numbers: int) -> list[dict]:
    return [{"id": n, "email": hashed(f"e{n}@example.org"), "phone": hashed(str(4900000000 + n)), "name": f"Name {n}"}
            for n in numbers]


def rows(tarn) -> list[dict]:
    return tarn.query("SELECT id, email, phone, name FROM customer ORDER BY id")


def columns(tarn, table: str) -> list[str]:
    return [row["column_name"] for row in tarn.query(f"SELECT column_name FROM (DESCRIBE {table})")
            if not row["column_name"].startswith("_")]


@pytest.fixture
def customers(source, worker, monkeypatch):
    monkeypatch.setenv("TARN_HASH_SECRET", SECRET)
    source.execute(TABLE)
    for number in (1, 2, 3):
        insert(source, number)
    tarn = worker.tarn(source, tenants={"column": "tenant_id"})
    tarn.extra = MAPPING
    tarn.write_config()
    return source, tarn


def test_drop_hash_and_rename(customers):
    source, tarn = customers
    tarn.start()
    insert(source, 4)
    source.execute("UPDATE customer SET password_hash = 'hidden-again', fullname = 'Name 2' WHERE id = 2")
    source.execute("UPDATE customer SET email = 'e30@example.org', phone = 4900000030, fullname = 'Name 30', id = 30 WHERE id = 3")
    source.execute("DELETE FROM customer WHERE id = 1")
    tarn.wait_caught_up()
    assert rows(tarn) == expected(2, 4, 30)
    assert columns(tarn, "silver.customer") == ["id", "tenant_id", "email", "phone", "name"]
    tarn.verify()
    assert tarn.stop() == 0
    assert not files_with(tarn.lake, "hidden-", "e30@example.org", "490000000", SECRET)
    # The check itself finds what is there.
    assert files_with(tarn.lake, hashed("e4@example.org"))
    before = rows(tarn)
    tarn.must("rebuild")
    assert rows(tarn) == before


def test_untouched_toast_values_stay_hashed(customers):
    source, tarn = customers
    source.execute("ALTER TABLE customer ALTER email SET STORAGE EXTERNAL")
    tarn.start()
    long = "x" * 9000
    source.execute("INSERT INTO customer (id, tenant_id, email) VALUES (9, 1, %s)", (long,))
    source.execute("UPDATE customer SET fullname = 'later' WHERE id = 9")
    tarn.wait_caught_up()
    assert tarn.query("SELECT email, name FROM customer WHERE id = 9") == [{"email": hashed(long), "name": "later"}]
    tarn.verify()


def test_a_hashed_key(source, worker, monkeypatch):
    """Rows are told apart by the hash; a change of the key moves the row."""
    monkeypatch.setenv("TARN_HASH_SECRET", SECRET)
    source.execute("CREATE TABLE person (ssn text PRIMARY KEY, name text)")
    source.execute("INSERT INTO person VALUES ('123-45', 'a'), ('678-90', 'b')")
    tarn = worker.tarn(source)
    tarn.extra = '[[mapping]]\ntables = "public.person"\nhash = ["ssn"]\n'
    tarn.write_config()
    tarn.start()
    source.execute("UPDATE person SET ssn = '111-11' WHERE ssn = '123-45'")
    source.execute("DELETE FROM person WHERE ssn = '678-90'")
    source.execute("INSERT INTO person VALUES ('222-22', 'c')")
    tarn.wait_caught_up()
    assert tarn.query("SELECT ssn, name FROM person ORDER BY name") == [
        {"ssn": hashed("111-11"), "name": "a"}, {"ssn": hashed("222-22"), "name": "c"}]
    tarn.verify()
    assert tarn.stop() == 0
    assert not files_with(tarn.lake, "123-45", "111-11", "678-90")


def test_a_changed_mapping_copies_the_table_again(customers):
    """What is dropped later is gone from the present at once; what comes back has its values in old rows, too."""
    source, tarn = customers
    tarn.start()
    tarn.wait_caught_up()
    assert tarn.stop() == 0
    tarn.extra = MAPPING.replace('drop = ["password*", "note"]', 'drop = ["password*", "fullname"]').replace(
        'hash = ["email", "phone"]', 'hash = ["email"]').replace('rename = { fullname = "name" }', "")
    tarn.write_config()
    tarn.start()
    insert(source, 4)
    tarn.wait_status(lambda status: not status["copies"]["wanted"], what="the copy")
    tarn.wait_caught_up()
    found = tarn.query("SELECT id, email, phone, name, note FROM customer ORDER BY id")
    assert found == [{"id": n, "email": hashed(f"e{n}@example.org"), "phone": 4900000000 + n, "name": None, "note": "hidden-note"}
                     for n in (1, 2, 3, 4)]
    tarn.verify()


@pytest.mark.parametrize("mapping,words", [
    ('tables = "public.customer"\nhash = ["emial"]', ["'emial'", "email"]),
    ('tables = "public.custmer"\nhash = ["email"]', ["'public.custmer'"]),
    ('tables = "public.customer"\ndrop = ["id"]', ["'id'", "key"]),
    ('tables = "public.customer"\ndrop = ["tenant*"]', ["'tenant*'", "tenant column"]),
    ('tables = "public.customer"\nrename = { note = "email" }', ["'email'", "taken"]),
    ('tables = "public.customer"\nrename = { note = "_lsn" }', ["'_lsn'", "taken"]),
    ('tables = "public.customer"\nadd = { email = "table" }', ["'email'", "taken"]),
    ('tables = "public.customer"\nadd = { "two words" = "table" }', ["'two words'", "Avro"]),
    ('tables = "public.customer"\nadd = { source = "shop-eu" }', ["'source'", "single quotes", "tarn.toml:"]),
    ('tables = "public.customer"\nadd = { tenant_id = "table" }', ["tenant column"]),
    ('tables = "public.custom*"\ntable_name = "clients"', ["one table", "tarn.toml:"]),
    ('tables = "public.customer"\ntable_name = "My Clients"', ["'My Clients'", "tarn.toml:"]),
    ('tables = "public.customer"\ndorp = ["note"]', ["'dorp'", "drop"]),
    ('tables = "public.customer"', ["filter, drop, hash, rename, add or table_name"]),
])
def test_mistakes_are_named_before_anything_is_copied(customers, mapping, words):
    source, tarn = customers
    tarn.extra = f"[[mapping]]\n{mapping}\n"
    tarn.write_config()
    for command in (["check"], ["run", "--until", source.mark()]):
        outcome = tarn.command(*command)
        assert outcome.code != 0, outcome.text
        for word in words:
            assert word in outcome.text, outcome.text
    assert not list(tarn.lake.rglob("*.parquet"))


def test_hashes_need_a_secret(customers, monkeypatch):
    _, tarn = customers
    monkeypatch.delenv("TARN_HASH_SECRET")
    outcome = tarn.command("check")
    assert outcome.code != 0 and "hash_secret_file" in outcome.text
