"""The archive of closed days where Bronze is in an object store, whose answers are lost and whose writes come late."""

from __future__ import annotations

import json
import shutil

import pytest

from support.days import LAYERS, Days, changes, state
from support.history import SILVER
from support.object_store import BUSY, DROP, LOSE, PASS

COMPLETE, CRASHED = 0, 137


@pytest.fixture
def days(source, worker, seed, make_tarn) -> Days:
    return Days(worker, source, seed, make_tarn(bronze={"archive_after_hours": False, "flush_interval_ms": 50}))


def files(store, bucket: str, folder: str) -> list[str]:
    return [key for key in store.keys(bucket, f"lake/one/{folder}/") if key.endswith(".parquet")]


def test_archived_and_removed_and_rebuilt_from_objects_alone(days, store, bucket):
    tarn = days.tarn
    days.live()
    days.live(stop=False)
    before, small = state(tarn), files(store, bucket, "bronze")
    day, = days.archive()["days"]
    assert state(tarn) == before and len(files(store, bucket, "bronze_archive")) == day["files"]
    assert tarn.bronze_verified()["archived_days"] == 1 and tarn.stop() == 0

    tarn.sections["bronze"]["keep_days"] = 3
    tarn.write_config()
    assert days.archive()["removed_files"] == 0, "too early"
    days.day += 2
    outcome = days.archive()
    assert outcome["days"] == [] and outcome["removed_files"] == day["small_files"] and outcome["removed_manifests"] == day["flushes"]
    left = files(store, bucket, "bronze")
    assert len(left) == len(small) - day["small_files"]
    assert [key for key in left if "/LOAD" in key] == [key for key in small if "/LOAD" in key]
    assert state(tarn) == before and tarn.bronze_verified()["warnings"] == []

    rows = {table: tarn.table_rows(table) for table in LAYERS}
    shutil.rmtree(tarn.lake)
    tarn.must("rebuild", environment=days.clock)
    assert {table: tarn.table_rows(table) for table in LAYERS} == rows
    days.live(stop=False)
    tarn.verify()
    assert {table: changes(tarn, table)[:len(told)] for table, told in before["changes"].items()} == before["changes"]


@pytest.mark.parametrize("point", ["bronze.archive.before_manifest", "bronze.archive.after_manifest"])
def test_a_crash_leaves_nothing_and_no_name_is_used_again(days, store, bucket, point):
    tarn = days.tarn
    days.live()
    days.live()
    before = state(tarn)
    crashed = tarn.command("bronze", "archive", environment={**days.clock, "TARN_FAULT": point})
    assert crashed.code == CRASHED, crashed.text
    sent = files(store, bucket, "bronze_archive")
    assert sent and state(tarn) == before
    done = point.endswith("after_manifest")
    assert len(days.archive()["days"]) == (0 if done else 1)
    there = files(store, bucket, "bronze_archive")
    assert there == sent if done else not set(there) & set(sent)
    assert state(tarn) == before and tarn.bronze_verified()["warnings"] == []


def test_answers_that_are_lost(days, proxy, store, bucket):
    """Every third request of the archive fails in some way, the manifest's always at first."""
    tarn = days.tarn
    days.live()
    days.live()
    before = state(tarn)
    seen: list[str] = []

    def fate(method: str, path: str) -> str:
        seen.append(path)
        if method == "PUT" and "_tarn/bronze/archive/" in path and not any("archive/" in earlier for earlier in seen[:-1] if "list" not in earlier):
            return LOSE
        return (BUSY, DROP, LOSE)[len(seen) % 9 // 3] if len(seen) % 3 == 0 else PASS
    proxy.fate = fate
    day, = days.archive()["days"]
    proxy.fate = lambda method, path: PASS
    assert len(files(store, bucket, "bronze_archive")) == day["files"]
    assert state(tarn) == before and tarn.bronze_verified()["warnings"] == []
    manifest, = [key for key in store.keys(bucket, "lake/one/_tarn/bronze/archive/")]
    assert json.loads(store.read(bucket, manifest))["rows"] == day["rows"]
    assert set(SILVER) == {table["lake_name"] for table in json.loads(store.read(bucket, manifest))["tables"]}
