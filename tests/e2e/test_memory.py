"""tarn's own memory is bounded by numbers that no size of the source's moves: what it needs at its peak, measured while it works."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pyarrow.parquet as pq


class PeakMemory:
    """The most anonymous memory (without files that are mapped) that a process has had since this began, looked at all the time."""

    def __init__(self, pid: int):
        self.status, self.most_kb, self.ended = Path(f"/proc/{pid}/status"), 0, threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def __enter__(self):
        self.first_kb = self.now_kb()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def now_kb(self) -> int:
        try:
            return next((int(line.split()[1]) for line in self.status.read_text().splitlines() if line.startswith("RssAnon")), 0)
        except (FileNotFoundError, ProcessLookupError):
            return 0

    def watch(self):
        while not self.ended.wait(0.005):
            self.most_kb = max(self.most_kb, self.now_kb())

    @property
    def grown_mb(self) -> float:
        return (self.most_kb - self.first_kb) / 1024


def grown_mb(source, worker, rows: int) -> float:
    source.execute("DROP TABLE IF EXISTS big; CREATE TABLE big (id int PRIMARY KEY, tenant int, v text)")
    tarn = worker.tarn(source, source={"piece_kb": 1 << 10}, bronze={"flush_interval_ms": 200}).start()
    tarn.wait_caught_up()
    with PeakMemory(tarn.process.pid) as memory:
        source.execute("INSERT INTO big SELECT g, g %% 3, repeat(md5(g::text), 4) FROM generate_series(1, %s::int) g", (rows,))
        tarn.wait_caught_up(120)
    assert tarn.value("SELECT count(*) FROM big") == rows
    assert tarn.stop() == 0
    print(f"{rows} rows: {memory.first_kb / 1024:.0f} MB before, {memory.grown_mb:.0f} MB more at the peak")
    return memory.grown_mb


def test_a_large_transaction(source, worker):
    """In pieces of 1 MB. Measured: 100,000 rows take 70 to 80 MB more than an idle tarn, 400,000 rows 103 to 105 MB."""
    source.execute(f"ALTER DATABASE \"{source.name}\" SET logical_decoding_work_mem = '1MB'")
    small, large = grown_mb(source, worker, 100_000), grown_mb(source, worker, 400_000)
    assert large < small + 60, (small, large)


def digests(files) -> dict[int, str]:
    """MD5 of each body, by id; one row at a time."""
    found: dict[int, str] = {}
    for file in files:
        for batch in pq.ParquetFile(file).iter_batches(batch_size=1, columns=["id", "body"]):
            row, = batch.to_pylist()
            assert row["id"] not in found, "a row stands twice"
            found[row["id"]] = hashlib.md5(row["body"]).hexdigest()
    return found


def test_a_first_copy_of_large_values(source, worker):
    """Two workers, values of 20 MB. Measured: 471 to 477 MB at the peak for 30 rows (600 MB), 484 MB for 60 (1200 MB)."""
    source.execute("CREATE TABLE doc (id int PRIMARY KEY, body bytea); ALTER TABLE doc ALTER body SET STORAGE EXTERNAL")
    for number in range(60):
        source.execute("INSERT INTO doc SELECT %s, decode(repeat(md5(%s::text), 1250000), 'hex')", (number, number))
    tarn = worker.tarn(source, silver={"copy_workers": 2})
    tarn.start(wait=False)
    with PeakMemory(tarn.process.pid) as memory:
        tarn.wait_streaming(60)
    print(f"peak {memory.most_kb / 1024:.0f} MB of values of {60 * 20} MB")
    of_source = {number: digest for number, digest in source.execute("SELECT id, md5(body) FROM doc")}
    assert len(of_source) == 60
    for files in ("bronze/public/doc/LOAD*.parquet", "silver/doc/*.parquet"):
        assert digests(tarn.lake.glob(files)) == of_source, files
    assert memory.most_kb < 650 << 10
