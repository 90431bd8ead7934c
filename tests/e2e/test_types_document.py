"""docs/types.md says of every type that PostgreSQL 15 has what really stands in the lake for it."""

from __future__ import annotations

import json
import re

import pyarrow.parquet as pq
from support.tarn import SOURCE_DIR
from type_values import UNWRITABLE

COLUMN_TYPES = """
SELECT format_type(t.oid, NULL), typname, typtype = 'c' FROM pg_type t
WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'd', 'e', 'r', 'm', 'c')
  AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid) ORDER BY typtype, typname"""

# As pyarrow and Avro name what the document's words say.
ARROW = {"utf8": "string", "date32": "date32[day]", "timestamp(µs, UTC)": "timestamp[us, tz=UTC]"}
PARQUET = {"BYTE_ARRAY UTF8": "BYTE_ARRAY String", "INT32 DATE": "INT32 Date",
           "FIXED_LEN_BYTE_ARRAY, minimal width": "FIXED_LEN_BYTE_ARRAY Decimal",
           "INT64 micros, UTC": "INT64 Timestamp(isAdjustedToUTC=true, timeUnit=microseconds)"}
SQL = {"TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}
EVERYTHING_ELSE = "everything else, by the list below"


def documented() -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """What the document says of each type that it names: Arrow, Parquet, Avro, SQL; and of everything else."""
    text = (SOURCE_DIR / "docs/types.md").read_text()
    table, listed = text.split("Everything else is the text")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("| ")]
    others = next(tuple(row[1:]) for row in rows if row[0] == EVERYTHING_ELSE)
    said = {}
    for row in rows:
        for name in re.findall(r"`([^`]+)`", row[0]):
            assert name not in said, f"{name} stands twice"
            said[name] = tuple(row[1:])
    for line in re.findall(r"^- .*(?:\n  .*)*", listed, re.MULTILINE):
        for name in re.findall(r"`([^`]+)`", line.split(":", 1)[-1] if ":" in line else line):
            if name not in ("pg_catalog", "lc_monetary"):
                assert name not in said, f"{name} stands twice"
                said[name] = others
    return said, others


def declared(name: str, p: int = 12, s: int = 2) -> str:
    return name.replace("(n)", "(7)").replace("(p,s)", f"({p},{s})")


class Base:
    """The form of a lake table's columns: in its base file, in its commits' Avro schema, in SQL."""

    def __init__(self, tarn, table: str):
        folder = tarn.lake / "silver" / table
        file = pq.ParquetFile(next(folder.glob("*.parquet")))
        self.arrow = file.schema_arrow
        self.parquet = {file.schema.column(i).path: file.schema.column(i) for i in range(len(file.schema))}
        commit = json.loads(next((folder / ".hoodie").glob("*commit")).read_text())
        self.avro = {field["name"]: field["type"] for field in json.loads(commit["extraMetadata"]["schema"])["fields"]}
        self.sql = {row["column_name"]: row["column_type"] for row in
                    tarn.query(f"SELECT column_name, column_type FROM (DESCRIBE {table})")}

    def of(self, column: str) -> tuple[str, ...]:
        parquet = self.parquet[column]
        logical = re.sub(r"\(precision.*|, is_from_converted_type[^)]*", "", str(parquet.logical_type))
        avro = next(part for part in self.avro[column] if part != "null")
        named = avro if isinstance(avro, str) else ", ".join((avro["type"], avro["logicalType"]))
        return (str(self.arrow.field(column).type), f"{parquet.physical_type} {logical}".removesuffix(" None"), named, self.sql[column])


def expected(words: tuple[str, ...], p: int = 12, s: int = 2) -> tuple[str, ...]:
    arrow, parquet, avro, sql = (word.replace("(p,s)", f"({p}, {s})") for word in words)
    return ARROW.get(arrow, arrow), PARQUET.get(parquet, parquet), avro, SQL.get(sql, sql.replace(", ", ","))


def test_the_document_names_every_type_and_what_it_becomes(source, worker):
    """Every type of a fresh database that a table takes, and each form that the document names."""
    said, others = documented()
    source.execute("CREATE TABLE measured (a int PRIMARY KEY, b int DEFAULT 7); "
                   "INSERT INTO measured SELECT g, g % 10 FROM generate_series(1, 500) g; "
                   "CREATE STATISTICS of_both (ndistinct, dependencies, mcv) ON a, b FROM measured; ANALYZE measured")
    known = {source.value("SELECT format_type(%s::regtype, NULL)", (re.sub(r"\(.*", "", name),)): name for name in said}
    columns, words = {}, {}
    for kind, name, is_row in source.execute(COLUMN_TYPES):
        try:
            source.execute(f"CREATE TABLE tried (c {kind}); DROP TABLE tried")
        except Exception as error:
            assert "pseudo-type anyarray" in str(error), (kind, error)
            continue
        assert is_row or kind in known, f"docs/types.md does not name {kind}"
        columns[f"t_{name.strip('_')}"] = kind
        words[f"t_{name.strip('_')}"] = expected(others if is_row else others if kind in ("bit", "numeric") else said[known[kind]])
    for i, (name, form) in enumerate(said.items()):
        columns[f"n_{i}"] = declared(name)
        words[f"n_{i}"] = expected(form)
    for p, s in ((1, 0), (1, 1), (9, 3), (18, 18), (38, 0), (38, 38)):
        columns[f"d_{p}_{s}"] = f"numeric({p},{s})"
        words[f"d_{p}_{s}"] = expected(said["numeric(p,s)"], p, s)
    assert len(columns) > 250
    source.execute(f"CREATE TABLE forms (id int PRIMARY KEY, {', '.join(f'{c} {k}' for c, k in columns.items())})")
    tarn = worker.tarn(source, tables={"include": ["public.forms"]})
    values = {f"t_{name}": sql for name, sql in UNWRITABLE.items()}
    insert = f"INSERT INTO forms (id, {', '.join(values)}) SELECT %s, {', '.join(values.values())}"
    source.execute(insert, (1,))
    tarn.start()
    source.execute(insert, (2,))
    tarn.wait_caught_up()
    lake = Base(tarn, "forms")
    wrong = {kind: (lake.of(column), words[column]) for column, kind in columns.items() if lake.of(column) != words[column]}
    assert not wrong
    for p, bytes_of in ((1, 1), (9, 4), (18, 8), (38, 16)):
        column = next(c for c in columns if c.startswith(f"d_{p}_"))
        assert lake.parquet[column].length == bytes_of
    # Values that no literal gives: the server's own text, by copy and by stream.
    texts = source.execute(f"SELECT id, {', '.join(f'''format('%%s', {c})''' for c in values)} FROM forms ORDER BY id", ())
    rows = tarn.query(f"SELECT id, {', '.join(values)} FROM forms ORDER BY id")
    assert [tuple(row.values()) for row in rows] == texts
    assert all(texts[0])
    tarn.verify()
