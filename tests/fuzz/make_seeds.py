#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets into tests/fuzz/seeds: one well-formed input of each kind. Usage: tests/fuzz/make_seeds.py"""

import json
import struct
import zlib
from pathlib import Path

SEEDS = Path(__file__).parent / "seeds"


def message(body: bytes) -> bytes:
    return struct.pack(">H", len(body)) + body


def cell(value: bytes | None, kind: bytes = b"t") -> bytes:
    return b"n" if value is None else kind + struct.pack(">i", len(value)) + value


def tuple_data(*values) -> bytes:
    return struct.pack(">h", len(values)) + b"".join(values)


TEXTS = [b"t", b"-7", b"2147483647", b"9223372036854775807", b"0.5", b"NaN", b"-123456789.000000001", b"12.34", b"text", b"\\x00ff",
         b"2026-02-28", b"2026-02-28 23:59:59.999999", b"2026-02-28 23:59:59.999999+00", b"23:59:59", b"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
         b'{"a": [1, null]}']
NUMERIC = struct.pack(">hhHh", 2, 0, 0x4000, 2) + struct.pack(">hh", 123, 4500)
BINARIES = [b"\x01", struct.pack(">h", -7), struct.pack(">i", 7), struct.pack(">q", 7), struct.pack(">f", 0.5), struct.pack(">d", 0.5),
            NUMERIC, NUMERIC, b"text", b"\x00\xff", struct.pack(">i", 9000), struct.pack(">q", 800_000_000_000_000),
            struct.pack(">q", 800_000_000_000_000), struct.pack(">q", 86_399_000_000), bytes(range(16)), b'\x01{"a": 1}']


def pgoutput() -> bytes:
    columns = b"".join(bytes([i == 0]) + b"c%d\0" % i + struct.pack(">Ii", 25, -1) for i in range(len(TEXTS)))
    return b"".join(map(message, [
        b"B" + struct.pack(">QqI", 1 << 24, 800_000_000_000_000, 700),
        b"R" + struct.pack(">I", 16384) + b"public\0orders\0d" + struct.pack(">h", len(TEXTS)) + columns,
        b"I" + struct.pack(">I", 0) + b"N" + tuple_data(*map(cell, TEXTS)),
        b"I" + struct.pack(">I", 0) + b"N" + tuple_data(*[cell(v, b"b") for v in BINARIES]),
        b"U" + struct.pack(">I", 0) + b"K" + tuple_data(cell(b"t"), cell(None)) + b"N" + tuple_data(cell(b"f"), b"u", cell(None)),
        b"D" + struct.pack(">I", 0) + b"O" + tuple_data(cell(b"t")),
        b"T" + struct.pack(">i", 2) + b"\0" + struct.pack(">II", 16384, 16385),
        b"C\0" + struct.pack(">QQq", 1 << 24, (1 << 24) + 48, 800_000_000_000_000)]))


def pgoutput_blocks() -> bytes:
    """Two open transactions by turns; of the first a subtransaction is rolled back; the second is rolled back whole."""
    def within(xid: int, body: bytes) -> bytes:
        return body[:1] + struct.pack(">I", xid) + body[1:]
    start, stop = lambda xid, first: b"S" + struct.pack(">IB", xid, first), b"E"
    relation = b"R" + struct.pack(">I", 16384) + b"public\0t\0d" + struct.pack(">h", 1) + b"\1id\0" + struct.pack(">Ii", 25, -1)
    insert = b"I" + struct.pack(">I", 16384) + b"N" + tuple_data(cell(b"x" * 200))
    update = b"U" + struct.pack(">I", 16384) + b"N" + tuple_data(b"u")
    return b"".join(map(message, [
        start(700, 1), within(700, relation), within(700, insert), within(701, insert), stop,
        start(800, 1), within(800, relation), within(800, insert), within(800, insert), stop,
        b"A" + struct.pack(">II", 700, 701),
        start(700, 0), within(700, relation), within(700, update), within(702, b"T" + struct.pack(">i", 1) + b"\0" + struct.pack(">I", 16384)),
        within(700, b"Y" + struct.pack(">I", 90000) + b"public\0mood\0"), b"O" + struct.pack(">Q", 5) + b"there\0", stop,
        b"A" + struct.pack(">II", 800, 800),
        b"c" + struct.pack(">IBQQq", 700, 0, 1 << 24, (1 << 24) + 48, 800_000_000_000_000)]))


def copy() -> bytes:
    row = struct.pack(">h", len(BINARIES)) + b"".join(struct.pack(">i", len(v)) + v for v in BINARIES)
    nulls = struct.pack(">h", len(BINARIES)) + struct.pack(">i", -1) * len(BINARIES)
    header = b"PGCOPY\n\377\r\n\0" + struct.pack(">ii", 0, 0)
    return bytes([len(BINARIES)]) + message(header + row) + message(nulls) + message(struct.pack(">h", -1))


def avro_long(value: int) -> bytes:
    bits, out = (value << 1) ^ (value >> 63), b""
    while bits >= 0x80:
        out, bits = out + bytes([bits & 0x7F | 0x80]), bits >> 7
    return out + bytes([bits])


def avro_text(value: bytes) -> bytes:
    return avro_long(len(value)) + value


def block(kind: int, headers: dict[int, bytes], content: bytes) -> bytes:
    body = struct.pack(">iii", 1, kind, len(headers)) + b"".join(struct.pack(">ii", k, len(v)) + v for k, v in headers.items())
    body += struct.pack(">q", len(content)) + content + struct.pack(">i", 0)
    size = len(body) + 8
    return b"#HUDI#" + struct.pack(">q", size) + body + struct.pack(">q", size + 6)


def log_block() -> bytes:
    def optional(kind):
        return ["null", kind]
    fields = [("k", "string"), ("i", optional("int")), ("l", optional("long")), ("d", optional("double")), ("b", optional("boolean")),
              ("t", optional({"type": "long", "logicalType": "timestamp-millis"})), ("day", optional({"type": "int", "logicalType": "date"})),
              ("m", optional({"type": "fixed", "name": "f", "size": 6, "logicalType": "decimal", "precision": 12, "scale": 2})),
              ("n", optional({"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}))]
    schema = json.dumps({"type": "record", "name": "r", "fields": [{"name": n, "type": t} for n, t in fields]}).encode()
    one = avro_text(b"key") + b"".join(avro_long(1) + v for v in [
        avro_long(-5), avro_long(1 << 40), struct.pack("<d", 0.5), b"\x01", avro_long(1_700_000_000_000), avro_long(20_000), bytes(6),
        avro_text(b"\x01\xff")])
    none = avro_text(b"") + avro_long(0) * 8
    records = struct.pack(">ii", 3, 2) + b"".join(struct.pack(">i", len(r)) + r for r in (one, none))
    deletes = avro_long(3) + b"".join(avro_long(1) + avro_text(b"key") + avro_long(1) + avro_text(b"tenant_id=1") + ordering
                                      for ordering in (avro_long(3) + avro_long(9), avro_long(0), avro_long(5) + struct.pack("<d", 1e300)))
    deletes += avro_long(0)
    headers = {0: b"20261122101500123", 2: schema}
    return (block(3, headers, records) + block(1, headers, struct.pack(">ii", 3, len(deletes)) + deletes)
            + block(0, {0: b"20261122101500124", 1: b"20261122101500123", 3: b"0"}, b""))


def avro_container(codec: bytes) -> bytes:
    inner = {"type": "record", "name": "Stat", "fields": [{"name": "path", "type": ["null", "string"]}, {"name": "bytes", "type": "long"}]}
    schema = {"type": "record", "name": "Metadata", "fields": [
        {"name": "version", "type": ["null", "int"]}, {"name": "parts", "type": {"type": "map", "values": {"type": "array", "items": inner}}},
        {"name": "last", "type": ["null", "Stat"]}, {"name": "ok", "type": "boolean"}, {"name": "d", "type": "double"}]}
    stat = avro_long(1) + avro_text(b"a.parquet") + avro_long(77)
    record = (avro_long(1) + avro_long(2) + avro_long(1) + avro_text(b"tenant_id=1") + avro_long(-1) + avro_long(len(stat)) + stat
              + avro_long(0) + avro_long(0) + avro_long(1) + stat + b"\x01" + struct.pack("<d", 1.5))
    packed = zlib.compress(record, wbits=-15) if codec == b"deflate" else record
    sync = b"0123456789abcdef"
    return (b"Obj\x01" + avro_long(2) + avro_text(b"avro.schema") + avro_text(json.dumps(schema).encode()) + avro_text(b"avro.codec")
            + avro_text(codec) + avro_long(0) + sync + avro_long(1) + avro_text(packed) + sync)


def s3_listing() -> bytes:
    return (b"<?xml version='1.0' encoding='UTF-8'?>\n<ListBucketResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><Prefix>a/</Prefix>"
            b"<KeyCount>2</KeyCount><IsTruncated>true</IsTruncated><NextContinuationToken>1/x=</NextContinuationToken><Contents><Key>a/b%20c</Key>"
            b"<LastModified>2026-11-22T10:15:00.000Z</LastModified><ETag>&quot;0&quot;</ETag><Size>12</Size></Contents>"
            b"<CommonPrefixes><Prefix>a/&#x1F41F;&amp;/</Prefix></CommonPrefixes><Delimiter/></ListBucketResult>")


def s3_refusal() -> bytes:
    return (b"<?xml version='1.0'?><Error><Code>AuthorizationHeaderMalformed</Code><Message>the region 'a' is wrong; expecting 'b'</Message>"
            b"<Region>b</Region><RequestId>1</RequestId></Error>")


FILTERS = ["a = TRUE AND NOT (b > -5 OR c IN (1, 2, 3))", "e <= +12.50 OR e IS NOT NULL", "f = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
           "g >= '2026-11-20' and h < '2026-11-20 09:30:00.5' OR i <> '2026-11-20 09:30:00+01'",
           "j NOT IN ('it''s', '') AND \"k\" = 'x' AND l = 'ab' AND d <> 9223372036854775807"]
ROW = [b"t", b"-7", b"2", b"9223372036854775807", b"-12.5", b"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", b"2026-11-20", b"2026-11-20 09:30:00.5",
       b"2026-11-20 08:30:00+00", b"it's", b"\0", b"ab  "]
VALUES = [("0.050", "-5.10"), ("-51", "-5"), ("2026-02-28", "0044-03-15 BC"), ("294276-12-31 23:59:59.999999", "infinity"),
          ("2026-11-20 09:30:00+01", "2026-11-20 08:30:00Z"), ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"),
          ("NaN", "-Infinity"), ("ab  ", "ab")]


TABLE = {"oid": 5, "schema": "public", "table": "notes", "lake_name": "notes", "append_only": False, "columns": [
    {"name": "id", "lake_name": "id", "type_oid": 20, "typmod": -1, "is_key": True, "attnum": 1},
    {"name": "price", "lake_name": "price", "type_oid": 1700, "typmod": 786438, "is_key": False, "attnum": 2}]}
FILE = {"path": "bronze/public/notes/20261122-101500123.parquet", "rows": 3, "bytes": 900, "crc32": 7}
FLUSH = {"version": 1, "sequence": 2, "epoch": 0, "after": "0/64", "last_commit": "0/C8", "end": "0/D0", "last_commit_micros": 5, "transactions": 1,
         "rows": 3, "last_file_name": "20261122-101500123", "tables": [TABLE],
         "events": [{"table": 0, "file": FILE}, {"table": 0, "truncate": {"lsn": 200, "ordinal": 4}},
                    {"table": 0, "copy_again": {"lsn": 200, "ordinal": 5, "reason": "its key changed"}}]}
COPY = {"version": 1, "table": TABLE, "epoch": 0, "snapshot": "0/32", "snapshot_micros": 4, "rows": 3,
        "files": [{**FILE, "path": "bronze/public/notes/LOAD00000001.parquet"}, {**FILE, "snapshot": "0/30", "again": True}]}


def main():
    filters = {f"filter/{i}": message(text.encode()) + b"".join(map(message, ROW)) for i, text in enumerate(FILTERS)}
    values = {f"filter_value/{i}": b"".join(message(text.encode()) for text in pair) for i, pair in enumerate(VALUES)}
    for name, data in {"pgoutput/all": pgoutput(), "pgoutput/blocks": pgoutput_blocks(), "copy/all": copy(), "log_block/all": log_block(),
                       "avro_container/null": avro_container(b"null"), "avro_container/deflate": avro_container(b"deflate"),
                       "s3_answer/listing": s3_listing(), "s3_answer/refusal": s3_refusal(),
                       "manifest/flush": b"\0" + json.dumps(FLUSH).encode(), "manifest/copy": b"\1" + json.dumps(COPY).encode(),
                       "manifest/position": b"\2" + b"16/B374D848", "manifest/time": b"\3" + b"2026-02-28 23:59:59.999999",
                       **filters, **values}.items():
        path = SEEDS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


if __name__ == "__main__":
    main()
