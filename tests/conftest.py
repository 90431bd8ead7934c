"""Fixtures of all whole-system tests: one PostgreSQL a session; a database, slot and lake a test."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from support.cluster import Cluster, Database  # noqa: E402
from support.scratch import scratch_parent  # noqa: E402
from support.tarn import SOURCE_DIR  # noqa: E402
from support.worker import Worker  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--seed", type=int, default=None, help="seed of the random histories (default: a new one)")
    parser.addoption("--conformance-tables", default="drawn", help="of tests/conformance: drawn (by the seed, some), all, or names")
    parser.addoption("--all-hudi-tables", action="store_true", help="every table with every bundle of Hudi, not half of the usual ones drawn by the seed")
    parser.addoption("--all-commits", action="store_true", help="of the eight days of a lake: one every 30 s, not every half hour or so")


def pytest_configure(config):
    # A time limit's SIGTERM ends the servers too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    seed = config.getoption("--seed")
    if seed is None:  # One for all processes of a run with -n.
        seed = getattr(config, "workerinput", {}).get("tarn_seed", random.SystemRandom().randrange(1 << 31))
    config.tarn_seed = seed


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    node.workerinput["tarn_seed"] = node.config.tarn_seed


def pytest_report_header(config):
    return f"seed: {config.tarn_seed} (again with --seed={config.tarn_seed})"


@pytest.fixture
def seed(request) -> int:
    """Of the session; printed, so that a failure can be had again."""
    print(f"seed {request.config.tarn_seed}")
    return request.config.tarn_seed


@contextmanager
def own_folder(prefix: str, parent: Path | str):
    """Readable by the user that PostgreSQL runs under, which pytest's own folders are not."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    folder.chmod(0o755)
    yield folder
    if not os.environ.get("TARN_KEEP"):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def session_folder():
    with own_folder("tarn-tests-", scratch_parent()) as folder:
        yield folder


@pytest.fixture(scope="module")
def module_folder(session_folder):
    """One of its own each time: a module's tests may come in turns with another's."""
    with own_folder("m", session_folder) as folder:
        yield folder


@pytest.fixture(scope="session")
def cluster(session_folder):
    server = Cluster(session_folder / "server").create()
    yield server
    server.destroy()


@pytest.fixture(scope="session")
def cache_folder() -> Path:
    """Where set-up keeps downloads: the Hudi bundle, DuckDB."""
    return Path(subprocess.check_output([SOURCE_DIR / "scripts/setup", "--print"], text=True).strip())


@pytest.fixture
def worker(session_folder):
    with own_folder("t", session_folder) as folder:
        maker = Worker(folder)
        yield maker
        for tarn in maker.tarns:
            print(f"--- log of {tarn.folder.name}\n{tarn.log_tail()}")
        maker.close()


@pytest.fixture
def source(worker, cluster) -> Database:
    """A fresh database."""
    return worker.database(cluster)
