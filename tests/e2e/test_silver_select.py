"""models/silver/<table>.sql: what Silver's columns are made of, row by row, at every way that a row comes."""

from __future__ import annotations

import json

import pytest
from psycopg.rows import dict_row

from support.cluster import wait_for

SELECT = """-- What the shop's people are in Silver.
SELECT * EXCLUDE (body, data) REPLACE (trim(name) AS name),
       lower(p.email) AS mail,
       data ->> '$.city' AS city,
       CAST(data ->> '$.age' AS INTEGER) AS age,
       length(body) AS body_length,
       md5(body) AS body_hash,
       price * 2 AS twice,
       date_trunc('day', made) AS day
FROM person p
"""
RULES = "table: person\nrules:\n  - {name: grown, check: age >= 18, explain: children have no account}\n"
COLUMNS = "id, tenant_id, name, email, mail, city, age, body_length, body_hash, CAST(twice AS VARCHAR) AS twice, CAST(day AS VARCHAR) AS day"
OF_SOURCE = ("id, tenant_id, trim(name) AS name, email, lower(email) AS mail, data ->> 'city' AS city, (data ->> 'age')::int AS age, "
             "length(body) AS body_length, md5(body) AS body_hash, (price * 2)::text AS twice, "
             "to_char(date_trunc('day', made AT TIME ZONE 'UTC'), 'YYYY-MM-DD HH24:MI:SS') || '+00' AS day")
GOOD = "WHERE data ->> 'age' ~ '^[0-9]+$' AND (data ->> 'age')::int >= 18"


def write(tarn, select=SELECT, rules=RULES):
    folder = tarn.folder / "models/silver"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "person.sql").write_text(select)
    (folder / "person.yml").write_text(rules)
    tarn.sections["gold"]["models"] = str(tarn.folder / "models")
    tarn.write_config()


def of_source(source, sql: str) -> list[dict]:
    with source.connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(sql).fetchall()


def equal(source, tarn):
    """Silver is what PostgreSQL makes of its rows by expressions of its own."""
    tarn.wait_caught_up()
    rows = of_source(source, f"SELECT {OF_SOURCE} FROM person {GOOD} ORDER BY id")
    assert tarn.query(f"SELECT {COLUMNS} FROM person ORDER BY id") == rows
    assert tarn.value("SELECT count(*) FROM quarantine.person") == source.value("SELECT count(*) FROM person") - len(rows)
    tarn.verify()


def person(key: int, age: str = "30", body: str = "repeat('b', 5000)") -> str:
    return (f"INSERT INTO person VALUES ({key}, {key % 2}, '  Name {key} ', 'Me@{key}.org', '{{\"city\": \"C{key}\", \"age\": \"{age}\"}}', {body}, "
            f"{key}.25, '2026-01-0{key % 9 + 1} 12:30+02')")


@pytest.fixture
def people(source, worker):
    source.execute("CREATE TABLE person (id int PRIMARY KEY, tenant_id int, name text, email text, data jsonb, body text, price numeric(9,2), "
                   "made timestamptz); ALTER TABLE person ALTER body SET STORAGE EXTERNAL, ALTER data SET STORAGE EXTERNAL")
    for key in range(1, 9):
        source.execute(person(key, age="17" if key == 8 else "30"))
    tarn = worker.tarn(source, tenants={"column": "tenant_id"})
    write(tarn)
    return source, tarn


def test_copy_stream_restart_rebuild_and_resync(people):
    source, tarn = people
    tarn.start()
    equal(source, tarn)
    assert list(tarn.query("SELECT * FROM person WHERE id = 1")[0]) == [
        *(name for name in tarn.query("SELECT * FROM person WHERE id = 1")[0] if name.startswith("_hoodie_")), "id", "tenant_id", "name", "email",
        "price", "made", "mail", "city", "age", "body_length", "body_hash", "twice", "day", "_lsn"]
    outcome = tarn.try_query("SELECT _source_body FROM person")
    assert outcome.code == 1 and "_source_body" in outcome.err
    # What updates do not touch stays what it was derived of: in Silver, in quarantine, under another key, for another tenant.
    for sql in ("UPDATE person SET price = price + 1", "UPDATE person SET data = jsonb_set(data, '{age}', '\"12\"') WHERE id IN (1, 2)",
                "UPDATE person SET name = 'x' WHERE id = 1", "UPDATE person SET data = jsonb_set(data, '{age}', '\"40\"') WHERE id IN (1, 8)",
                "UPDATE person SET id = id + 100 WHERE id IN (2, 3)", "UPDATE person SET tenant_id = 1 - tenant_id WHERE id IN (1, 4)",
                "UPDATE person SET body = repeat('c', 4000) WHERE id = 5", "DELETE FROM person WHERE id = 6", person(6)):
        source.execute(sql)
        equal(source, tarn)
    tarn.kill()
    source.execute("UPDATE person SET price = price + 1 WHERE id > 4; UPDATE person SET email = NULL WHERE id = 103")
    tarn.start()
    equal(source, tarn)
    tarn.must("resync", "person")
    source.execute("UPDATE person SET price = price + 1")
    equal(source, tarn)
    tarn.stop()
    before = tarn.table_rows("person"), tarn.table_rows("quarantine.person")
    tarn.must("rebuild")
    assert (tarn.table_rows("person"), tarn.table_rows("quarantine.person")) == before
    tarn.start()
    source.execute("UPDATE person SET price = price + 1")
    equal(source, tarn)
    tarn.stop()
    tarn.check_tables()


@pytest.mark.parametrize("how", ["tail", "pieces"])
def test_before_any_commit_and_in_pieces(people, how):
    source, tarn = people
    tarn.sections["silver"]["commit_interval_ms"] = 60_000 if how == "tail" else 0
    if how == "pieces":
        tarn.sections["source"]["piece_kb"] = 1
    tarn.write_config()
    tarn.start()
    source.execute(person(20) + "; UPDATE person SET price = price + 1; UPDATE person SET data = jsonb_set(data, '{age}', '\"1\"') WHERE id = 4; "
                   "UPDATE person SET price = 1 WHERE id = 4")
    source.execute("UPDATE person SET price = price + 1; UPDATE person SET data = jsonb_set(data, '{age}', '\"21\"') WHERE id = 4")
    rows = tarn.query(f"SELECT {COLUMNS} FROM person ORDER BY id", fresh="now")
    assert rows == of_source(source, f"SELECT {OF_SOURCE} FROM person {GOOD} ORDER BY id")
    assert not any(name.startswith("_source_") for name in tarn.query("SELECT * FROM person LIMIT 1", fresh="now")[0])
    tarn.verify()


def test_what_cannot_be_computed_stands_in_quarantine(people):
    source, tarn = people
    tarn.start()
    source.execute("UPDATE person SET data = jsonb_set(data, '{age}', '\"many\"') WHERE id IN (2, 5)")
    equal(source, tarn)
    shown = json.loads(tarn.must("quarantine", "show", "person", "--key", "id=2", "--json"))["rows"][0]
    assert shown["rule"] == "select" and "'age' cannot be computed" in shown["reason"] and "many" in shown["reason"]
    assert shown["row"]["name"] == "  Name 2 " and len(shown["row"]["body"]) == 5000
    source.execute("INSERT INTO person SELECT g, 1, 'n', 'e', jsonb_build_object('city', 'c', 'age', CASE WHEN g % 3 = 0 THEN 'bad' ELSE '50' END), "
                   "'b', 1, now() FROM generate_series(1000, 2999) g")
    equal(source, tarn)
    source.execute("UPDATE person SET data = jsonb_set(data, '{age}', '\"33\"') WHERE id = 2 OR id > 1500")
    equal(source, tarn)


def test_a_check_that_fails_for_a_row_refuses_it(people):
    source, tarn = people
    write(tarn, select="SELECT * FROM person", rules="table: person\nrules:\n  - {name: grown, check: \"CAST(data ->> '$.age' AS INTEGER) >= 18\"}\n")
    tarn.start()
    source.execute("UPDATE person SET data = jsonb_set(data, '{age}', '\"many\"') WHERE id = 2")
    tarn.wait_caught_up()
    rows = {row["id"]: row for row in tarn.query("SELECT id, _rule, _reason FROM quarantine.person")}
    assert set(rows) == {2, 8} and rows[2]["_rule"] == "grown" and "many" in rows[2]["_reason"]
    tarn.verify()


@pytest.mark.parametrize("select, says", [
    ("SELECT id, tenant_id, nothing FROM person", "nothing"),
    ("SELECT id, tenant_id,\n  max(price) AS m FROM person", "aggregate"),
    ("SELECT id, tenant_id, sum(price) OVER () AS s FROM person", "window functions"),
    ("SELECT id, tenant_id, (SELECT 1) AS s FROM person", "subqueries"),
    ("SELECT p.id, p.tenant_id FROM person p JOIN person q USING (id)", "no joins"),
    ("SELECT id, tenant_id FROM other", "must be the table 'person'"),
    ("SELECT id, tenant_id FROM person WHERE id > 1", "WHERE leaves rows out"),
    ("SELECT DISTINCT id, tenant_id FROM person", "DISTINCT"),
    ("SELECT id + 1 AS id, tenant_id FROM person", "'id' is part of the key"),
    ("SELECT tenant_id, name FROM person", "'id' is part of the key"),
    ("SELECT id, 1 AS tenant_id FROM person", "'tenant_id' is the tenant's"),
    ("SELECT id, tenant_id, upper(name) FROM person", "needs a name"),
    ("SELECT id, tenant_id, name, email AS name FROM person", "two columns 'name'"),
    ("SELECT id, tenant_id, name AS _lsn FROM person", "cannot be named '_lsn'"),
    ("SELECT id, tenant_id, random() AS r FROM person", "random() gives another value"),
    ("SELECT id, tenant_id, now() AS r FROM person", "gives another value"),
    ("SELECT id, tenant_id, [1, 2] AS l FROM person", "of the type INTEGER[]"),
    ("SELECT id, tenant_id, unnest([1, 2]) AS l FROM person", "several rows"),
    ("SELECT id, tenant_id, trim(name AS n FROM person", "line 1"),
    ("DELETE FROM person", "one SELECT"),
])
def test_what_a_select_may_not_have(people, select, says):
    source, tarn = people
    write(tarn, select=select, rules="table: person\n")
    tarn.start(wait=False)
    assert tarn.wait_exit() != 0
    log = tarn.log_tail()
    assert says in log and "person.sql" in log, log


def test_a_changed_select_makes_the_table_anew(people):
    source, tarn = people
    tarn.start()
    source.execute("UPDATE person SET price = price + 1 WHERE id < 4; DELETE FROM person WHERE id = 7")
    equal(source, tarn)
    old = tarn.query("SELECT id, name, age FROM person ORDER BY id")
    tarn.stop()
    write(tarn, select=SELECT.replace("trim(name)", "upper(trim(name))").replace("CAST(data ->> '$.age' AS INTEGER) AS age",
                                                                              "CAST(data ->> '$.age' AS DOUBLE) AS age, 'new' AS more"))
    planned = next(plan for plan in json.loads(tarn.must("plan", "--json"))["silver"] if plan["table"] == "person")
    assert planned["made_anew"] and planned["columns"] == {"added": ["more"], "removed": [], "changed": ["age", "name"]}
    text = tarn.must("plan")
    assert "columns   + more  ~ age  ~ name" in text and "made anew" in text
    # Until then readers have what was there.
    assert tarn.query("SELECT id, name, age FROM person ORDER BY id") == old
    looks = len(list((tarn.lake / "_tarn/bronze/loads").iterdir()))
    tarn.start()
    tarn.wait_caught_up()
    rows = of_source(source, f"SELECT id, upper(trim(name)) AS name, (data ->> 'age')::float AS age, 'new' AS more, md5(body) AS body_hash "
                        f"FROM person {GOOD} ORDER BY id")
    assert tarn.query("SELECT id, name, age, more, body_hash FROM person ORDER BY id") == rows
    tarn.verify()
    source.execute("UPDATE person SET price = price + 1")
    tarn.wait_caught_up()
    assert tarn.query("SELECT id, name, age, more, body_hash FROM person ORDER BY id") == rows
    tarn.verify()
    assert len(list((tarn.lake / "_tarn/bronze/loads").iterdir())) == looks, "Bronze had all that it takes"
    assert "silver.person" not in tarn.must("plan")
    # Without a SELECT it is the source's again; what the SELECT left out is in Bronze.
    tarn.stop()
    (tarn.folder / "models/silver/person.sql").unlink()
    (tarn.folder / "models/silver/person.yml").write_text("table: person\n")
    tarn.start()
    tarn.wait_caught_up()
    assert tarn.query("SELECT id, name, body, email FROM person ORDER BY id") == of_source(source, "SELECT id, name, body, email FROM person ORDER BY id")
    tarn.verify()
    tarn.stop()
    tarn.check_tables()


def test_columns_that_come_and_go(people):
    source, tarn = people
    tarn.start()
    source.execute("ALTER TABLE person ADD extra text DEFAULT 'e'")
    source.execute("UPDATE person SET extra = 'new' WHERE id = 1")
    tarn.wait_settled()
    assert tarn.value("SELECT extra FROM person WHERE id = 1") == "new"
    equal(source, tarn)
    source.execute("ALTER TABLE person DROP body")
    source.execute("UPDATE person SET extra = 'newer' WHERE id = 1")
    wait_for(lambda: tarn.try_query("SELECT * FROM person").code == 1, what="the table held")
    outcome = tarn.try_query("SELECT * FROM person")
    assert outcome.code == 1 and "body" in outcome.err and "person.sql" in outcome.err
    write(tarn, select=SELECT.replace("body, data", "data").replace("length(body)", "0").replace("md5(body)", "''"))
    tarn.stop()
    tarn.start()
    tarn.wait_settled()
    assert tarn.value("SELECT extra FROM person WHERE id = 1") == "newer"
    tarn.verify()


@pytest.mark.parametrize("point", ["silver.load.between_tables", "silver.take_copy.before_changes", "hudi.commit.before_complete"])
def test_a_table_is_made_anew_through_a_crash(people, point):
    source, tarn = people
    write(tarn, select="SELECT * FROM person", rules="table: person\n")
    tarn.start()
    source.execute("UPDATE person SET price = price + 1 WHERE id < 4; DELETE FROM person WHERE id = 7")
    tarn.wait_caught_up()
    tarn.stop()
    source.execute("UPDATE person SET price = price + 1 WHERE id < 6")
    write(tarn)
    tarn.start(wait=False, environment={"TARN_FAULT": point})
    assert tarn.wait_exit() == 137
    tarn.start()
    equal(source, tarn)
    source.execute("UPDATE person SET price = price + 1")
    equal(source, tarn)
    tarn.stop()
    tarn.check_tables()


def test_tables_without_keys(source, worker):
    source.execute("CREATE TABLE entry (word text, n int); ALTER TABLE entry REPLICA IDENTITY FULL; CREATE TABLE person (word text, n int)")
    source.execute("INSERT INTO entry SELECT ' w' || g % 3 || ' ', g % 5 FROM generate_series(1, 60) g; INSERT INTO person SELECT * FROM entry")
    tarn = worker.tarn(source)
    write(tarn, select="SELECT trim(word) AS short, n * 2 AS tenth FROM person", rules="table: person\n")
    (tarn.folder / "models/silver/entry.sql").write_text("SELECT trim(word) AS short, n, CAST(word || n AS VARCHAR) AS joint FROM entry")
    tarn.start()

    def same():
        tarn.wait_caught_up()
        for table, columns in (("entry", "trim(word) AS short, n, word || n AS joint"), ("person", "trim(word) AS short, n * 2 AS tenth")):
            expected = of_source(source, f"SELECT {columns} FROM {table} ORDER BY 1, 2")
            assert tarn.query(f"SELECT {'short, n, joint' if table == 'entry' else 'short, tenth'} FROM {table} ORDER BY 1, 2") == expected
        tarn.verify()
    same()
    source.execute("DELETE FROM entry WHERE ctid IN (SELECT ctid FROM entry WHERE n = 2 LIMIT 5); UPDATE entry SET word = ' x ' WHERE n = 1; "
                   "INSERT INTO entry VALUES (' w1 ', 4), (' w1 ', 4); INSERT INTO person VALUES ('  new', 3)")
    same()
    tarn.stop()
    tarn.must("rebuild")
    tarn.start()
    same()
