"""Silver and Gold without tarn: the source's tables in DuckDB, the rules as filters, the models as they are."""

import datetime
import re
import tempfile
from pathlib import Path

import duckdb
import yaml

MODELS = Path(__file__).resolve().parents[2] / "models"

# PostgreSQL's type -> what Silver has in its place.
SILVER_TYPES = {
    "bigint": "BIGINT", "integer": "INTEGER", "smallint": "INTEGER", "boolean": "BOOLEAN", "date": "DATE",
    "timestamp with time zone": "TIMESTAMPTZ", "double precision": "DOUBLE", "real": "FLOAT",
}


def silver_type(formatted):
    numeric = re.fullmatch(r"numeric\((\d+),(\d+)\)", formatted)
    return f"DECIMAL({numeric[1]},{numeric[2]})" if numeric else SILVER_TYPES.get(formatted, "VARCHAR")


def silver_models():
    return [yaml.safe_load(path.read_text()) for path in sorted((MODELS / "silver").glob("*.yml"))]


def _columns(source, table):
    return source.execute(
        """SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
           WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum""", [table]).fetchall()


class StandInLake:
    """`raw.<table>` has all rows, `main.<table>` those that the rules let in, `quarantined` the rest by rule."""

    def __init__(self, source, as_of):
        self.db = duckdb.connect(config={"threads": 2})
        self.db.execute("SET TimeZone = 'UTC'")
        self.db.execute("CREATE SCHEMA raw")
        self.db.execute(f"CREATE MACRO as_of() AS TIMESTAMPTZ '{as_of.astimezone(datetime.timezone.utc).isoformat()}'")
        with tempfile.TemporaryDirectory() as folder:
            for model in silver_models():
                self._load(source, model, Path(folder))
        self._load_gold()

    def _load(self, source, model, folder):
        table = model["table"]
        columns = _columns(source, table)
        path = folder / f"{table}.csv"
        with path.open("wb") as out, source.cursor().copy(
                f"COPY {table} ({', '.join(name for name, _ in columns)}) TO STDOUT (FORMAT csv, NULL '\\N', FORCE_QUOTE *)") as copy:
            for block in copy:
                out.write(block)
        types = {name: silver_type(kind) for name, kind in columns}
        self.db.execute(
            f"CREATE TABLE raw.{table} AS SELECT * FROM read_csv(?, header = false, columns = ?, nullstr = '\\N', "
            "quote = '\"', escape = '\"', allow_quoted_nulls = false, max_line_size = 10000000)", [str(path), types])
        refusing = [rule["check"] for rule in model["rules"] if rule["action"] != "warn"]
        kept = " AND ".join(f"coalesce(CAST(({check}) AS BOOLEAN), true)" for check in refusing) or "true"
        self.db.execute(f"CREATE TABLE {table} AS SELECT * FROM raw.{table} WHERE {kept}")

    def _load_gold(self):
        """Each model is a table that the others read: a view is made as soon as all that it reads are there."""
        left = {path.stem: path.read_text() for path in (MODELS / "gold").glob("*.sql")}
        while left:
            wrong = {}
            for name, sql in left.items():
                try:
                    self.db.execute(f"CREATE VIEW {name} AS {sql}")
                except duckdb.CatalogException as error:
                    wrong[name] = error
            if len(wrong) == len(left):
                raise next(iter(wrong.values()))
            left = {name: left[name] for name in wrong}

    def rows(self, sql):
        return self.db.execute(sql).to_arrow_table().to_pylist()

    def gold(self, name):
        return self.rows(f"SELECT * FROM {name}")

    def broken_rules(self, table):
        """(id, rule, action) of every rule that a source row breaks."""
        model = next(model for model in silver_models() if model["table"] == table)
        found = []
        for rule in model["rules"]:
            sql = f"SELECT id FROM raw.{table} WHERE NOT coalesce(CAST(({rule['check']}) AS BOOLEAN), true)"
            found += [(str(row["id"]), rule["name"], rule["action"]) for row in self.rows(sql)]
        return found

    def refused(self, table):
        """(id, rule) of the rows that are not in Silver: the first rule of the file that refuses."""
        order = {rule["name"]: i for i, rule in enumerate(next(m for m in silver_models() if m["table"] == table)["rules"])}
        first = {}
        for row, rule, action in sorted(self.broken_rules(table), key=lambda broken: order[broken[1]]):
            if action != "warn":
                first.setdefault(row, rule)
        return set(first.items())
