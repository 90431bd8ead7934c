"""A PostgreSQL cluster of the tests' own: made, started, stopped, killed, thrown away."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import psycopg

SETTINGS = {
    "listen_addresses": "'127.0.0.1'",
    "wal_level": "logical",
    "max_replication_slots": "40",
    "max_wal_senders": "40",
    "max_connections": "100",
    "max_slot_wal_keep_size": "'2GB'",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "'64MB'",
    "wal_sender_timeout": "'20s'",
    "log_min_messages": "warning",
}


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(condition, seconds: float = 30, what: str = "the condition", every: float = 0.05):
    """The first true value of `condition()`; fails with `what` when it does not come."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come within {seconds} s")
        time.sleep(every)


def is_alive(pid: str) -> bool:
    """A zombie is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def as_server_user(command: list[str]) -> list[str]:
    """PostgreSQL's programs refuse to run as root."""
    return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else command


def other_version(cache_folder: Path, folder: Path, major: int) -> Path:
    """The programs of a version that scripts/setup keeps, in `folder`: a home's cache is closed to the server's user."""
    def link(source, target):
        try:
            os.link(source, target)
        except OSError:  # Another file system.
            shutil.copy2(source, target)
    shutil.copytree(cache_folder / f"postgres-{major}", folder, symlinks=True, copy_function=link)
    for path in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        path.chmod(0o755)
    return folder / "bin"


class Cluster:
    """One server, reachable through its Unix socket and over TCP. Everyone is trusted over the socket; over TCP with
    `auth`, or as the lines `hba` of pg_hba.conf say. `bin`: another version's programs, initdb, pg_ctl and postgres."""

    def __init__(self, folder: Path, auth: str = "trust", hba: str | None = None, bin: Path | None = None, **settings: str):
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self.hba = hba or f"host all all 127.0.0.1/32 {auth}\nhost replication all 127.0.0.1/32 {auth}\n"
        self.settings = {**SETTINGS, **settings}
        self.bin = bin or Path(subprocess.check_output(["pg_config", "--bindir"], text=True).strip())

    def create(self) -> "Cluster":
        self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
        lines = [f"{name} = {value}" for name, value in self.settings.items()]
        lines += [f"port = {self.port}", f"unix_socket_directories = '{self.folder}'"]
        with open(self.data / "postgresql.auto.conf", "a") as f:
            f.write("\n".join(lines) + "\n")
        (self.data / "pg_hba.conf").write_text(
            "local all all trust\nlocal replication all trust\n" + self.hba)
        self.start()
        return self

    def _run(self, program: str, *arguments) -> str:
        command = as_server_user([str(self.bin / program), *map(str, arguments)])
        done = subprocess.run(command, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, cwd="/")
        assert done.returncode == 0, f"{program}: {done.stdout}"
        return done.stdout

    def start(self):
        # The server keeps its standard output open: no pipe for it.
        command = [str(self.bin / "pg_ctl"), "-D", str(self.data), "-l", str(self.folder / "log"), "-w", "start"]
        done = subprocess.run(as_server_user(command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, cwd="/")
        assert done.returncode == 0, (self.folder / "log").read_text()[-2000:]

    def stop(self, mode: str = "fast"):
        if (self.data / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", self.data, "-m", mode, "-w", "stop")

    def standby(self, folder: Path) -> "Cluster":
        """A running copy that follows this server, asynchronously; without its replication slots, as PostgreSQL 15 has it."""
        copy = Cluster(folder, hba=self.hba, bin=self.bin, **self.settings)
        folder.mkdir(mode=0o755, parents=True)
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        self._run("pg_basebackup", "-D", copy.data, "-h", self.folder, "-p", self.port, "-U", "postgres", "-X", "stream", "-R",
                  "--no-sync", "-c", "fast")
        with open(copy.data / "postgresql.auto.conf", "a") as f:
            f.write(f"port = {copy.port}\nunix_socket_directories = '{folder}'\n")
        copy.start()
        return copy

    def take_over(self, primary: "Cluster"):
        """This stopped standby becomes the server at the address of `primary`, which is dead."""
        with open(self.data / "postgresql.auto.conf", "a") as f:
            f.write(f"port = {primary.port}\nunix_socket_directories = '{primary.folder}'\n")
        self.start()
        self.promote()

    def promote(self):
        """A standby becomes a primary, where it is."""
        self._run("pg_ctl", "-D", self.data, "-w", "promote")

    def restart(self):
        self.stop()
        self.start()

    def pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def kill(self):
        """As a power cut: the postmaster dies at once, its children notice."""
        pid = self.pid()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not any(is_alive(child) for child in [str(pid), *children]), 30, "the death of the server")
        # Where nobody reaps it, the dead postmaster's number would count as a running one's.
        for lock in (self.data / "postmaster.pid", self.folder / f".s.PGSQL.{self.port}.lock"):
            lock.unlink()

    def log_text(self) -> str:
        return (self.folder / "log").read_text()

    def connect(self, database: str = "postgres", **options) -> psycopg.Connection:
        """Autocommit unless told otherwise."""
        options = {"user": "postgres", "autocommit": True, **options}
        return psycopg.connect(host=str(self.folder), port=self.port, dbname=database, **options)

    def execute(self, sql: str, parameters=None, database: str = "postgres") -> list:
        with self.connect(database) as connection:
            cursor = connection.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []

    def destroy(self):
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)


class Database:
    """One test's database."""

    def __init__(self, cluster: Cluster, name: str):
        self.cluster = cluster
        self.name = name
        with cluster.connect() as connection:
            # Through the log, which newer versions do, takes twice as long.
            how = "STRATEGY file_copy" if connection.info.server_version >= 150_000 else ""
            connection.execute(f'CREATE DATABASE "{name}" {how}')
        self.connection = cluster.connect(name)

    def execute(self, sql: str, parameters=None) -> list:
        cursor = self.connection.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else []

    def value(self, sql: str, parameters=None):
        return self.execute(sql, parameters)[0][0]

    def connect(self, **options) -> psycopg.Connection:
        return self.cluster.connect(self.name, **options)

    def reconnect(self):
        """After the server was restarted."""
        self.connection.close()
        self.connection = self.cluster.connect(self.name)

    def mark(self) -> str:
        """An LSN behind everything that is committed now; the server has WAL after it."""
        return self.value("SELECT pg_logical_emit_message(true, 'test', 'mark')::text")

    def drop(self):
        self.connection.close()
        for slot, in self.cluster.execute("SELECT slot_name FROM pg_replication_slots WHERE database = %s", (self.name,)):
            self.cluster.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = %s "
                                 "AND active_pid IS NOT NULL", (slot,))
            wait_for(lambda: self._drop_slot(slot), 20, f"the end of slot {slot}")
        self.cluster.execute(f'DROP DATABASE "{self.name}" WITH (FORCE)')

    def _drop_slot(self, slot: str) -> bool:
        try:
            self.cluster.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s",
                                 (slot,))
            return True
        except psycopg.errors.ObjectInUse:
            return False
