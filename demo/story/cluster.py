"""A private PostgreSQL 15 cluster in a folder of its own, run by a user who is not root."""

import hashlib
import os
import pwd
import shutil
import subprocess
from pathlib import Path

BIN = Path("/usr/lib/postgresql/15/bin")


class Cluster:
    """`folder` holds the data; where the server's user cannot reach it, the data is in /var/tmp and linked."""

    def __init__(self, folder: Path, port: int = 5432):
        self.folder = folder
        self.port = port
        name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
        self.owner = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        # Socket addresses hold 107 bytes: the clone's own path may be longer.
        self.socket_folder = Path("/tmp") / f"tarn-demo-{name}"
        self.fallback = Path("/var/tmp") / f"tarn-demo-{name}"

    @property
    def data(self) -> Path:
        return self.folder / "pg"

    def _run(self, *command, **options):
        prefix = ["runuser", "-u", self.owner, "--"] if os.geteuid() == 0 else []
        return subprocess.run([*prefix, *map(str, command)], check=True, capture_output=True, text=True, cwd="/", **options)

    def _give(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(folder, self.owner)

    def _make_data_folder(self):
        self._give(self.data)
        try:
            self._run("test", "-w", self.data.resolve())
        except subprocess.CalledProcessError:
            self.data.rmdir()
            self._give(self.fallback)
            self.data.symlink_to(self.fallback)

    def start(self):
        """Makes the cluster the first time; starts it when it does not run."""
        self._give(self.socket_folder)
        if not (self.data.exists() and (self.data.resolve() / "PG_VERSION").exists()):
            if not self.data.exists():
                self._make_data_folder()
            self._run(BIN / "initdb", "-D", self.data.resolve(), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8")
        if self.running():
            return
        options = (f"-c wal_level=logical -c max_slot_wal_keep_size=10GB -c listen_addresses='' -p {self.port} "
                   f"-k {self.socket_folder} -c shared_buffers=256MB -c max_wal_size=2GB -c log_min_messages=warning")
        self._run(BIN / "pg_ctl", "-w", "-D", self.data.resolve(), "-l", self.data.resolve() / "server.log", "-o", options, "start")

    def running(self) -> bool:
        try:
            self._run(BIN / "pg_ctl", "-D", self.data.resolve(), "status")
            return True
        except (subprocess.CalledProcessError, FileNotFoundError):
            return False

    def stop(self, how: str = "fast"):
        if self.data.exists() and self.running():
            self._run(BIN / "pg_ctl", "-w", "-m", how, "-D", self.data.resolve(), "stop")

    def remove(self):
        self.stop("immediate")  # Nobody needs what a checkpoint would save.
        for folder in (self.data.resolve(), self.fallback, self.socket_folder):
            shutil.rmtree(folder, ignore_errors=True)
        if self.data.is_symlink():
            self.data.unlink()
