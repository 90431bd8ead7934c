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
        pairs = [(bundle, case) for bundle in BUNDLES for case in cases_of(bundle, everything)]
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
    """Tables of a bundle, made by one Spark when they are first asked for."""
    made: dict[str, Path] = {}

    def tables_of(bundle: str) -> Path:
        if bundle not in made:
            made[bundle] = folder = session_folder / f"spark-{bundle}"
            more = ["--all-hudi-tables"] if request.config.getoption("--all-hudi-tables") else []
            with open(session_folder / f"spark-{bundle}.log", "wb") as log:
                subprocess.run([sys.executable, PROGRAM, bundle_path(cache_folder, bundle), bundle, folder, str(request.config.tarn_seed), *more],
                               stdout=log, stderr=log, timeout=900, env=os.environ | {"TZ": "UTC"})
        return made[bundle]
    return tables_of
