"""Changes a table at a fixed rate, in a process of its own, and notes when each marker was committed.

    python -m bench.marker_writer DSN CHANGES_PER_S ROWS_PER_TRANSACTION SECONDS

Each writer has a row of its own in `marker`, which it counts up by one in every transaction, beside rows of `account`:
who sees the row at n knows that the writer's first n transactions are there. Prints, as JSON, for each writer the times
(nanoseconds since 1970, by this machine's clock) at which its commits returned.
"""

import json
import random
import sys
import threading
import time

import psycopg

WRITERS = 4  # Commits wait for the disk together.
ACCOUNTS = 100_000

SCHEMA = f"""
CREATE TABLE account (id bigint PRIMARY KEY, balance bigint NOT NULL, note text);
INSERT INTO account SELECT i, 0, md5(i::text) FROM generate_series(1, {ACCOUNTS}) i;
CREATE TABLE marker (writer int PRIMARY KEY, n bigint NOT NULL);
INSERT INTO marker SELECT i, 0 FROM generate_series(0, {WRITERS - 1}) i;
VACUUM ANALYZE"""

# One statement, so one round trip: its commit has returned when it has.
CHANGE = """WITH changed AS (UPDATE account SET balance = balance + 1 WHERE id = ANY(%s))
  UPDATE marker SET n = n + 1 WHERE writer = %s"""


class Writer:
    def __init__(self, dsn: str, number: int, rows: int, transactions: int, every_s: float):
        self.dsn, self.number, self.rows, self.transactions, self.every_s = dsn, number, rows, transactions, every_s
        self.committed_ns: list[int] = []
        self.thread = threading.Thread(target=self._write)

    def _write(self):
        draw = random.Random(self.number)
        # Accounts of its own: writers must not wait for each other's rows.
        mine = range(1 + self.number, ACCOUNTS + 1, WRITERS)
        with psycopg.connect(self.dsn, autocommit=True, prepare_threshold=0) as connection:
            due = time.monotonic() + self.every_s * self.number / WRITERS
            for _ in range(self.transactions):
                time.sleep(max(0.0, due - time.monotonic()))
                # The rate is fixed: what is late is made up for.
                due += self.every_s
                connection.execute(CHANGE, (draw.sample(mine, self.rows - 1), self.number))
                self.committed_ns.append(time.time_ns())


def main() -> int:
    dsn, rate, rows, seconds = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    per_writer = rate / rows / WRITERS
    writers = [Writer(dsn, i, rows, max(1, round(per_writer * seconds)), 1 / per_writer) for i in range(WRITERS)]
    started = time.monotonic()
    for writer in writers:
        writer.thread.start()
    for writer in writers:
        writer.thread.join()
    elapsed = time.monotonic() - started
    changes = rows * sum(len(writer.committed_ns) for writer in writers)
    json.dump({"changes_per_s": changes / elapsed, "committed_ns": [writer.committed_ns for writer in writers]}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
