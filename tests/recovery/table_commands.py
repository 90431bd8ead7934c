"""`tarn hudi savepoint`, `restore` and `cluster`, cut off at a fault point and given again."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from threading import Lock

from support.preload import lossy_disk
from support.sample_tables import as_sample, write_sample_tables
from support.tarn import hudi_rows, tarn_binary

CRASHED = 137
SAVED = 9  # Of the sample's moments: behind a compaction, with logs.


class TableCommands:
    """Threads: any; each case has a table of its own."""

    def __init__(self, folder: Path):
        self.folder, self.made, self.lock = folder, None, Lock()

    @property
    def sample(self):
        with self.lock:
            self.made = self.made or write_sample_tables(self.folder / "sample")
            return self.made

    def _tarn(self, *arguments, fault: str | None = None) -> subprocess.CompletedProcess:
        environment = os.environ | ({"TARN_FAULT": fault, **lossy_disk(self.folder, self.folder)} if fault else {})
        return subprocess.run([tarn_binary(), "hudi", *map(str, arguments)], capture_output=True, text=True, timeout=120, env=environment)

    def _must(self, *arguments):
        done = self._tarn(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr

    def _valid_but_for_the_restore(self, table: Path):
        told = self._tarn("check", table).stdout.strip().splitlines()[:-1]
        assert not [line for line in told if ".restore." not in line], told

    def run(self, command: str, point: str, visit: str, nth: int):
        """The first crash is at the first visit. The later one at the nth, or behind a crash in the midst."""
        table = Path(shutil.copytree(self.sample.path("mor"), self.folder / f"{point}.{visit}"))
        instant, saved = self.sample.moments["mor"][SAVED]
        newest = self.sample.moments["mor"][-1][1]
        arguments = {"savepoint": ("savepoint", table, "--at", instant), "restore": ("restore", table, "--to", instant),
                     "delete": ("savepoint", table, "--delete", "--at", instant), "cluster": ("cluster", table, "--beside-others")}[command]
        if command != "savepoint":
            self._must("savepoint", table, "--at", instant)
        fault = point if visit == "first" or nth == 1 else f"{point}:{nth}"
        crashed = self._tarn(*arguments, fault=fault)
        assert crashed.returncode == CRASHED, crashed.stdout + crashed.stderr
        if visit == "later" and nth == 1 and point != "hudi.restore.after_complete":
            # Once more, at the same place when the next run comes by there.
            assert self._tarn(*arguments, fault=point).returncode in (0, 1, CRASHED)
        found = as_sample(hudi_rows(table, []))
        assert found in ((newest, saved) if command == "restore" else (newest,))
        assert as_sample(hudi_rows(table, ["--as-of", instant])) == saved
        self._valid_but_for_the_restore(table)
        # Nobody else is there who would wait until a sign of life is old.
        again = self._tarn(*[argument for argument in arguments if argument != "--beside-others"])
        done = again.returncode == 0 or "already" in again.stderr or (command == "delete" and "no savepoint" in again.stderr)
        assert done, again.stdout + again.stderr
        self._must("check", table)
        assert as_sample(hudi_rows(table, [])) == (saved if command == "restore" else newest)
        left = [path.name for path in (table / ".hoodie").glob("*.savepoint*")]
        assert sorted(left) == ([] if command == "delete" else [f"{instant}.savepoint", f"{instant}.savepoint.inflight"])
        shutil.rmtree(table)
