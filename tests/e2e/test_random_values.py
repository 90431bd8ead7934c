"""Random values of the types that have most of them: through COPY and statements, by first copy and by stream."""

from __future__ import annotations

import random
import struct

from support.round_trip import PLAIN, differences

TYPES = {
    "free": "numeric", "price": "numeric(12,2)", "wide": "numeric(38,10)", "tiny": "numeric(38,38)", "huge": "numeric(1000,500)",
    "coarse": "numeric(5,-3)", "at": "timestamptz", "local": "timestamp", "day": "date", "clock": "time", "zoned": "timetz",
    "span": "interval", "words": "text", "short": "varchar(7)", "padded": "char(9)", "f8": "double precision", "f4": "real",
    "bytes": "bytea", "doc": "jsonb", "raw_doc": "json", "numbers": "bigint[]", "texts": "text[]", "prices": "numeric[]",
    "moments": "timestamptz[]", "grids": "integer[]", "spans": "interval[]", "period": "tstzrange", "bits": "varbit",
}
# Rows with a value that the lake's types cannot hold, by the source's own functions.
REFUSED = """coalesce(price = 'NaN', false) OR coalesce(wide = 'NaN', false) OR coalesce(tiny = 'NaN', false) OR
  coalesce(NOT isfinite(at) OR extract(year FROM at) NOT BETWEEN 1 AND 9999, false) OR
  coalesce(NOT isfinite(local) OR extract(year FROM local) NOT BETWEEN 1 AND 9999, false) OR
  coalesce(NOT isfinite(day) OR extract(year FROM day) NOT BETWEEN 1 AND 9999, false)"""
PLANES = [(1, 0x7F), (0x80, 0x7FF), (0x800, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x1FFFF), (0x20000, 0xEFFFF), (0xF0000, 0x10FFFF)]


class Values:
    """Literals, by type; None is NULL. Few of them are refused: a row has many values."""

    def __init__(self, rng: random.Random):
        self.rng = rng

    def digits(self, most: int) -> str:
        return "".join(self.rng.choices("0123456789", k=self.rng.randint(1, most)))

    def numeric(self, before: int, behind: int, odd: float = 0.02) -> str:
        if self.rng.random() < odd:
            return "NaN"
        whole = self.digits(before) if before else "0"
        fraction = "." + self.digits(behind) if behind and self.rng.random() < 0.8 else ""
        return self.rng.choice(["", "-"]) + whole + fraction

    def text(self, most: int) -> str:
        def letter():
            return chr(self.rng.randint(*self.rng.choice(PLANES))) if self.rng.random() < 0.7 else self.rng.choice(" ,{}\"\\\t\n'()NUL")
        return "".join(letter() for _ in range(self.rng.randint(0, most)))

    def date(self, odd: float) -> str:
        if self.rng.random() < odd:
            return self.rng.choice(["infinity", "-infinity", "0001-12-31 BC", "10000-01-01", "4700-06-05 BC", "200000-02-29"])
        return f"{self.rng.randint(1, 9999):04}-{self.rng.randint(1, 12):02}-{self.rng.randint(1, 28):02}"

    def time(self) -> str:
        clock = f"{self.rng.randint(0, 23):02}:{self.rng.randint(0, 59):02}:{self.rng.randint(0, 59):02}"
        return clock + (f".{self.rng.randint(0, 999999):06}" if self.rng.random() < 0.7 else "")

    def zone(self) -> str:
        return f"{self.rng.choice('+-')}{self.rng.randint(0, 15):02}:{self.rng.randint(0, 59):02}:{self.rng.randint(0, 59):02}"

    def timestamp(self, zone: bool, odd: float = 0.02) -> str:
        date = self.date(odd)
        if "infinity" in date:
            return date
        day, *era = date.split(" ")
        return " ".join([day, self.time() + (self.zone() if zone else ""), *era])

    def interval(self) -> str:
        def field(most):
            return self.rng.randint(-most, most)
        micros = f"{abs(field(10**6)) % 10**6:06}"
        return f"{field(10**6)} years {field(100)} mons {field(10**6)} days {field(10**5)} hours {field(100)}.{micros} seconds"

    def float(self, form: str) -> str:
        value, = struct.unpack(form, self.rng.randbytes(struct.calcsize(form)))
        return self.rng.choice([repr(value), repr(value), "NaN", "-Infinity", "-0"])

    def json(self, depth: int = 3):
        kinds = ["text", "number", "null"] + (["list", "map"] * 2 if depth else [])
        kind = self.rng.choice(kinds)
        if kind == "text":
            escaped = self.text(9).replace("\\", "\\\\").replace('"', '\\"')
            return '"' + "".join(c if c >= " " else f"\\u{ord(c):04x}" for c in escaped) + '"'
        if kind == "number":
            return str(int(self.digits(30))) + self.rng.choice(["", ".10", "e5", "E-7"])
        if kind == "null":
            return self.rng.choice(["null", "true", "false"])
        parts = [self.json(depth - 1) for _ in range(self.rng.randint(0, 4))]
        if kind == "list":
            return "[" + " , ".join(parts) + "]"
        return "{" + ",".join(f'"{self.rng.choice("abü")}": {part}' for part in parts) + "}"

    def array(self, element, dimensions: int | None = None) -> str:
        def quoted():
            if self.rng.random() < 0.1:
                return "NULL"
            return '"' + element().replace("\\", "\\\\").replace('"', '\\"') + '"'
        sizes = [self.rng.randint(1, 4) for _ in range(dimensions or self.rng.choice([0, 1, 1, 1, 2, 3]))]
        if not sizes:
            return "{}"
        bounds = ""
        if self.rng.random() < 0.3:
            starts = [self.rng.randint(-5, 5) for _ in sizes]
            bounds = "".join(f"[{start}:{start + size - 1}]" for start, size in zip(starts, sizes, strict=True)) + "="

        def level(left):
            parts = [level(left[1:]) for _ in range(left[0])] if left else None
            return quoted() if parts is None else "{" + ",".join(parts) + "}"
        return bounds + level(sizes)

    def of(self, column: str) -> str | None:
        r = self.rng
        if r.random() < 0.1:
            return None
        make = {
            "free": lambda: r.choice([self.numeric(200, 200), self.numeric(9, 3), "Infinity", f"1e{r.randint(-16000, 100000)}"]),
            "price": lambda: self.numeric(10, 2), "wide": lambda: self.numeric(28, 10), "tiny": lambda: self.numeric(0, 38),
            "huge": lambda: self.numeric(500, 500), "coarse": lambda: self.numeric(7, 0, 0),
            "at": lambda: self.timestamp(True), "local": lambda: self.timestamp(False), "day": lambda: self.date(0.02),
            "clock": self.time, "zoned": lambda: self.time() + self.zone(), "span": self.interval,
            "words": lambda: self.text(r.choice([5, 50, 3000])), "short": lambda: self.text(7), "padded": lambda: self.text(9),
            "f8": lambda: self.float("<d"), "f4": lambda: self.float("<f"),
            "bytes": lambda: "\\x" + r.randbytes(r.choice([0, 1, 40, 4000])).hex(), "doc": self.json, "raw_doc": self.json,
            "numbers": lambda: self.array(lambda: str(r.randint(-2**63, 2**63 - 1))), "texts": lambda: self.array(lambda: self.text(8)),
            "prices": lambda: self.array(lambda: self.numeric(30, 30, 0.1)),
            "moments": lambda: self.array(lambda: self.timestamp(True, 0.3)),
            "grids": lambda: self.array(lambda: str(r.randint(-2**31, 2**31 - 1)), 2),
            "spans": lambda: self.array(self.interval),
            "period": lambda: f'["{r.randint(1, 2000):04}-01-01 {self.time()}","{r.randint(2001, 9999)}-01-01 {self.time()}")',
            "bits": lambda: "".join(r.choices("01", k=r.randint(0, 70))),
        }
        return make[column]()

    def row(self) -> list[str | None]:
        return [self.of(column) for column in TYPES]


def test_random_values_are_the_source_s(source, worker, seed):
    """Rows by COPY and by INSERT, before the first copy and while it follows; updates of some columns; then from Bronze again."""
    values = Values(random.Random(seed))
    for setting in PLAIN:
        source.execute(f"SET {setting}")
    source.execute(f"CREATE TABLE drawn (id int PRIMARY KEY, {', '.join(f'{c} {k}' for c, k in TYPES.items())})")
    count = 0

    def write(by_copy: int, by_insert: int):
        nonlocal count
        with source.connection.cursor().copy(f"COPY drawn (id, {', '.join(TYPES)}) FROM STDIN") as copy:
            for _ in range(by_copy):
                count += 1
                copy.write_row([count, *values.row()])
        for _ in range(by_insert):
            count += 1
            source.execute(f"INSERT INTO drawn VALUES ({', '.join(['%s'] * (len(TYPES) + 1))})", [count, *values.row()])

    def change(rows: int):
        for _ in range(rows):
            chosen = values.rng.sample(list(TYPES), 3)
            source.execute(f"UPDATE drawn SET {', '.join(f'{c} = %s' for c in chosen)} WHERE id = %s",
                           [*map(values.of, chosen), values.rng.randint(1, count)])

    def check():
        good = {key for key, in source.execute(f"SELECT id FROM drawn WHERE NOT ({REFUSED})")}
        assert 0 < len(good) < count
        assert not differences(tarn, source, "drawn", TYPES, good, [])
        assert {row["id"] for row in tarn.query("SELECT id FROM quarantine.drawn")} == set(range(1, count + 1)) - good
        tarn.verify()

    source.connection.prepare_threshold = None
    write(200, 50)
    tarn = worker.tarn(source).start()
    write(200, 50)
    tarn.wait_caught_up()
    check()
    change(300)
    tarn.wait_caught_up()
    check()
    assert tarn.stop() == 0
    tarn.must("rebuild")
    tarn.start().wait_caught_up()
    check()
