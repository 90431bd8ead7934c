"""Starts and stops what the demonstration needs; remembers it in .demo/state.json so that `down` finds it again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from .cluster import Cluster

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("TARN_DEMO_FOLDER", ROOT / ".demo"))
TARN = Path(os.environ.get("TARN_BIN", ROOT / "build" / "tarn"))
SHOP = ROOT / "demo" / "shop"
DATABASE = "shop"


class Services:
    def __init__(self):
        FOLDER.mkdir(exist_ok=True)
        self.cluster = Cluster(FOLDER)
        self.config = FOLDER / "tarn.toml"
        self.lake = FOLDER / "lake"
        self.processes: dict[str, subprocess.Popen] = {}

    # What runs.

    def _remember(self, name: str, pid: int):
        state = self._state()
        state[name] = pid
        (FOLDER / "state.json").write_text(json.dumps(state))

    @staticmethod
    def _state() -> dict:
        try:
            return json.loads((FOLDER / "state.json").read_text())
        except FileNotFoundError:
            return {}

    def _end(self, name: str, seconds: float = 30):
        """Ends the process that was started under this name, if it is still that process."""
        state = self._state()
        pid = state.pop(name, None)
        (FOLDER / "state.json").write_text(json.dumps(state))
        if pid is None or not self._is_ours(pid):
            return
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while self._is_ours(pid) and time.monotonic() < deadline:
            child = self.processes.get(name)
            if child is not None and child.poll() is not None:
                return
            time.sleep(0.05)
        if self._is_ours(pid):
            os.kill(pid, signal.SIGKILL)

    @staticmethod
    def _is_ours(pid: int) -> bool:
        """A process of ours has our folder in its command line or its environment; ids are used again by others."""
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return False
        ours = any(str(path).encode() in command for path in (ROOT, FOLDER))
        return ours and state != "Z"

    def _start(self, name: str, command: list, log: str, **options) -> subprocess.Popen:
        with open(FOLDER / log, "ab") as out:
            process = subprocess.Popen([str(part) for part in command], stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                       start_new_session=True, **options)
        self.processes[name] = process
        self._remember(name, process.pid)
        return process

    # PostgreSQL and the shop.

    @property
    def dsn(self) -> str:
        return f"host={self.cluster.socket_folder} port={self.cluster.port} dbname={DATABASE} user=shop"

    def shop_environment(self) -> dict:
        return {**os.environ, "SHOP_DB_HOST": str(self.cluster.socket_folder), "SHOP_DB_PORT": str(self.cluster.port),
                "SHOP_DB_NAME": DATABASE, "SHOP_DB_USER": "shop", "PYTHONDONTWRITEBYTECODE": "1"}

    def make_database(self):
        import psycopg
        admin = f"host={self.cluster.socket_folder} port={self.cluster.port} dbname=postgres user=postgres"
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute("CREATE ROLE shop LOGIN CREATEDB")
            # tarn may replicate, and is a member of the tables' owner so that it may publish them.
            connection.execute("CREATE ROLE tarn LOGIN REPLICATION IN ROLE shop")
            connection.execute(f"CREATE DATABASE {DATABASE} OWNER shop")

    def manage(self, *arguments) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, SHOP / "manage.py", *map(str, arguments)], check=True,
                              env=self.shop_environment(), cwd=SHOP)

    def simulate(self, *arguments) -> subprocess.Popen:
        return self._start("simulate", [sys.executable, SHOP / "manage.py", "simulate", *arguments], "simulate.log",
                           env=self.shop_environment(), cwd=SHOP)

    # tarn.

    def tarn(self, *arguments, **options) -> subprocess.CompletedProcess:
        return subprocess.run([TARN, "-c", self.config, *map(str, arguments)], text=True, **options)

    def run_tarn(self) -> subprocess.Popen:
        return self._start("tarn", [TARN, "-c", self.config, "run"], "tarn.log")

    def stop(self):
        for name in ("simulate", "tarn"):
            self._end(name)
        self.cluster.stop()
