"""A cluster, lakes, and processes whose CPU time and memory are measured."""

import os
import statistics
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg

from demo.story.client import Client, connect
from demo.story.cluster import BIN, Cluster


@dataclass
class Usage:
    wall_s: float
    cpu_s: float
    peak_mb: float


def memory_mb(pid: int, name: str) -> float:
    """VmRSS (now) or VmHWM (the most so far) of a process; 0 when it has ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith(name)), 0)


class PeakMemory:
    """Looks at a process's VmHWM until it ends. What wait4 says includes the memory of the process that started it."""

    def __init__(self, pid: int):
        self._pid, self._peak_mb, self._ended = pid, 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self):
        while not self._ended.wait(0.01):
            self._peak_mb = max(self._peak_mb, memory_mb(self._pid, "VmHWM"))

    def end(self) -> float:
        self._ended.set()
        self._thread.join()
        return self._peak_mb


def cpu_seconds(pid: int) -> float:
    """Of a process that runs, so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(command: list, **options) -> Usage:
    """Runs a command to its end; raises with its output when it fails."""
    started = time.monotonic()
    process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, **options)
    memory = PeakMemory(process.pid)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.monotonic() - started
    peak_mb = memory.end()
    if status != 0:
        raise RuntimeError(f"{command[0]} ended with {status}: {errors.decode()[-2000:]}")
    return Usage(wall_s, usage.ru_utime + usage.ru_stime, peak_mb)


class Bench:
    def __init__(self, folder: Path, tarn: Path, smoke: bool):
        self.folder, self.tarn, self.smoke = folder, tarn, smoke
        self.runs = 1 if smoke else 3
        self.cluster = Cluster(folder)
        self.shared: dict[str, object] = {}  # What several cases use, by its name; made by the first of them.
        self._lakes: list[Lake] = []

    def __enter__(self):
        self.cluster.start()
        return self

    def __exit__(self, *_):
        for lake in self._lakes:
            lake.stop()
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

    def lake(self, database: str, tables=("public.*",), settings: str = "") -> "Lake":
        name = f"bench_{len(self._lakes) + 1}"
        self._lakes.append(Lake(self, database, tables, name, settings))
        return self._lakes[-1]


BRONZE_ALONE = "[silver]\nenabled = false\n"


class Lake:
    """A lake of its own on one database. `settings`: further sections of tarn.toml."""

    def __init__(self, bench: Bench, database: str, tables, name: str, settings: str):
        self.bench, self.database, self.slot, self.folder = bench, database, name, bench.folder / name
        self.path = self.folder / "lake"
        self.process: subprocess.Popen | None = None
        self.folder.mkdir()
        self.config = self.folder / "tarn.toml"
        self.config.write_text(f"""
[source]
host = "{bench.cluster.socket_folder}"
port = {bench.cluster.port}
database = "{database}"
user = "postgres"
slot = "{name}"
publication = "{name}"
[tables]
include = [{", ".join(f'"{table}"' for table in tables)}]
[lake]
path = "lake"
[log]
level = "warn"
{settings}""")

    def command(self, *arguments) -> list:
        return [str(part) for part in (self.bench.tarn, "-c", self.config, *arguments)]

    def run_until(self, lsn: str) -> Usage:
        return measured(self.command("run", "--until", lsn))

    # A tarn that stays.

    def start(self) -> Client:
        with open(self.folder / "run.log", "ab") as log:
            self.process = subprocess.Popen(self.command("run"), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self.connect()

    def connect(self) -> Client:
        return connect(self.path, alive=self.is_running)

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def wait(self, client: Client, condition, seconds: float = 600, every: float = 0.02) -> dict:
        """The first status of which the condition holds."""
        deadline = time.monotonic() + seconds
        while True:
            status = client.status()
            if condition(status):
                return status
            if time.monotonic() > deadline:
                raise RuntimeError(f"tarn did not get there in {seconds} s: {status}")
            time.sleep(every)

    def wait_streaming(self, client: Client) -> dict:
        return self.wait(client, lambda status: status["phase"] == "streaming")

    def wait_caught_up(self, client: Client) -> dict:
        """Until all that is committed on the source now is in Silver."""
        # A logical message makes a transaction end behind everything before it.
        mark = lsn_value(self.bench.sql(self.database, "SELECT pg_logical_emit_message(true, 'bench', '')::text")[0][0])
        looks = []

        def there(status):
            looks.append(lsn_value(status["source"]["confirmed"]) >= mark and status["silver"]["lsn"] == status["bronze"]["lsn"])
            # Twice: an LSN is confirmed a moment before Bronze's own number moves.
            return looks[-2:] == [True, True]
        return self.wait(client, there)

    def stop(self):
        if self.is_running():
            self.process.terminate()
            self.process.wait()

    def remove(self):
        self.stop()
        subprocess.run(self.command("remove"), check=True, capture_output=True)


def lsn_value(text: str) -> int:
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def result(name: str, value: float, unit: str, yardstick: str | None = None, ratio: float | None = None) -> dict:
    return {"name": name, "value": value, "unit": unit, "yardstick": yardstick, "ratio": ratio}


def median(values) -> float:
    return statistics.median(values)


def percentile(values, share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def geometric_mean(values) -> float:
    return statistics.geometric_mean(values)


PG_RECVLOGICAL = BIN / "pg_recvlogical"
PSQL = BIN / "psql"
