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


@pytest.fixture(scope="module")
def found(session_folder, cache_folder):
    """What was wrong, by bundle; each runs when it is first asked for."""
    known: dict[str, dict[str, list[str]]] = {}

    def of(bundle: str) -> dict[str, list[str]]:
        if bundle not in known:
            folder = session_folder / f"savepoints-{bundle}"
            done = subprocess.run([sys.executable, PROGRAM, bundle_path(cache_folder, bundle), bundle, folder], capture_output=True, text=True,
                                  env=os.environ | {"TZ": "UTC"}, timeout=900)
            result = folder / "savepoints.json"
            assert result.exists(), done.stdout[-3000:] + done.stderr[-3000:]
            known[bundle] = json.loads(result.read_text())
        return known[bundle]
    return of


@pytest.mark.parametrize("bundle", ("0.15.0", "1.2.0"))
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_as_it_must_be(found, bundle, scenario):
    assert found(bundle)[scenario] == []
