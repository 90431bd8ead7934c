"""Savepoints, restores and plans of compactions: what tarn makes Spark goes on with, and the reverse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.spark_session import bundle_path

PROGRAM = Path(__file__).with_name("savepoint_steps.py")
SCENARIOS = [f"{scenario} {table}" for scenario, tables in {
    "spark_sees_and_restores_ours": ("mor", "flat", "cow"), "spark_goes_on_after_ours": ("mor", "flat", "cow"),
    "spark_s_savepoint_outlives_our_clean": ("mor", "flat"),
    "restores_what_spark_wrote": ("mor", "cow"), "reads_what_spark_restored": ("mor", "cow"),
    "tarn_makes_what_spark_planned": ("spark", "mor", "flat")}.items() for table in tables]


BUNDLES = ("0.15.0", "1.2.0")


def cases_of(bundle: str, everything: bool) -> list[str]:
    """All, or every other one: each scenario with both bundles, each table of it with one."""
    return SCENARIOS if everything else SCENARIOS[BUNDLES.index(bundle)::2]


def pytest_generate_tests(metafunc):
    everything = metafunc.config.getoption("--all-hudi-tables")
    metafunc.parametrize("bundle,scenario", [(bundle, scenario) for bundle in BUNDLES for scenario in cases_of(bundle, everything)])


@pytest.fixture(scope="module")
def found(request, session_folder, cache_folder):
    """What was wrong, by bundle; both bundles' programs begin when the first is asked for."""
    everything = request.config.getoption("--all-hudi-tables")
    running: dict[str, subprocess.Popen] = {}
    known: dict[str, dict[str, list[str]]] = {}

    def folder_of(bundle: str) -> Path:
        return session_folder / f"savepoints-{bundle}"

    def start(bundle: str) -> subprocess.Popen:
        command = [sys.executable, PROGRAM, bundle_path(cache_folder, bundle), bundle, folder_of(bundle), "--only", *cases_of(bundle, everything)]
        with open(session_folder / f"savepoints-{bundle}.log", "wb") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | {"TZ": "UTC"})

    def of(bundle: str) -> dict[str, list[str]]:
        running.update({each: start(each) for each in BUNDLES if each not in running})
        if bundle not in known:
            running[bundle].wait(timeout=900)
            result = folder_of(bundle) / "savepoints.json"
            assert result.exists(), (session_folder / f"savepoints-{bundle}.log").read_text()[-3000:]
            known[bundle] = json.loads(result.read_text())
        return known[bundle]
    yield of
    for program in running.values():
        program.kill()
        program.wait()


def test_as_it_must_be(found, bundle, scenario):
    assert found(bundle)[scenario] == []
