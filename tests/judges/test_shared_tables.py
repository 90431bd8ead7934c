"""Spark under optimistic concurrency control and tarn write to one table in a folder, in turns and at once: no update is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.spark_session import bundle_path

PROGRAM = Path(__file__).with_name("shared_steps.py")


@pytest.fixture(scope="module")
def found(session_folder, cache_folder) -> dict[str, list[str]]:
    folder, bundle = session_folder / "shared", "0.15.0"
    log = session_folder / "shared.log"
    with open(log, "wb") as out:
        subprocess.run([sys.executable, PROGRAM, bundle_path(cache_folder, bundle), bundle, folder], stdout=out, stderr=out, timeout=600, env=os.environ | {"TZ": "UTC"})
    result = folder / "shared.json"
    assert result.exists(), log.read_text()[-3000:]
    print(log.read_text()[-2000:], json.loads(result.read_text()))
    return json.loads(result.read_text())


@pytest.mark.parametrize("scenario", ("in_turns", "at_once"))
def test_no_update_is_lost(found, scenario):
    assert found[scenario] == []
