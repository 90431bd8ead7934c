"""TPC-H, made by DuckDB's generator, in PostgreSQL."""

import importlib
import os
from pathlib import Path

import duckdb

from .measure import Bench

KEYS = {
    "region": "r_regionkey",
    "nation": "n_nationkey",
    "supplier": "s_suppkey",
    "customer": "c_custkey",
    "part": "p_partkey",
    "partsupp": "ps_partkey, ps_suppkey",
    "orders": "o_orderkey",
    "lineitem": "l_orderkey, l_linenumber",
}


def duckdb_extension(name: str) -> Path:
    """The file of a DuckDB extension that came as a Python package."""
    package = importlib.import_module(f"duckdb_extension_{name}")
    return next(Path(package.__file__).parent.rglob("*.duckdb_extension"))


def load_tpch(bench: Bench) -> dict[str, int]:
    """All 8 tables at scale factor 1, a hundredth of it when smoking, in the database tpch. Rows by table."""
    if "tpch" in bench.shared:
        return bench.shared["tpch"]
    connection = duckdb.connect()
    connection.execute(f"LOAD '{duckdb_extension('tpch')}'")
    connection.execute(f"CALL dbgen(sf={0.01 if bench.smoke else 1})")
    bench.create("tpch")
    rows = {}
    for table, key in KEYS.items():
        csv = bench.folder / f"{table}.csv"
        connection.execute(f"COPY {table} TO '{csv}' (FORMAT csv, HEADER false)")
        os.chmod(csv, 0o644)
        columns = connection.execute(f"SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = '{table}' "
                                     "ORDER BY column_index").fetchall()
        bench.sql("tpch", f"CREATE TABLE {table} ({', '.join(f'{name} {kind}' for name, kind in columns)})")
        bench.sql("tpch", f"COPY {table} FROM '{csv}' (FORMAT csv)")
        bench.sql("tpch", f"ALTER TABLE {table} ADD PRIMARY KEY ({key})")
        csv.unlink()
        rows[table] = bench.sql("tpch", f"SELECT count(*) FROM {table}")[0][0]
    bench.sql("tpch", "VACUUM ANALYZE")
    bench.shared["tpch"] = rows
    return rows
