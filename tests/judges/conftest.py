"""The lake that all judges look at."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hudi_matrix import BUNDLES, cases_of

from support.judged_lake import judged_lake
from support.spark_session import bundle_path, start_spark

PROGRAM = Path(__file__).with_name("make_hudi_tables.py")


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        everything = metafunc.config.getoption("--all-hudi-tables")
        pairs = [(bundle, case) for bundle in BUNDLES for case in cases_of(bundle, everything, metafunc.config.tarn_seed)]
        metafunc.parametrize("bundle,case", pairs, ids=[f"{bundle}-{case.name}" for bundle, case in pairs])


@pytest.fixture(scope="session")
def lake(request, session_folder, cluster):
    print(f"seed {request.config.tarn_seed}")
    with judged_lake(session_folder / "judged", cluster, request.config.tarn_seed) as made:
        yield made


@pytest.fixture(scope="session")
def spark(cache_folder, session_folder):
    session = start_spark(bundle_path(cache_folder, "0.15.0"), session_folder / "warehouse")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def spark_tables(request, session_folder, cache_folder):
    """Tables of a bundle, made by one Spark each; all begin when the first are asked for."""
    running: dict[str, subprocess.Popen] = {}
    more = ["--all-hudi-tables"] if request.config.getoption("--all-hudi-tables") else []

    def folder_of(bundle: str) -> Path:
        return session_folder / f"spark-{bundle}"

    def start(bundle: str) -> subprocess.Popen:
        command = [sys.executable, PROGRAM, bundle_path(cache_folder, bundle), bundle, folder_of(bundle), str(request.config.tarn_seed), *more]
        with open(session_folder / f"spark-{bundle}.log", "wb") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | {"TZ": "UTC"})

    def tables_of(bundle: str) -> Path:
        running.update({each: start(each) for each in BUNDLES if each not in running})
        running[bundle].wait(timeout=900)
        return folder_of(bundle)
    yield tables_of
    for program in running.values():
        program.kill()
        program.wait()
