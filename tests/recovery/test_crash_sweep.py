"""The crash matrix: at every fault point, on a first and on a later visit, tarn dies, and with it what it had not made durable
(support/lossy_disk.c); the next start makes it good.

One source with one seeded writer; every case has a lake and a slot of its own, several at a time (most of their time is
waiting). The cases' outcomes are the tests."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from support.cluster import Database, wait_for
from support.history import History
from support.preload import lossy_disk
from support.shifted_clock import shifted_clock
from support.tarn import Tarn
from support.worker import Worker

from recovery.fault_points import OLD, THIRD_COMMIT, WAYS
from recovery.table_commands import TableCommands

CASES = [(point, visit) for point in WAYS for visit in ("first", "later")]
CRASHED = 137
TOGETHER = 7
HOUR = 3600


def has_leftovers(lake: Path) -> bool:
    """Whether a commit that was cut off had written files: some, such as those of a TRUNCATE of nothing, have none."""
    for inflight in lake.glob("*/*/.hoodie/*.deltacommit.inflight"):
        instant = inflight.name.split(".")[0]
        if inflight.with_suffix("").exists():
            continue
        for path in inflight.parents[1].rglob("*"):
            if path.is_file() and ".hoodie" not in path.parts and (instant in path.name or instant.encode() in path.read_bytes()):
                return True
    return False


def share(source: str, target: str):
    """The thousands of files of a lake are written once and never changed; but for the key indexes."""
    if "keys" in Path(source).parts:
        shutil.copy2(source, target)
    else:
        os.link(source, target)


class Sweep:
    def __init__(self, folder: Path, source: Database, history: History, pool: ThreadPoolExecutor):
        self.folder = folder
        self.source = source
        self.history = history
        self.old: Future = pool.submit(self._make_old)
        self.tables = TableCommands(folder)

    def _tarn(self, name: str, staged: bool = False, **source: str | int) -> Tarn:
        return Tarn(self.folder / name, self.source, names="sweep_" + name.replace(".", "_"), source={"copy_save_ms": 0, **source},
                    tenants={"column": "tenant_id"}, lake={"time_travel_hours": 1}, silver={"commit_interval_ms": 20 if staged else 0})

    def _make_old(self) -> Tarn:
        """A lake of three hours ago."""
        self.history.pause = 0.03
        tarn = self._tarn("old_lake")
        tarn.start(environment=shifted_clock(self.folder, -3 * HOUR))
        hoodie = tarn.lake / "silver/customer/.hoodie"
        wait_for(lambda: len(list(hoodie.glob("*.commit"))) >= 2 and len(list(hoodie.glob("*.deltacommit"))) >= 70, 60,
                 "an old lake", every=0.2)
        assert tarn.stop() == 0, tarn.log_tail()
        self.history.pause = 0.2
        return tarn

    def _begin(self, name: str, start: str, staged: bool, pieces: bool) -> Tarn:
        source: dict[str, str | int] = {"piece_kb": 1} if pieces else {}
        if start != OLD:
            return self._tarn(name, staged, **source)
        old = self.old.result()
        # A copied slot is older than any publication that is made now.
        tarn = self._tarn(name, staged, publication=old.sections["source"]["publication"], **source)
        shutil.copytree(old.lake, tarn.lake, copy_function=share, ignore=shutil.ignore_patterns("*.sock", "writer.lock"))
        names = (old.sections["source"]["slot"], tarn.sections["source"]["slot"])
        self.source.cluster.execute("SELECT pg_copy_logical_replication_slot(%s, %s)", names, database=self.source.name)
        return tarn

    def _crash(self, tarn: Tarn, fault: str, archives: bool):
        if archives:
            self._two_days_later(tarn)
        clock = ["shifted_clock"] if "CLOCK_SHIFT" in tarn.environment else []
        tarn.start(wait=False, environment={"TARN_FAULT": fault, **lossy_disk(self.folder, tarn.lake, *clock)})
        code = tarn.wait_exit(40)
        assert code == CRASHED, f"{fault}: exit code {code}\n{tarn.log_tail()}"
        assert f"fault point {fault.split(':')[0]} reached" in tarn.log_tail()
        assert "names are lost" in tarn.log_tail()

    def _two_days_later(self, tarn: Tarn):
        tarn.environment = shifted_clock(self.folder, int(tarn.environment.get("CLOCK_SHIFT", 0)) + 48 * HOUR)

    def _crash_returning(self, tarn: Tarn, fault: str):
        """The lake was made under a rule that refuses customers; it is another one now."""
        model = tarn.folder / "models/silver/customer.yml"
        model.parent.mkdir(parents=True, exist_ok=True)
        tarn.sections["gold"]["models"] = str(tarn.folder / "models")
        tarn.write_config()
        model.write_text("table: customer\nrules:\n  - {name: nobody, check: id < 0}\n")
        tarn.start()
        wait_for(lambda: tarn.value("SELECT count(*) FROM quarantine.customer") > 0, 60, "refused rows")
        assert tarn.stop() == 0, tarn.log_tail()
        model.write_text("table: customer\n")
        outcome = tarn.command("quarantine", "retry", "customer", environment={"TARN_FAULT": fault, **lossy_disk(self.folder, tarn.lake)})
        assert outcome.code == CRASHED, outcome.text

    def _recover(self, tarn: Tarn):
        tarn.start().wait_status(lambda status: not status["copies"]["wanted"], what="the copies")
        with self.history.without_truncate():
            tables = tarn.verify()
        assert all(table["equal"] for table in tables.values()), tables
        tarn.bronze_verified()

    def _drop_slot(self, tarn: Tarn):
        self.source.cluster.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s "
                                    "AND NOT active", (tarn.sections["source"]["slot"],))

    def run(self, point: str, visit: str):
        way = WAYS[point]
        if way.command:
            return self.tables.run(way.command, point, visit, way.visit)
        later = visit == "later"
        tarn = self._begin(f"{point}.{visit}", beginning(point, visit), way.staged[later], way.pieces)
        if way.archives:
            tarn.sections["bronze"] = {"archive_after_hours": 1, "keep_days": 1}
            tarn.write_config()
        try:
            for _ in range(2 if visit == "later" and way.visit == 1 else 1):
                for _ in range(5 if way.after else 0):
                    self._crash(tarn, way.after, way.archives)
                    if way.after != THIRD_COMMIT or has_leftovers(tarn.lake):
                        break
                if way.copies:
                    tarn.must("resync", "customer")
                if way.drops_slot:
                    self._drop_slot(tarn)
                if way.returns:
                    self._crash_returning(tarn, point)
                    continue
                self._crash(tarn, point if visit == "first" or way.visit == 1 else f"{point}:{way.visit}", way.archives)
            self._recover(tarn)
            if visit == "first":
                assert tarn.stop() == 0, tarn.log_tail()
                tarn.check_tables()
            else:  # It goes on, and a crash without warning after all of it is mended too.
                tarn.kill()
                self._recover(tarn)
        finally:
            tarn.close()
            self._drop_slot(tarn)  # One that nobody reads would have the server keep its WAL.
            shutil.rmtree(tarn.lake, ignore_errors=True)


def beginning(point: str, visit: str) -> str:
    return WAYS[point].later if visit == "later" else WAYS[point].first


@pytest.fixture(scope="module")
def outcomes(request, session_folder, cluster):
    """Case to its Future; all run from the start, whatever order the tests are asked in."""
    folder = session_folder / "sweep"
    folder.mkdir(mode=0o755)
    worker = Worker(folder)
    seed = request.config.tarn_seed
    print(f"seed {seed}")
    source = worker.database(cluster)
    history = History(source, seed).create()
    history.start()
    asked = {tuple(item.callspec.params.values()) for item in request.session.items if "test_crash" in item.name}
    pool = ThreadPoolExecutor(TOGETHER)
    try:
        sweep = Sweep(folder, source, history, pool)
        # Those that begin without a lake go while the old one is being made.
        yield {case: pool.submit(sweep.run, *case) for case in sorted(CASES, key=lambda case: beginning(*case) == OLD) if case in asked}
    finally:
        pool.shutdown(cancel_futures=True)
        history.stop()
        worker.close()


@pytest.mark.parametrize("point,visit", CASES)
def test_crash(outcomes: dict[tuple, Future], point: str, visit: str):
    """Reached, died with 137, started again, equal to the source."""
    outcomes[point, visit].result()
