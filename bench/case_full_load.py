"""The first copy: PostgreSQL to Bronze and Silver."""

import sys

from .measure import BRONZE_ALONE, PSQL, Bench, Usage, measured, median, result
from .shop import SHOP_TABLES, seed_shop
from .tpch import KEYS, duckdb_extension, load_tpch

SCANNER = """
import duckdb, sys
dsn, folder, extension, *tables = sys.argv[1:]
c = duckdb.connect()
c.execute(f"LOAD '{extension}'"); c.execute("SET threads=2")
c.execute(f"ATTACH '{dsn}' AS pg (TYPE postgres, READ_ONLY)")
for table in tables:
    c.execute(f"COPY (SELECT * FROM pg.public.{table}) TO '{folder}/scanned.parquet' (FORMAT parquet)")
"""


def _copy(bench: Bench, database: str, tables, settings: str = "") -> Usage:
    """One first copy into a new lake, to its end."""
    lake = bench.lake(database, [f"public.{table}" for table in tables], settings)
    usage = lake.run_until(bench.lsn(database))
    lake.remove()
    return usage


def _scan(bench: Bench, database: str, tables) -> Usage:
    return measured([sys.executable, "-c", SCANNER, bench.dsn(database), bench.folder, duckdb_extension("postgres_scanner"),
                     *tables])


def _rates(name: str, layer: str, rows: int, ours: list[Usage], theirs: list[Usage]):
    rate = rows / median(u.cpu_s for u in ours)
    yardstick = rows / median(u.cpu_s for u in theirs)
    yield result(f"{name}.{layer}.rows_per_cpu_s", rate, "rows/CPU-s", "DuckDB postgres scanner → Parquet", rate / yardstick)
    yield result(f"{name}.{layer}.rows_per_s", rows / median(u.wall_s for u in ours), "rows/s",
                 "DuckDB postgres scanner → Parquet", median(u.wall_s for u in theirs) / median(u.wall_s for u in ours))


def lineitem(bench: Bench):
    rows = load_tpch(bench)["lineitem"]
    ours, bronze, theirs = [], [], []
    for _ in range(bench.runs):
        bronze.append(_copy(bench, "tpch", ["lineitem"], BRONZE_ALONE))
        theirs.append(_scan(bench, "tpch", ["lineitem"]))
        ours.append(_copy(bench, "tpch", ["lineitem"]))
    yield from _rates("full_load.lineitem", "bronze", rows, bronze, theirs)
    yield from _rates("full_load.lineitem", "silver", rows, ours, theirs)
    yield result("full_load.peak_rss_mb", max(u.peak_mb for u in ours + bronze), "MB")


def tpch(bench: Bench):
    """Against PostgreSQL's own way out."""
    load_tpch(bench)
    ours, theirs = [], []
    command = [PSQL, "-X", "-q", "-d", bench.dsn("tpch")]
    for table in KEYS:
        command += ["-c", f"COPY {table} TO STDOUT (FORMAT binary)"]
    for _ in range(bench.runs):
        ours.append(_copy(bench, "tpch", KEYS, BRONZE_ALONE))
        theirs.append(measured(command))
    wall = median(u.wall_s for u in ours)
    yield result("full_load.tpch.wall", wall, "s", "serial COPY … (FORMAT binary) to /dev/null",
                 wall / median(u.wall_s for u in theirs))


def shop(bench: Bench):
    scale = seed_shop(bench)
    rows = sum(bench.sql("shop", f"SELECT count(*) FROM {table}")[0][0] for table in SHOP_TABLES)
    ours, theirs = [], []
    for _ in range(bench.runs):
        ours.append(_copy(bench, "shop", SHOP_TABLES))
        theirs.append(_scan(bench, "shop", SHOP_TABLES))
    yield from _rates(f"full_load.shop.{scale}", "silver", rows, ours, theirs)
    yield result(f"full_load.shop.{scale}.peak_rss_mb", max(u.peak_mb for u in ours), "MB")
