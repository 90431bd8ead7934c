"""Connections that write at the same time, each by a random number generator of its own."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import psycopg

from support.cluster import Database

from .operations import Step, random_step
from .shapes import Column, Table

# What an application meets and tries again: deadlocks, locks, constraints, a server that is away.
EXPECTED = (psycopg.OperationalError, psycopg.IntegrityError)


class Journal:
    """What was done, in order, by whom."""

    def __init__(self, path: Path):
        self._file = open(path, "w")
        self._lock = threading.Lock()
        self._start = time.monotonic()

    def add(self, who: str, what: str):
        with self._lock:
            self._file.write(f"{time.monotonic() - self._start:8.3f} {who:<9} {what}\n")
            self._file.flush()

    def close(self):
        self._file.close()


class Writer:
    """One connection. Its work of one round is a number of transactions."""

    def __init__(self, name: str, seed: str, database: Database, tables: list[Table], journal: Journal):
        self.name, self.seed, self.database, self.tables, self.journal = name, seed, database, tables, journal
        self.calm = True
        self.done = 0
        self.committed = 0
        self._connection: psycopg.Connection | None = None
        self._pending: list[tuple[Table, Column]] = []  # Added in the transaction that is open.
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def start(self, turn: int, transactions: int):
        rng = random.Random(f"{self.seed}/{self.name}/{turn}")
        self._thread = threading.Thread(target=self._work, args=(rng, transactions), name=self.name)
        self._thread.start()

    def is_busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def join(self):
        """Fails when a statement failed that has no right to."""
        if self._thread:
            self._thread.join()
        if self._failure:
            raise self._failure

    def close(self):
        if self._connection:
            self._connection.close()

    def _work(self, rng: random.Random, transactions: int):
        try:
            for _ in range(transactions):
                self._transaction(rng)
                self.done += 1
        except BaseException as error:
            self.journal.add(self.name, f"FAILED {error!r}")
            self._failure = error

    def _connect(self):
        while self._connection is None:
            try:
                self._connection = self.database.connect(prepare_threshold=None)
                self._connection.execute("SET lock_timeout = '2s'; SET deadlock_timeout = '100ms'")
                for table, column in self._pending:  # Was it committed when the server went?
                    if self._connection.execute("SELECT 1 FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s",
                                                (table.name, column.name)).fetchone():
                        table.columns.append(column)
                self._pending = []
            except psycopg.OperationalError:
                self._connection = None
                time.sleep(0.02)  # A pace, not a wait: the server is away.

    def _execute(self, sql: str):
        self.journal.add(self.name, sql)
        self._connection.execute(sql)

    def _transaction(self, rng: random.Random):
        self._connect()
        steps, abort = rng.choice((1, 1, 2, 3, 8)), rng.random() < 0.1
        # Decided now, so that an error leaves the numbers that follow as they are.
        inner = random.Random(rng.random())
        try:
            self._execute("BEGIN")
            for _ in range(steps):
                self._steps(inner, 0)
            self._execute("ROLLBACK" if abort else "COMMIT")
            if not abort:
                self.committed += 1
                for table, column in self._pending:
                    table.columns.append(column)
            self._pending = []
        except EXPECTED as error:
            self.journal.add(self.name, f"-- {type(error).__name__}: {str(error).splitlines()[0]}")
            if self._connection.broken or self._connection.closed:
                self._connection.close()
                self._connection = None
            else:
                self._execute("ROLLBACK")
                self._pending = []

    def _steps(self, rng: random.Random, depth: int):
        """A step; perhaps with more of them in a savepoint that is released or taken back."""
        self._step(random_step(rng, self.tables, self.calm))
        if depth < 3 and rng.random() < 0.2:
            savepoint, back, before = f"s{depth}", rng.random() < 0.5, len(self._pending)
            self._execute(f"SAVEPOINT {savepoint}")
            for _ in range(rng.randint(1, 3)):
                self._steps(rng, depth + 1)
            self._execute(f"ROLLBACK TO {savepoint}" if back else f"RELEASE {savepoint}")
            if back:
                del self._pending[before:]

    def _step(self, step: Step):
        if step.risky:
            self._execute("SAVEPOINT risk")
        try:
            for sql in step.statements:
                self._execute(sql)
        except psycopg.IntegrityError as error:
            if not step.risky:
                raise
            self.journal.add(self.name, f"-- {type(error).__name__}")
            self._execute("ROLLBACK TO risk")
        self._pending += step.added
