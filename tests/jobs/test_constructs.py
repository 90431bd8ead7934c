"""Each construct that the translator takes, on DuckDB and on Spark, over values at the edges: the same, or an error on Spark."""

from __future__ import annotations

import datetime
import decimal

import duckdb
import pytest

from tarn_jobs.refusal import Refusal
from tarn_jobs.regular_expressions import UnknownPattern, to_java
from tarn_jobs.session import families, strict
from tarn_jobs.translator import translate, translate_condition, translate_select_list

ROWS = """
SELECT * FROM (VALUES
  (1, 7, 2, 12345678901, 1.25, 0.00015, ' ab\u00a0', 'a.b', DATE '2026-01-31', TIMESTAMPTZ '2026-03-29 01:30:00.123456+00', 'Europe/Berlin', true),
  (2, -7, 2, -5, -1.25, 1.00015, 'EUR' || chr(10), 'b', DATE '2024-02-29', TIMESTAMPTZ '1969-12-31 23:59:59.9995+00', 'Asia/Kathmandu', false),
  (3, 0, 3, 0, 0.005, 2.5, '', 'A1b', DATE '1999-12-31', TIMESTAMPTZ '2026-10-25 00:30:00+00', 'America/New_York', NULL),
  (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'UTC', NULL),
  (5, 2147483647, -3, 9007199254740993, 99999.99, -2.5, 'x$1\\y', 'ab' || chr(10) || 'c', DATE '2026-12-01', TIMESTAMPTZ '2026-06-30 22:00:00+00', 'Pacific/Apia', true),
  (6, 11, 4, 11, -0.01, 1e12, chr(9) || 'Ünï', 'müller', DATE '1582-10-15', TIMESTAMPTZ '1901-01-01 00:00:00+00', 'UTC', false)
) AS t(id, i, j, l, m, f, s, u, d, moment, zone, b)
"""
TYPES = "id int, i int, j int, l bigint, m decimal(10,2), f double, s string, u string, d date, moment timestamp, zone string, b boolean"

SAME = [
    "i / j", "CAST(m / j AS DECIMAL(18, 4))", "CAST(f AS DECIMAL(18, 4))", "CAST(f AS DECIMAL(30, 2))", "CAST(m AS DECIMAL(10, 1))", "CAST(m AS INTEGER)", "i // j", "l // i",
    "i % j", "l % i", "-i", "abs(m)", "round(m, 1)", "round(m)", "floor(m)", "ceil(m)", "round(m * m, 3)", "m * j", "m * m", "m + 1", "m - 0.125", "l * 1.5", "CAST(i AS DOUBLE) / 3", "CAST(i AS VARCHAR)", "CAST(m AS VARCHAR)", "CAST(d AS VARCHAR)",
    "coalesce(i, j, 1)", "nullif(i, 0)", "greatest(i, j)", "least(m, 0)", "CASE WHEN b THEN m ELSE 0 END", "CASE i WHEN 7 THEN 'x' END", "b AND i > 0", "NOT b", "i IS NULL OR b",
    "i BETWEEN -7 AND 7", "u IN ('b', 'A1b')", "i IS DISTINCT FROM j", "s = 'EUR'",
    "trim(s)", "ltrim(s)", "rtrim(s, 'b ')", "trim(u, 'ab')", "length(s)", "lower(s)", "upper(u)", "replace(u, 'b', 'xy')", "u || '-' || s", "substring(u, 2, 2)", "substring(u, 2)",
    "starts_with(u, 'a')", "u LIKE '%b'", "u LIKE '_.b'", "u NOT LIKE 'a%'", "regexp_matches(s, '^[A-Z]{3}$')", "regexp_matches(u, 'b.c')", "regexp_matches(s, '\\s')", "regexp_matches(s, '[^\\s]$')",
    "regexp_replace(u, '[a-z]+', '<\\0>', 'g')", "regexp_replace(u, '(a)(.)', '\\2\\1', 'g')", "regexp_replace(u, 'b', '$1', 'g')", "regexp_matches(s, '\\d+|\\$')", "chr(64 + j)",
    "d + 3", "d - j", "d - DATE '2020-01-01'", "d + INTERVAL 1 MONTH", "CAST(d + INTERVAL 1 MONTH AS DATE)", "CAST(d - INTERVAL 3 MONTH AS DATE)", "d + INTERVAL 2 YEAR", "moment + INTERVAL 36 HOURS",
    "moment - INTERVAL 1 MONTH", "moment AT TIME ZONE zone", "(moment AT TIME ZONE zone) AT TIME ZONE 'UTC'", "CAST(moment AT TIME ZONE zone AS DATE)", "CAST(moment AS DATE)", "date_trunc('month', moment)",
    "date_trunc('week', d)", "date_trunc('quarter', d)", "CAST(date_trunc('month', moment AT TIME ZONE zone) AS DATE)", "date_trunc('day', moment)", "date_diff('month', DATE '2025-12-31', d)",
    "date_diff('year', d, DATE '2026-01-01')", "date_diff('quarter', d, DATE '2026-01-01')", "date_diff('day', DATE '2026-01-01', d)", "year(d)", "month(moment)", "day(d)", "quarter(d)",
    "epoch_ms(moment)", "epoch_us(moment)", "as_of()", "CAST(as_of() AT TIME ZONE zone AS DATE)", "CAST(d AS TIMESTAMP)", "TIMESTAMPTZ '2026-01-01 00:00:00+02'", "d < TIMESTAMP '2026-06-01 00:00:00'",
]
# Over all rows; ordered by what they give.
QUERIES = [
    "SELECT sum(m) AS a, avg(m) AS b, avg(i) AS c, min(s) AS d, max(u) AS e, count(*) AS f, count(DISTINCT j) AS g, sum(i) FILTER (WHERE b) AS h, bool_or(b) AS k FROM rows",
    "SELECT j, count(*) FILTER (WHERE m > 0) AS n, string_agg(u, '|' ORDER BY id) AS t FROM rows GROUP BY 1",
    "SELECT string_agg(u, ',' ORDER BY i) AS t, string_agg(u, ',' ORDER BY id) AS e FROM rows WHERE id > 3",
    "SELECT string_agg(u, ',' ORDER BY id) AS t FROM rows WHERE id > 10",
    "SELECT id, row_number() OVER (ORDER BY i DESC, id) AS r, ntile(2) OVER (ORDER BY m, id) AS n, lag(d) OVER (ORDER BY id) AS p, rank() OVER (ORDER BY j) AS k, sum(m) OVER w AS s "
    "FROM rows WINDOW w AS (ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)",
    "SELECT id, CAST(unnest(generate_series(date_trunc('month', d), TIMESTAMP '2026-03-01 00:00:00', INTERVAL 1 MONTH)) AS DATE) AS month FROM rows WHERE id IN (1, 4, 5)",
    "SELECT id, i FROM rows QUALIFY row_number() OVER (PARTITION BY j ORDER BY i) = 1",
    "SELECT a.id, b.id AS other FROM rows a LEFT JOIN rows b ON b.i = a.j",
    "WITH few AS (SELECT * EXCLUDE (s) REPLACE (j + 1 AS j) FROM rows) SELECT id, j, u FROM few UNION ALL SELECT 0, 1.5, 'z'",
    "SELECT DISTINCT b FROM rows ORDER BY b LIMIT 2",
    "SELECT j, sum(m) AS s FROM (SELECT * FROM rows WHERE id < 6) inside GROUP BY ALL HAVING count(*) > 1",
]
REFUSED = [
    ("SELECT id,\n  list_sum([i]) FROM rows", 2, "list_sum"), ("SELECT 1\nFROM rows a ASOF JOIN rows b ON a.i >= b.i", 2, "ASOF"),
    ("SELECT CAST(s AS INTEGER) FROM rows", 1, "CAST of text"), ("SELECT median(f) FROM rows", 1, "median"), ("SELECT s ->> '$.x' FROM rows", 1, "json"),
    ("SELECT sum(m) FILTER (WHERE b) OVER (ORDER BY id) FROM rows", 1, "FILTER over a window"), ("SELECT id FROM rows WHERE i IN (SELECT j FROM rows)", 1, "write a join"),
    ("SELECT concat(s, u) FROM rows", 1, "concat"), ("SELECT regexp_replace(s, 'a', 'b') FROM rows", 1, "'g'"), ("SELECT regexp_matches(s, '(?i)a') FROM rows", 1, "(?i"),
    ("SELECT moment - TIMESTAMPTZ '2026-01-01 00:00:00+00' FROM rows", 1, "tz - tz"), ("SELECT id FROM nowhere", 1, "nowhere"), ("SELECT u LIKE 'a\\b' FROM rows", 1, "backslash"),
    ("SELECT string_agg(u, ',') FROM rows", 1, "ORDER BY"), ("SELECT id FROM", 1, "cannot be read"), ("SELECT random() FROM rows", 1, "rand"),
    ("SELECT round(f, 2) FROM rows", 1, "round"), ("SELECT DISTINCT ON (i) id FROM rows", 1, "ON"), ("SELECT CAST(moment AS VARCHAR) FROM rows", 1, "CAST of tz"),
]
PRESENT = 1_795_000_000_123_456


def rows_of(duck, sql: str) -> list[tuple]:
    """By Arrow: of moments DuckDB's own would ask for another library."""
    table = duck.execute(sql).to_arrow_table()
    return list(zip(*(column.to_pylist() for column in table.columns)))


@pytest.fixture(scope="module")
def both(spark):
    """DuckDB and Spark with the same rows."""
    duck = duckdb.connect(config={"threads": 1})
    duck.execute("SET TimeZone = 'UTC'")
    duck.execute(f"CREATE MACRO as_of() AS make_timestamptz({PRESENT})")
    duck.execute(f"CREATE TABLE rows AS SELECT id, i::INTEGER AS i, j::INTEGER AS j, l::BIGINT AS l, m::DECIMAL(10, 2) AS m, f::DOUBLE AS f, s, u, d, moment, zone, b FROM ({ROWS})")
    rows = rows_of(duck, "SELECT * FROM rows ORDER BY id")
    frame = spark.createDataFrame([tuple(v.astimezone(datetime.timezone.utc) if isinstance(v, datetime.datetime) else v for v in row) for row in rows], TYPES)
    frame.createOrReplaceTempView("rows")
    return duck, spark, {"rows": families(frame.schema)}


def plain(value):
    """Numbers by their value, integers of any width alike; moments in UTC, and times in no zone as they are."""
    if isinstance(value, datetime.datetime):
        return (value.astimezone(datetime.timezone.utc) if value.tzinfo else value).replace(tzinfo=None).isoformat()
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime.date):
        return datetime.datetime(value.year, value.month, value.day).isoformat()
    if isinstance(value, float):
        return ("double", value)
    return ("exact", decimal.Decimal(value).normalize())


def answers(both, sql: str):
    duck, spark, tables = both
    translated, columns = translate(sql, tables, PRESENT)
    with strict(spark):
        frame = spark.sql(translated)
    theirs = sorted((tuple(map(plain, row)) for row in frame.collect()), key=repr)
    ours = sorted((tuple(map(plain, row)) for row in rows_of(duck, sql)), key=repr)
    assert [name.lower() for name in columns] == [name.lower() for name in frame.columns]
    return theirs, ours


def test_expressions_give_the_same(both):
    """In one statement: a job of Spark's for each would take minutes."""
    theirs, ours = answers(both, "SELECT id, " + ", ".join(f"{sql} AS c{number}" for number, sql in enumerate(SAME)) + " FROM rows")
    assert len(ours) == 6
    wrong = [(name, left, right) for spark, duck in zip(theirs, ours) for name, left, right in zip(["id", *SAME], spark, duck) if left != right]
    assert wrong == []


@pytest.mark.parametrize("sql", QUERIES)
def test_queries_give_the_same(both, sql):
    theirs, ours = answers(both, sql)
    assert theirs == ours


@pytest.mark.parametrize("sql,line,word", REFUSED, ids=[word for _, _, word in REFUSED])
def test_what_has_no_equal_is_refused_with_its_place(both, sql, line, word):
    with pytest.raises(Refusal) as refused:
        translate(sql, both[2], PRESENT, "models/gold/x.sql")
    assert refused.value.file == "models/gold/x.sql" and refused.value.line == line and refused.value.column >= 1
    assert word in str(refused.value), str(refused.value)


def test_a_condition_has_its_place_in_the_file():
    with pytest.raises(Refusal) as refused:
        translate_condition("i > 0 AND\n  nothing_known(i) > 1", {"i": "integer"}, "models/silver/t.yml", 17, 12)
    assert (refused.value.line, refused.value.column) == (18, 3)
    with pytest.raises(Refusal) as refused:
        translate_condition("nothing_known(i) > 1", {"i": "integer"}, "models/silver/t.yml", 17, 12)
    assert (refused.value.line, refused.value.column) == (17, 12)
    with pytest.raises(Refusal, match="a condition is wanted, not integer"):
        translate_condition("i + 1", {"i": "integer"}, "models/silver/t.yml", 17, 12)


def test_select_lists_say_which_columns_are_copies():
    columns = {"id": "integer", "mail": "text", "raw": "text"}
    made = translate_select_list("SELECT * EXCLUDE (raw) REPLACE (trim(mail) AS mail), raw AS text FROM people", "people", columns, "f")
    assert [(name, copied, family) for name, _, copied, family in made] == [("id", "id", "integer"), ("mail", "", "text"), ("text", "raw", "text")]
    for wrong in ("SELECT id FROM people WHERE id > 0", "SELECT DISTINCT id FROM people"):
        with pytest.raises(Refusal, match="alone is wanted"):
            translate_select_list(wrong, "people", columns, "f")


@pytest.mark.parametrize("pattern", ["\\bx", "(?i)x", "(?P<n>x)", "[a", "x\\", "\\pL", "[[:word:]]"])
def test_patterns_that_may_mean_something_else_are_refused(pattern):
    with pytest.raises(UnknownPattern):
        to_java(pattern)
