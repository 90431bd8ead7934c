#!/usr/bin/env python3
"""Records what a PostgreSQL server sends as seeds of the fuzz targets: streams of pgoutput with every kind of message, and binary COPYs.
Usage: tests/fuzz/record_seeds.py"""

import struct
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.cluster import Cluster, Database  # noqa: E402

SEEDS = Path(__file__).parent / "seeds"
MOST_BYTES = 4096  # As the targets' largest input.

# The types of values.h, in its order, and some that come as text.
TYPED = """CREATE TABLE typed (a bool, b int2, c int PRIMARY KEY, d int8, e float4, f float8, g numeric, h numeric(12,2), i text, j bytea, k date,
 l timestamp, m timestamptz, n time, o uuid, p jsonb)"""
VALUES = [
    "(true, -7, 2147483647, -9223372036854775808, 0.5, 'NaN', 123456789.000000001, 12.34, 'text', '\\x00ff', '2026-02-28', "
    "'2026-02-28 23:59:59.999999', '2026-02-28 23:59:59.999999+00', '23:59:59', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{\"a\": [1, null]}')",
    "(false, 0, 0, 0, '-Infinity', 1e300, 'NaN', -0.01, '', '', '-infinity', 'infinity', '0044-03-15 00:00:00+00 BC', '24:00', "
    "'00000000-0000-0000-0000-000000000000', '0')",
    "(NULL, NULL, -1, NULL, NULL, NULL, 1e-20, NULL, NULL, NULL, '5874897-12-31', '294276-12-31 23:59:59.999999', NULL, NULL, NULL, NULL)",
    "(NULL, NULL, 5, NULL, NULL, NULL, 'Infinity', NULL, 'ünï', NULL, '4713-01-01 BC', NULL, '1883-11-18 12:00:00-04:56:02', NULL, NULL, NULL)"]
OTHERS = """CREATE TYPE mood AS ENUM ('calm', 'merry'); CREATE DOMAIN small AS int CHECK (VALUE < 100);
CREATE TABLE own (id small PRIMARY KEY, feels mood, list int[], span tstzrange, body text); ALTER TABLE own ALTER body SET STORAGE EXTERNAL;
CREATE TABLE whole (a int, b text); ALTER TABLE whole REPLICA IDENTITY FULL;
CREATE TABLE big (id int PRIMARY KEY, v text); CREATE TABLE part (id int PRIMARY KEY) PARTITION BY HASH (id);
CREATE TABLE part_0 PARTITION OF part FOR VALUES WITH (MODULUS 1, REMAINDER 0)"""
KINDS = [
    "INSERT INTO own VALUES (1, 'calm', '{1,NULL,3}', '[2026-01-01,)', repeat('x', 2050)), (2, NULL, '[0:1]={5,6}', 'empty', NULL)",
    "UPDATE own SET feels = 'merry' WHERE id = 1",  # The body is untouched, and not sent.
    "UPDATE own SET id = 3, body = 'short' WHERE id = 1", "DELETE FROM own WHERE id = 2",
    "INSERT INTO whole VALUES (1, 'a'), (1, 'a'), (NULL, NULL)", "UPDATE whole SET b = NULL WHERE a = 1", "DELETE FROM whole WHERE a IS NULL",
    "INSERT INTO part VALUES (1), (2)", "UPDATE part SET id = 9 WHERE id = 1",
    "ALTER TABLE own ADD COLUMN more int; INSERT INTO own VALUES (4, 'calm', '{}', NULL, '', 7)",
    "SELECT pg_logical_emit_message(true, 'prefix', 'content')", "TRUNCATE own, whole", "TRUNCATE big RESTART IDENTITY CASCADE"]
ROWS_KEPT = 90  # Of a large transaction, one of so many.


def framed(messages: list[bytes]) -> bytes:
    return b"".join(struct.pack(">H", len(message)) + message for message in messages if len(message) < 3000)


def thinned(messages: list[bytes]) -> list[bytes]:
    """All but rows, and some of the rows."""
    rows, kept = 0, []
    for message in messages:
        is_row = message[:1] in b"IUD"
        rows += is_row
        if not is_row or rows % ROWS_KEPT == 1:
            kept.append(message)
    return kept


class Recorder:
    def __init__(self, database: Database):
        self.database = database
        self.slots = 0

    def stream(self, work, **options: str) -> list[bytes]:
        """The messages of what `work` does, with pgoutput's options."""
        self.slots += 1
        slot = f"record_{self.slots}"
        self.database.value("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')::text", (slot,))
        work()
        pairs = [text for pair in {"proto_version": "2", "publication_names": "all_tables", **options}.items() for text in pair]
        marks = ", ".join(["%s"] * len(pairs))
        rows = self.database.execute(f"SELECT data FROM pg_logical_slot_get_binary_changes(%s, NULL, NULL, {marks})", (slot, *pairs))
        self.database.value("SELECT pg_drop_replication_slot(%s)::text", (slot,))
        return [bytes(data) for data, in rows]

    def copy(self, columns: str, table: str) -> list[bytes]:
        with self.database.connection.cursor() as cursor, cursor.copy(f"COPY (SELECT {columns} FROM {table}) TO STDOUT (FORMAT binary)") as copy:
            return [bytes(message) for message in copy]

    def typed(self):
        self.database.execute("TRUNCATE typed; " + "; ".join(f"INSERT INTO typed VALUES {row}" for row in VALUES))
        self.database.execute("UPDATE typed SET i = 'other' WHERE c = 5; DELETE FROM typed WHERE c = -1")

    def kinds(self):
        for statement in KINDS:
            self.database.execute(statement)
        with self.database.connection.transaction():
            self.database.execute("SELECT pg_replication_origin_session_setup('elsewhere')")
            self.database.execute("INSERT INTO big VALUES (1, 'from elsewhere')")
        self.database.execute("SELECT pg_replication_origin_session_reset()")

    def large(self):
        """Sent while they are open, by turns: one commits without what a savepoint took back, one is rolled back."""
        many = "INSERT INTO big SELECT g, repeat('v', 20) FROM generate_series(%s::int, %s::int) g"
        with self.database.connect(autocommit=False) as one, self.database.connect(autocommit=False) as other:
            one.execute(many, (1000, 1400))
            other.execute(many, (5000, 5900))
            with one.transaction(force_rollback=True):
                one.execute(many, (2000, 2900))
            one.execute("UPDATE big SET v = 'new' WHERE id < 1200; DELETE FROM big WHERE id BETWEEN 1200 AND 1220; TRUNCATE whole")
            one.execute("INSERT INTO own VALUES (50, 'merry', '{}', NULL, NULL, 1)")
            one.execute("SELECT pg_logical_emit_message(true, 'prefix', 'in a block')")
            one.execute(many, (3000, 3900))
            other.rollback()
            one.commit()


def record(database: Database) -> dict[str, bytes]:
    database.execute(f"{TYPED}; {OTHERS}; CREATE PUBLICATION all_tables FOR ALL TABLES WITH (publish_via_partition_root = true)")
    database.execute("SELECT pg_replication_origin_create('elsewhere')")
    recorder = Recorder(database)
    streams = {"types": recorder.stream(recorder.typed), "types_binary": recorder.stream(recorder.typed, binary="true"),
               "kinds": recorder.stream(recorder.kinds, messages="true"),
               "streamed": thinned(recorder.stream(recorder.large, streaming="on", messages="true"))}
    seen = {message[:1] for messages in streams.values() for message in messages}
    assert seen == {bytes([kind]) for kind in b"BRYOIUDTMCSEcA"}, f"kinds of messages that were not recorded, or are new: {seen}"
    seeds = {f"pgoutput/recorded_{name}": framed(messages) for name, messages in streams.items()}
    recorder.typed()
    for name, columns, count in (("types", "*", 16), ("key", "c", 1), ("texts", "format('%s', g), i, n::text", 3)):
        seeds[f"copy/recorded_{name}"] = bytes([count]) + framed(recorder.copy(columns, "typed"))
    seeds["copy/recorded_empty"] = bytes([2]) + framed(recorder.copy("a, b", "whole WHERE false"))
    return seeds


def main():
    with tempfile.TemporaryDirectory(prefix="tarn-seeds-") as folder:
        Path(folder).chmod(0o755)
        cluster = Cluster(Path(folder) / "server", logical_decoding_work_mem="'64kB'").create()
        try:
            seeds = record(Database(cluster, "seeds"))
        finally:
            cluster.destroy()
    for name, data in seeds.items():
        assert len(data) <= MOST_BYTES, f"{name} has {len(data)} bytes"
        (SEEDS / name).write_bytes(data)


if __name__ == "__main__":
    main()
