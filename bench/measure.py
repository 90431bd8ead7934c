"""A cluster, lakes, and processes whose CPU time and memory are measured."""

import os
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg

from demo.story.cluster import BIN, Cluster


@dataclass
class Usage:
    wall_s: float
    cpu_s: float
    peak_mb: float


def measured(command: list, **options) -> Usage:
    """Runs a command to its end; raises with its output when it fails."""
    with open("/dev/null", "rb") as nothing:
        started = time.monotonic()
        process = subprocess.Popen([str(part) for part in command], stdin=nothing, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, **options)
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise RuntimeError(f"{command[0]} ended with {status}: {errors.decode()[-2000:]}")
    return Usage(time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


class Bench:
    def __init__(self, folder: Path, tarn: Path, smoke: bool):
        self.folder, self.tarn, self.smoke = folder, tarn, smoke
        self.runs = 1 if smoke else 3
        self.cluster = Cluster(folder)
        self._lakes = 0

    def __enter__(self):
        self.cluster.start()
        return self

    def __exit__(self, *_):
        self.cluster.remove()

    def dsn(self, database: str) -> str:
        return f"host={self.cluster.socket_folder} port={self.cluster.port} dbname={database} user=postgres"

    def sql(self, database: str, statement: str):
        with psycopg.connect(self.dsn(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else None

    def create(self, database: str):
        self.sql("postgres", f"CREATE DATABASE {database}")

    def lsn(self, database: str) -> str:
        return self.sql(database, "SELECT pg_current_wal_lsn()::text")[0][0]

    def lake(self, database: str, tables: str = "public.*", slot: str | None = None) -> "Lake":
        self._lakes += 1
        return Lake(self, database, tables, slot or f"bench_{self._lakes}", self.folder / f"lake{self._lakes}")


class Lake:
    def __init__(self, bench: Bench, database: str, tables: str, slot: str, folder: Path):
        self.bench, self.database, self.slot, self.folder = bench, database, slot, folder
        folder.mkdir()
        self.config = folder / "tarn.toml"
        self.config.write_text(f"""
[source]
host = "{bench.cluster.socket_folder}"
port = {bench.cluster.port}
database = "{database}"
user = "postgres"
slot = "{slot}"
publication = "{slot}"
[tables]
include = ["{tables}"]
[lake]
path = "lake"
[log]
level = "warn"
""")

    def command(self, *arguments) -> list:
        return [self.bench.tarn, "-c", self.config, *arguments]

    def run_until(self, lsn: str) -> Usage:
        return measured(self.command("run", "--until", lsn))

    def query(self, sql: str):
        out = subprocess.run(self.command("query", "--quiet", "--format", "json", sql), check=True, capture_output=True, text=True).stdout
        return [__import__("json").loads(line) for line in out.splitlines()]

    def remove(self):
        subprocess.run(self.command("remove"), check=True, capture_output=True)


def result(name: str, value: float, unit: str, yardstick: str | None = None, ratio: float | None = None) -> dict:
    return {"name": name, "value": value, "unit": unit, "yardstick": yardstick, "ratio": ratio}


def median(values) -> float:
    return statistics.median(values)


PG_RECVLOGICAL = BIN / "pg_recvlogical"
