"""Rows into PostgreSQL by COPY, all in one transaction: a shop is seeded as a whole or not at all."""

import time

ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def escaped(text):
    """A text as COPY's text format wants it."""
    return text.translate(ESCAPES)


class CopySink:
    """Collects lines in COPY's text format by table and sends them in chunks; memory is bounded by the chunk."""

    CHUNK_LINES = 20_000

    def __init__(self, cursor, columns, report):
        self._cursor = cursor
        self._columns = columns
        self._report = report
        self._lines = {table: [] for table in columns}
        self._started = self._last_report = time.monotonic()
        self.rows = dict.fromkeys(columns, 0)

    def add(self, table, line):
        lines = self._lines[table]
        lines.append(line)
        if len(lines) >= self.CHUNK_LINES:
            self.flush(table)

    def flush(self, table):
        lines = self._lines[table]
        if not lines:
            return
        lines.append("")
        with self._cursor.copy(f"COPY {table} ({', '.join(self._columns[table])}) FROM STDIN") as copy:
            copy.write("\n".join(lines).encode())
        self.rows[table] += len(lines) - 1
        lines.clear()
        if time.monotonic() - self._last_report >= 2:
            self.progress()

    def flush_all(self):
        for table in self._lines:
            self.flush(table)

    def progress(self):
        self._last_report = time.monotonic()
        total = sum(self.rows.values())
        seconds = self._last_report - self._started
        self._report(f"{total:>12,} rows in {seconds:6.1f} s  ({total / max(seconds, 1e-3):>9,.0f} rows/s)")


class SetAsideConstraints:
    """Drops the tables' foreign keys and plain indexes and makes them again at the end.

    A foreign key checked row by row costs more than the load; made again it is checked by one join, and so proves
    that the seeded rows fit together.
    """

    FOREIGN_KEYS = """
        SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid)
        FROM pg_constraint WHERE contype = 'f' AND conrelid = ANY(%s::regclass[]) ORDER BY 1, 2"""
    INDEXES = """
        SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
        FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid
        WHERE i.indrelid = ANY(%s::regclass[]) AND c.oid IS NULL ORDER BY 1"""

    def __init__(self, cursor, tables):
        self._cursor = cursor
        cursor.execute(self.FOREIGN_KEYS, [tables])
        self._keys = cursor.fetchall()
        cursor.execute(self.INDEXES, [tables])
        self._indexes = cursor.fetchall()

    def drop(self):
        for table, name, _ in self._keys:
            self._cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        for name, _ in self._indexes:
            self._cursor.execute(f"DROP INDEX {name}")

    def restore(self):
        for _, definition in self._indexes:
            self._cursor.execute(definition)
        for table, name, definition in self._keys:
            self._cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
