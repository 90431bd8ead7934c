"""Random, seeded work of an application: tables with and without tenants, every kind of change, nasty values."""

from __future__ import annotations

import random
import threading
from contextlib import contextmanager

import psycopg

from .cluster import Database

TABLES = """
CREATE TABLE customer (id int PRIMARY KEY, tenant_id int NOT NULL, name text, body text, made timestamptz);
ALTER TABLE customer ALTER body SET STORAGE EXTERNAL;
CREATE TABLE item (tenant_id int, id int, qty int, price numeric(12,2), at timestamptz NOT NULL, PRIMARY KEY (tenant_id, id));
CREATE TABLE stock (code text PRIMARY KEY, qty bigint, tags text[], info jsonb);
CREATE TABLE event (tenant_id int, what text);
"""
SILVER = ("customer", "item", "stock", "event")


class History:
    """Keys are drawn from a small range, so that rows meet each other often."""

    def __init__(self, database: Database, seed: int, tenants: int = 3, keys: int = 60, truncates: int = 1):
        self.database = database
        self.rng = random.Random(seed)
        self.tenants = tenants
        self.keys = keys
        self.truncates = truncates
        self.pause = 0.01
        self._lock = threading.Lock()
        self.steps = 0
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._failure: BaseException | None = None

    def create(self, rows: int = 40) -> "History":
        self.database.execute(TABLES)
        with self.database.connection.transaction():
            for _ in range(rows):
                self._insert(self.database.connection)
        return self

    def _text(self, length: int) -> str:
        return "".join(self.rng.choices("abcdefghijklmnopqrstuvwxyz,:'\"\\ü", k=length))

    def _body(self) -> str:
        return self._text(3000)  # Beyond the size from which values go to TOAST.

    def _insert(self, c):
        r = self.rng
        tenant, key = r.randint(1, self.tenants), r.randint(1, self.keys)
        c.execute("INSERT INTO customer VALUES (%s, %s, %s, %s, now()) ON CONFLICT (id) DO UPDATE SET name = excluded.name",
                  (key, tenant, self._text(8), self._body()))
        price = "NaN" if r.random() < 0.05 else f"{r.randint(-10**6, 10**9) / 100:.2f}"
        c.execute("INSERT INTO item VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                  (tenant, key, r.randint(0, 9), price, f"2026-{r.randint(1, 4):02}-{r.randint(1, 28):02} 12:00:00+00"))
        c.execute("INSERT INTO stock VALUES (%s, %s, %s, %s) ON CONFLICT (code) DO UPDATE SET qty = stock.qty + 1",
                  (f"c{key},:", key, [self._text(3)], '{"a": %d}' % key))
        c.execute("INSERT INTO event VALUES (%s, %s)", (tenant, self._text(5)))

    def _change(self, c):
        r = self.rng
        tenant, key, other = r.randint(1, self.tenants), r.randint(1, self.keys), r.randint(1, self.keys)
        kind = r.randrange(100)
        if kind < 30:
            self._insert(c)
        elif kind < 45:  # The large value is not touched.
            c.execute("UPDATE customer SET name = %s WHERE id = %s", (self._text(4), key))
        elif kind < 50:
            c.execute("UPDATE customer SET body = %s WHERE id = %s", (self._body(), key))
        elif kind < 57:  # Moves to another tenant.
            c.execute("UPDATE customer SET tenant_id = %s WHERE id = %s", (tenant, key))
        elif kind < 62:
            c.execute("UPDATE item SET at = at + interval '1 month' WHERE id = %s", (key,))
        elif kind < 67:  # Another key, where it is free.
            c.execute("UPDATE customer SET id = %s WHERE id = %s AND NOT EXISTS (SELECT FROM customer WHERE id = %s)", (other, key, other))
        elif kind < 72:
            c.execute("UPDATE item SET price = CASE WHEN price = 'NaN' THEN 1 ELSE 'NaN'::numeric END WHERE id = %s", (key,))
        elif kind < 80:
            c.execute("UPDATE stock SET qty = qty + 1 WHERE code = %s", (f"c{key},:",))
        elif kind < 98:
            table, column, value = r.choice((("customer", "id", key), ("item", "id", key), ("stock", "code", f"c{key},:")))
            c.execute(f"DELETE FROM {table} WHERE {column} = %s", (value,))
        elif kind < 99 and self.truncates > 0:
            c.execute("TRUNCATE stock")

    def take_steps(self, count: int):
        for _ in range(count):
            self.step()

    def step(self, connection: psycopg.Connection | None = None):
        """One transaction: some changes, perhaps a savepoint that is taken back, perhaps all of it."""
        c = connection or self.database.connection
        with self._lock, c.transaction(force_rollback=self.rng.random() < 0.1):
            for _ in range(self.rng.choice((1, 1, 2, 5, 12))):
                self._change(c)
            if self.rng.random() < 0.2:
                with c.transaction(force_rollback=True):
                    self._change(c)
            if self.rng.random() < 0.3:
                self._change(c)
        self.steps += 1

    @contextmanager
    def without_truncate(self):
        """What a snapshot of the source sees of a table that is truncated meanwhile is nobody's fault."""
        with self._lock:
            self.truncates -= 1
        yield
        with self._lock:
            self.truncates += 1

    # In the background, with a connection of its own.

    def start(self):
        self._stop.clear()
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def _write(self):
        connection = None
        try:
            while not self._stop.is_set():
                try:
                    connection = connection or self.database.connect()
                    self.step(connection)
                except psycopg.OperationalError:  # The server is away: what was not committed is not there.
                    connection = None
                self._stop.wait(self.pause)
        except BaseException as error:
            self._failure = error
        finally:
            if connection:
                connection.close()

    def stop(self):
        """Fails when a statement of the writer failed."""
        self._stop.set()
        self._thread.join()
        if self._failure:
            raise self._failure

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
