"""ALTER TYPE changes the text of values without a change of any row: the tables that have them are copied again."""

from __future__ import annotations

import json

import pytest
from support.cluster import wait_for

TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'ok', 'fine');
CREATE TYPE pair AS (n int, t text);
CREATE DOMAIN good_mood AS mood CHECK (VALUE <> 'sad');
CREATE TYPE nest AS (m good_mood, p pair);
CREATE TABLE plain (id int PRIMARY KEY, v text);
CREATE TABLE moods (id int PRIMARY KEY, v mood);
CREATE TABLE arrays (id int PRIMARY KEY, v good_mood[]);
CREATE TABLE nests (id int PRIMARY KEY, v nest);
CREATE TABLE pairs (id int PRIMARY KEY, v pair[]);
INSERT INTO plain VALUES (1, 'ok'), (2, NULL);
INSERT INTO moods VALUES (1, 'ok'), (2, NULL);
INSERT INTO arrays VALUES (1, '{ok,fine}'), (2, NULL);
INSERT INTO nests VALUES (1, '(ok,"(1,x)")'), (2, NULL);
INSERT INTO pairs VALUES (1, '{"(1,x)"}'), (2, NULL);
"""
TABLES = ("arrays", "moods", "nests", "pairs", "plain")

# The change, which tables it concerns, and a value of theirs then.
CHANGES = {
    "label": ("ALTER TYPE mood RENAME VALUE 'ok' TO 'o,k'", {"moods": "o,k", "arrays": '{"o,k",fine}', "nests": '("o,k","(1,x)")'}),
    "more fields": ("ALTER TYPE pair ADD ATTRIBUTE k int", {"pairs": '{"(1,x,)"}', "nests": '(ok,"(1,x,)")'}),
    "fewer fields": ("ALTER TYPE pair DROP ATTRIBUTE t", {"pairs": "{(1)}", "nests": '(ok,"(1)")'}),
    "another label": ("ALTER TYPE mood ADD VALUE 'great' BEFORE 'ok'", {}),
    "a field's name": ("ALTER TYPE pair RENAME ATTRIBUTE n TO number", {}),
}


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
@pytest.mark.parametrize("change", CHANGES)
def test_altered_types(source, worker, change, stopped):
    """While it runs and while it is stopped; the others are left alone."""
    sql, texts = CHANGES[change]
    source.execute(TYPES)
    tarn = worker.tarn(source).start()
    assert tarn.query("SELECT id, v FROM moods ORDER BY id") == [{"id": 1, "v": "ok"}, {"id": 2, "v": None}]
    if stopped:
        assert tarn.stop() == 0
        source.execute(sql)
        tarn.start()
    else:
        looks = tarn.status()["source"]["looks"]
        source.execute(sql)
        tarn.wait_status(lambda status: status["source"]["looks"] > looks + 2, what="two looks at the source")
    for table in TABLES:
        source.execute(f"INSERT INTO {table} VALUES (3, NULL)")

    def as_the_source():
        # Held until then, which is an error.
        answers = {table: tarn.try_query(f"SELECT v FROM {table} WHERE id = 1").out for table in texts}
        return all(answers[table] and json.loads(answers[table]) == {"v": text} for table, text in texts.items())
    wait_for(as_the_source, 60, "the copies", every=0.3)
    tarn.wait_caught_up()
    assert sorted(tarn.verify()) == sorted(TABLES)
    copied = {table for table in TABLES if f'copying "public"."{table}"' in tarn.log.read_text()}
    assert copied == set(texts)
