"""Snapshot reads of a Silver table, a share of whose rows is in log files."""

from .measure import Bench, geometric_mean, result
from .turns import YARDSTICK, BareParquet, take_turns

TABLE = """CREATE TABLE reading (id bigint PRIMARY KEY, device bigint NOT NULL, kind text NOT NULL, amount numeric(12,2) NOT NULL,
  quantity int NOT NULL, measured_at timestamptz NOT NULL, note text)"""
ROWS = """INSERT INTO reading SELECT i, hashint8(i) & 65535, 'kind ' || hashint8(i + 7) %% 12, (hashint8(i + 1) & 1048575) / 100.0,
  hashint8(i + 2) & 63, timestamptz '2026-01-01' + i * interval '5 seconds', md5(i::text) FROM generate_series(1, %d) i"""
# Rows of every hundred, evenly over the table's files; each share has the rows of the one before.
CHANGE = "UPDATE reading SET amount = amount + 1, quantity = quantity + 1 WHERE id %% 100 >= %d AND id %% 100 < %d"
SHARES = (0, 1, 5, 20)

SHAPES = {
    "count": "SELECT count(*) AS n FROM reading",
    "totals": "SELECT sum(amount) AS amount, max(quantity) AS quantity, min(measured_at) AS first FROM reading",
    "point": "SELECT id, device, kind, amount, quantity, note FROM reading WHERE id = {third}",
    "range": "SELECT count(*) AS n, sum(amount) AS amount FROM reading WHERE id BETWEEN {third} AND {third} + {rows} // 100",
    "few_groups": "SELECT kind, count(*) AS n, sum(amount) AS amount FROM reading GROUP BY kind",
    "many_groups": "SELECT device, sum(quantity) AS quantity FROM reading GROUP BY device ORDER BY quantity DESC, device LIMIT 10",
    "text": "SELECT count(*) AS n FROM reading WHERE note LIKE '%ab7%'",
    "largest": "SELECT id, kind, amount, measured_at, note FROM reading WHERE kind <> 'kind 3' ORDER BY amount DESC, id LIMIT 100",
}


def hudi_read(bench: Bench):
    rows, runs = (20_000, 1) if bench.smoke else (5_000_000, 5)
    bench.create("reading")
    bench.sql("reading", TABLE)
    bench.sql("reading", ROWS % rows)
    bench.sql("reading", "VACUUM ANALYZE")
    lake = bench.lake("reading")
    client = lake.start()
    lake.wait_streaming(client)
    bare = BareParquet(bench.folder / "bare_reading")
    for before, share in zip((0, *SHARES), SHARES):
        if share > 0:
            bench.sql("reading", CHANGE % (before, share))
            lake.wait_caught_up(client)
        bare.add("reading", client.query("SELECT id, device, kind, amount, quantity, measured_at, note FROM reading ORDER BY id").table)
        hot = client.query("SELECT sum(amount) FROM reading").statistics["hot_rows"]
        if abs(hot - rows * share / 100) > rows / 1000:
            raise RuntimeError(f"{hot} of {rows} rows are in logs, not {share} %: compaction came between")
        turns = {name: take_turns(client, bare, sql.format(third=rows // 3, rows=rows), runs) for name, sql in SHAPES.items()}
        yield result(f"hudi.read.{share}pct", geometric_mean(t.ours_ms for t in turns.values()), "ms", YARDSTICK,
                     geometric_mean(t.ratio for t in turns.values()))
        yield result(f"hudi.read.{share}pct.first_ms", geometric_mean(t.first_ms for t in turns.values()), "ms")
        for name, t in turns.items():
            yield result(f"hudi.read.{share}pct.{name}", t.ours_ms, "ms", YARDSTICK, t.ratio)
    lake.remove()
