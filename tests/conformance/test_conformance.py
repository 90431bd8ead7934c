"""What tarn writes by random histories is, for Spark with two bundles, for hudi-rs and for tarn, what an oracle says, in every view."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from matrix import BUNDLES, CASES, Case, drawn, excluded, for_spark_to_change
from oracle import View, differences, views_of
from other_readers import hudi_rs_reads, tarn_reads
from report import WRITER, tell
from tables import histories_of, write_tables

from support.spark_session import bundle_path
from support.tarn import tarn_binary

VIEWS, CHANGES = (Path(__file__).with_name(name) for name in ("spark_views.py", "spark_changes.py"))


def cases_of(config) -> list[Case]:
    wanted = config.getoption("--conformance-tables")
    if wanted == "drawn":
        return drawn(config.tarn_seed)
    return [case for case in CASES if wanted == "all" or case.name in wanted.split(",")]


def changed_of(config) -> list[Case]:
    return for_spark_to_change(cases_of(config), config.getoption("--conformance-tables") != "drawn")


def pytest_generate_tests(metafunc):
    if "changed" in metafunc.fixturenames:
        cases = changed_of(metafunc.config)
        metafunc.parametrize("changed", cases, ids=[case.name for case in cases])
    if "case" in metafunc.fixturenames:
        cases = cases_of(metafunc.config)
        metafunc.parametrize("case", cases, ids=[case.name for case in cases])


@pytest.fixture(scope="session")
def tables(request, session_folder) -> Path:
    print(f"seed {request.config.tarn_seed}")
    folder = session_folder / "conformance"
    write_tables(folder, cases_of(request.config), request.config.tarn_seed)
    return folder


@pytest.fixture(scope="session")
def histories(tables):
    histories = histories_of(tables)
    for name, history in histories.items():
        tell(table=name, steps=history.steps)
    return histories


class Programs:
    """Programs with a Spark each, which write down what they find."""

    def __init__(self, folder: Path):
        self.folder, self.running = folder, {}

    def start(self, name: str, program: Path, *arguments):
        """The file for its results stands where None stands."""
        result = self.folder / f"{name}.json"
        with open(result.with_suffix(".log"), "wb") as log:
            command = [sys.executable, program, *(str(result if one is None else one) for one in arguments)]
            self.running[name] = (subprocess.Popen(command, stdout=log, stderr=log), result)

    def wait(self):
        for process, _ in self.running.values():
            process.wait(timeout=1800)

    def found(self, name: str, table: str) -> dict[str, list[str]]:
        result = self.running[name][1]
        found = json.loads(result.read_text()).get(table) if result.exists() else None
        if found is None:
            pytest.fail(f"{name} ended before {table}: {result.with_suffix('.log').read_text(errors='replace')[-3000:]}")
        return found


@pytest.fixture(scope="session")
def programs(request, tables, cache_folder):
    """All at the same time: half of what they do is to wait for each other's threads."""
    programs = Programs(tables)
    for bundle in BUNDLES:
        programs.start(bundle, VIEWS, bundle_path(cache_folder, bundle), bundle, tables, request.config.tarn_seed, None)
    if changed := changed_of(request.config):
        programs.start(WRITER, CHANGES, bundle_path(cache_folder, BUNDLES[0]), tables, None, ",".join(case.name for case in changed))
    programs.wait()
    return programs


def judge(case: Case, reader: str, found: dict[str, list[str]]):
    """Fails with what is wrong; says how many views were right for the table of the matrix."""
    wrong, left_out = {}, {}
    for view, lines in found.items():
        reason = excluded(reader, lines)
        if reason:
            left_out[view] = reason
        elif lines:
            wrong[view] = lines
    tell(table=case.name, reader=reader, views=len(found), wrong=len(wrong), left_out=left_out)
    assert not wrong, json.dumps(wrong, indent=1, ensure_ascii=False)[:6000]


def read_all(read, tables: Path, history, views: list[View]) -> dict[str, list[str]]:
    found = {}
    for view in views:
        try:
            found[str(view)] = differences(history, view, read(tables / history.table, history.columns, view))
        except Exception as error:  # noqa: BLE001 Whatever way a reader fails, it is not right.
            found[str(view)] = [str(error)[:600]]
    return found


@pytest.mark.parametrize("bundle", BUNDLES)
def test_spark(programs, histories, seed, bundle, case):
    assert histories[case.name].moments, "the table has no commit"
    judge(case, f"Spark {bundle}", {view: one["wrong"] for view, one in programs.found(bundle, case.name).items()})


def test_spark_changes(programs, seed, changed):
    """Spark updates, deletes, compacts, clusters, cleans and rolls back on a copy; tarn reads what Spark reads."""
    judge(changed, WRITER, programs.found(WRITER, changed.name))


@pytest.mark.parametrize("reader", ("tarn", "hudi-rs"))
def test_reader(request, tables, histories, seed, reader, case):
    history = histories[case.name]
    views = views_of(history, tables / case.name, case.type == "mor", request.config.tarn_seed)
    judge(case, reader, read_all(tarn_reads if reader == "tarn" else hudi_rs_reads, tables, history, views))


def test_is_valid(tables, seed, case):
    """As `tarn hudi check` sees it."""
    done = subprocess.run([tarn_binary(), "hudi", "check", str(tables / case.name)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_few_tables_show_every_trait():
    everything = set().union(*(case.traits() for case in CASES))
    for seed in range(20):
        chosen = drawn(seed)
        assert set().union(*(case.traits() for case in chosen)) == everything
        assert len(chosen) < len(CASES)
