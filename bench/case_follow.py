"""Following: changes that wait in a slot, and a source on which nothing happens."""

import time

from .measure import BRONZE_ALONE, PG_RECVLOGICAL, Bench, cpu_seconds, measured, memory_mb, result

SMALL = """DO $$ BEGIN FOR t IN 1..%d LOOP
  UPDATE account SET balance = balance + t WHERE id BETWEEN (t * 10) %% %d + 1 AND (t * 10) %% %d + 10; COMMIT;
  END LOOP; END $$"""
LARGE = "UPDATE account SET balance = balance + 1"


def catch_up(bench: Bench):
    """Changes that wait in a slot: 10 a transaction, then one large transaction."""
    changes, rows = (5_000, 10_000) if bench.smoke else (2_000_000, 100_000)
    bench.create("changes")
    bench.sql("changes", "CREATE TABLE account (id bigint PRIMARY KEY, balance bigint, note text)")
    bench.sql("changes", f"INSERT INTO account SELECT i, 0, md5(i::text) FROM generate_series(1, {rows}) i")
    for kind in ("small", "large"):
        lakes = {"bronze": bench.lake("changes", settings=BRONZE_ALONE), "silver": bench.lake("changes")}
        for lake in lakes.values():
            lake.run_until(bench.lsn("changes"))
        if kind == "small":
            bench.sql("changes", SMALL % (changes // 10, rows - 10, rows - 10))
            done = changes
        else:
            times = max(1, changes // rows)
            bench.sql("changes", "BEGIN; " + f"{LARGE}; " * times + "COMMIT")
            done = times * rows
        end = bench.lsn("changes")
        for layer, lake in lakes.items():
            theirs = _drain(bench, lake.slot, end)
            ours = lake.run_until(end)
            yield result(f"catch_up.{kind}.{layer}", done / ours.wall_s, "changes/s", "pg_recvlogical to /dev/null",
                         theirs.wall_s / ours.wall_s)
            yield result(f"catch_up.{kind}.{layer}.per_cpu_s", done / ours.cpu_s, "changes/CPU-s")
            yield result(f"catch_up.{kind}.{layer}.peak_rss_mb", ours.peak_mb, "MB")
            lake.remove()


def _drain(bench: Bench, slot: str, end: str):
    """PostgreSQL's own client, from a copy of the slot."""
    bench.sql("changes", f"SELECT pg_copy_logical_replication_slot('{slot}', 'yardstick')")
    usage = measured([PG_RECVLOGICAL, "-d", bench.dsn("changes"), "-S", "yardstick", "--start", "-f", "/dev/null", "-n",
                      "-E", end, "-o", "proto_version=1", "-o", f"publication_names={slot},{slot}_append"])
    bench.sql("changes", "SELECT pg_drop_replication_slot('yardstick')")
    return usage


def idle(bench: Bench):
    bench.create("idle")
    bench.sql("idle", "CREATE TABLE t (id bigint PRIMARY KEY, v text)")
    lake = bench.lake("idle")
    started = time.monotonic()
    client = lake.start()
    lake.wait(client, lambda status: status["phase"] == "streaming", every=0.005)
    yield result("start.to_streaming_ms", (time.monotonic() - started) * 1000, "ms")
    seconds = 1 if bench.smoke else 30
    before = cpu_seconds(lake.process.pid)
    time.sleep(seconds)
    used = cpu_seconds(lake.process.pid) - before
    yield result("idle.cpu_percent", 100 * used / seconds, "%")
    yield result("idle.rss_mb", memory_mb(lake.process.pid, "VmRSS"), "MB")
    client.close()
    lake.remove()
