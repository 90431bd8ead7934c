"""The benchmarks, by the names of their figures."""

import importlib
import os
import subprocess
import sys
import time
from pathlib import Path

from .measure import PG_RECVLOGICAL, Bench, measured, median, result

LINEITEM = """CREATE TABLE lineitem (l_orderkey bigint, l_partkey bigint, l_suppkey bigint, l_linenumber int,
 l_quantity numeric(15,2), l_extendedprice numeric(15,2), l_discount numeric(15,2), l_tax numeric(15,2),
 l_returnflag char(1), l_linestatus char(1), l_shipdate date, l_commitdate date, l_receiptdate date,
 l_shipinstruct varchar(25), l_shipmode varchar(10), l_comment varchar(44))"""

SCANNER = """
import duckdb, sys
c = duckdb.connect()
c.execute(f"LOAD '{sys.argv[3]}'"); c.execute("SET threads=2")
c.execute(f"ATTACH '{sys.argv[1]}' AS pg (TYPE postgres, READ_ONLY)")
c.execute(f"COPY (SELECT * FROM pg.public.lineitem) TO '{sys.argv[2]}' (FORMAT parquet)")
"""


def _extension(name: str) -> Path:
    """The file of a DuckDB extension that came as a Python package."""
    package = importlib.import_module(f"duckdb_extension_{name}")
    return next(Path(package.__file__).parent.rglob("*.duckdb_extension"))


def load_lineitem(bench: Bench, database: str) -> int:
    """TPC-H lineitem, scale factor 1, made by DuckDB's generator; a hundredth of it when smoking."""
    factor = 0.01 if bench.smoke else 1
    import duckdb
    csv = bench.folder / "lineitem.csv"
    connection = duckdb.connect()
    connection.execute(f"LOAD '{_extension('tpch')}'")
    connection.execute(f"CALL dbgen(sf={factor})")
    connection.execute(f"COPY lineitem TO '{csv}' (FORMAT csv, HEADER false)")
    os.chmod(csv, 0o644)
    bench.create(database)
    bench.sql(database, LINEITEM)
    bench.sql(database, f"COPY lineitem FROM '{csv}' (FORMAT csv)")
    bench.sql(database, "ALTER TABLE lineitem ADD PRIMARY KEY (l_orderkey, l_linenumber)")
    bench.sql(database, "VACUUM ANALYZE lineitem")
    csv.unlink()
    return bench.sql(database, "SELECT count(*) FROM lineitem")[0][0]


def full_load(bench: Bench):
    rows = load_lineitem(bench, "tpch")
    ours, theirs = [], []
    scanner = bench.folder / "scanner.parquet"
    for _ in range(bench.runs):
        lake = bench.lake("tpch")
        ours.append(lake.run_until(bench.lsn("tpch")))
        lake.remove()
        theirs.append(measured([sys.executable, "-c", SCANNER, bench.dsn("tpch"), scanner, _extension("postgres_scanner")]))
    rate = rows / median(u.cpu_s for u in ours)
    yardstick = rows / median(u.cpu_s for u in theirs)
    yield result("full_load.lineitem.silver.rows_per_cpu_s", rate, "rows/CPU-s", "DuckDB postgres scanner → Parquet",
                 rate / yardstick)
    yield result("full_load.lineitem.silver.rows_per_s", rows / median(u.wall_s for u in ours), "rows/s")
    yield result("full_load.peak_rss_mb", max(u.peak_mb for u in ours), "MB")


def catch_up(bench: Bench):
    """Changes that wait in a slot: 10 a transaction, then one large transaction."""
    changes = 20_000 if bench.smoke else 2_000_000
    bench.create("changes")
    bench.sql("changes", "CREATE TABLE account (id bigint PRIMARY KEY, balance bigint, note text)")
    bench.sql("changes", "INSERT INTO account SELECT i, 0, md5(i::text) FROM generate_series(1, 100000) i")
    script = """DO $$ BEGIN FOR t IN 1..%d LOOP
      UPDATE account SET balance = balance + t WHERE id BETWEEN (t * 10) %% 99990 + 1 AND (t * 10) %% 99990 + 10; COMMIT;
      END LOOP; END $$"""
    large = "UPDATE account SET balance = balance + 1"
    for kind in ("small", "large"):
        lake = bench.lake("changes")
        lake.run_until(bench.lsn("changes"))
        if kind == "small":
            bench.sql("changes", script % (changes // 10))
        else:
            bench.sql("changes", "BEGIN; " + (large + "; ") * max(1, changes // 100_000) + "COMMIT")
        end = bench.lsn("changes")
        bench.sql("changes", f"SELECT pg_copy_logical_replication_slot('{lake.slot}', 'yardstick')")
        theirs = measured([PG_RECVLOGICAL, "-d", bench.dsn("changes"), "-S", "yardstick", "--start", "-f", "/dev/null", "-n",
                           "-E", end, "-o", "proto_version=1", "-o", f"publication_names={lake.slot},{lake.slot}_append"])
        bench.sql("changes", "SELECT pg_drop_replication_slot('yardstick')")
        ours = lake.run_until(end)
        done = changes if kind == "small" else max(1, changes // 100_000) * 100_000
        yield result(f"catch_up.{kind}.silver", done / ours.wall_s, "changes/s", "pg_recvlogical to /dev/null",
                     theirs.wall_s / ours.wall_s)
        yield result(f"catch_up.{kind}.silver.per_cpu_s", done / ours.cpu_s, "changes/CPU-s")
        yield result(f"catch_up.{kind}.peak_rss_mb", ours.peak_mb, "MB")
        lake.remove()


def idle(bench: Bench):
    bench.create("idle")
    bench.sql("idle", "CREATE TABLE t (id bigint PRIMARY KEY, v text)")
    lake = bench.lake("idle")
    started = time.monotonic()
    process = subprocess.Popen([str(p) for p in lake.command("run")], stderr=subprocess.DEVNULL)
    try:
        while '"streaming"' not in subprocess.run([str(p) for p in lake.command("status", "--json")], capture_output=True, text=True).stdout:
            if process.poll() is not None:
                raise RuntimeError("tarn ended")
            time.sleep(0.01)
        yield result("start.to_streaming_ms", (time.monotonic() - started) * 1000, "ms")
        seconds = 3 if bench.smoke else 30
        stat = Path(f"/proc/{process.pid}/stat")
        ticks = lambda: sum(int(x) for x in stat.read_text().rsplit(")", 1)[1].split()[11:13])  # noqa: E731
        before = ticks()
        time.sleep(seconds)
        used = (ticks() - before) / os.sysconf("SC_CLK_TCK")
        yield result("idle.cpu_percent", 100 * used / seconds, "%")
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                yield result("idle.rss_mb", int(line.split()[1]) / 1024, "MB")
    finally:
        process.terminate()
        process.wait()
    lake.remove()


CASES = {"full_load": full_load, "catch_up": catch_up, "idle": idle}
