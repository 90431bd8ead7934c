"""A lake that lived for eight days: every reader finds each day of its window as it was, and it has stopped growing."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hudi import HudiReadOptions, HudiTable
from lake_days import GONE, MOMENTS, LakeDays, as_rows, days_of, difference, write_days
from read_lake_days import spark_reads

from support.spark_session import bundle_path
from support.tarn import hudi_rows, tarn_binary

PROGRAM = Path(__file__).with_name("read_lake_days.py")
OTHER_BUNDLE = "1.2.0"  # The session's Spark has 0.15.0.
EVERY_30_SECONDS = 24 * 60 * 2
MOST_LOGS = 50 + 1  # Services come after each commit.
MOST_INSTANT_FILES = 3 * (2 * 60 + 4) + 1  # Three states of what may be active, of a commit and its services; the properties.


@pytest.fixture(scope="module")
def folder(request, module_folder) -> Path:
    seed = request.config.tarn_seed
    print(f"seed {seed}")
    everything = request.config.getoption("--all-commits")
    commits_a_day = EVERY_30_SECONDS if everything else random.Random(seed).randint(40, 56)
    write_days(module_folder, seed, commits_a_day, 7200 if everything else 240)
    return module_folder


@pytest.fixture(scope="module")
def days(folder) -> LakeDays:
    days = days_of(folder)
    assert tuple(days.instants) == tuple(sorted(days.instants, key=days.instants.get)) and set(days.instants) == set(MOMENTS)
    return days


@pytest.fixture(scope="module")
def other_spark(days, folder, cache_folder):
    """Runs while the others read."""
    result = folder / "spark.json"
    with open(folder / "spark.log", "wb") as log:
        program = subprocess.Popen([sys.executable, PROGRAM, bundle_path(cache_folder, OTHER_BUNDLE), folder, result], stdout=log, stderr=log, env=os.environ | {"TZ": "UTC"})

    def found() -> dict:
        program.wait(timeout=1800)
        assert result.exists(), (folder / "spark.log").read_text(errors="replace")[-3000:]
        return json.loads(result.read_text())
    yield found
    program.kill()
    program.wait()


def judge(days: LakeDays, found: dict):
    """Fails with what is wrong."""
    assert set(found) >= set(days.kept())
    wrong = {moment: difference(found[moment], days.rows[moment]) for moment in days.kept()}
    assert not any(wrong.values()), json.dumps({moment: text for moment, text in wrong.items() if text}, indent=1)


def judge_pairs(days: LakeDays, found: dict):
    judge(days, {moment: pairs if isinstance(pairs, str) else as_rows([tuple(pair) for pair in pairs]) for moment, pairs in found.items()})


def test_statements(other_spark, days):
    judge(days, days.statements)


def test_tarn(other_spark, days):
    read = {moment: hudi_rows(days.table, ["--as-of", instant] if instant else []) for moment, instant in days.kept().items()}
    judge_pairs(days, {moment: [[row["id"], row["value"]] for row in rows] for moment, rows in read.items()})


def test_hudi_rs(other_spark, days):
    def read(instant: str | None) -> list:
        options = HudiReadOptions().with_as_of_timestamp(instant) if instant else HudiReadOptions()
        rows = [row for batch in HudiTable(str(days.table)).read(options) for row in batch.to_pylist()]
        return [[row["id"], row["value"]] for row in rows]
    judge_pairs(days, {moment: read(instant) for moment, instant in days.kept().items()})


def test_spark(other_spark, days, spark):
    judge_pairs(days, spark_reads(spark, days))


def test_other_spark(other_spark, days):
    judge_pairs(days, other_spark())


def test_what_is_outside_the_window_is_refused(days):
    """Else cleaning would not have been part of the story."""
    assert "nothing is known as of" in days.statements[GONE]
    with pytest.raises(AssertionError, match="was cleaned away"):
        hudi_rows(days.table, ["--as-of", days.instants[GONE]])


def test_is_valid(days):
    tables = [days.table, days.table.parents[1] / "quarantine/notes"]
    done = subprocess.run([tarn_binary(), "hudi", "check", *map(str, tables)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


def test_has_stopped_growing(days):
    """Once the window is full: between the halves of the day after."""
    for look in days.looks:
        print(json.dumps(look))
    day = [look for look in days.looks if look["days"] > 7]
    assert len(day) >= 8
    first, second = day[:len(day) // 2], day[len(day) // 2:]
    for what in ("files", "bytes", "archived_files", "versions", "sidecars", "plan_requests"):
        before, after = (max(look[what] for look in half) for half in (first, second))
        # The active timeline, whose length comes and goes, is a part of the little that planning asks for with few commits.
        swing = MOST_INSTANT_FILES if what == "plan_requests" else 1
        assert after <= before * 1.1 + swing, f"{what}: {before}, then {after}"
    assert max(look["logs_per_slice"] for look in days.looks) <= MOST_LOGS
    assert max(look["instants"] for look in days.looks) <= MOST_INSTANT_FILES
