"""`tarn bronze verify`: complete while changes, copies and crashes go on; every damage is named."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from support.cluster import wait_for
from support.history import History

COMPLETE, WRONG, USAGE = 0, 1, 2


def verified(tarn, code: int) -> dict:
    outcome = tarn.command("bronze", "verify", "--json")
    assert outcome.code == code, outcome.text
    report = json.loads(outcome.out)
    assert report["complete"] == (code == COMPLETE) == (report["faults"] == [])
    return report


def test_complete_through_a_life(source, worker, seed):
    """First copy, changes, truncations, an added column, kill -9, a second copy, a rebuild: complete at every moment."""
    history = History(source, seed).create()
    tarn = worker.tarn(source, tenants={"column": "tenant_id"}, bronze={"flush_interval_ms": 50}).start()
    with history:
        for turn in range(3):
            steps = history.steps + 15
            wait_for(lambda: history.steps >= steps, 30, "the writer")
            verified(tarn, COMPLETE)
            if turn == 1:
                source.execute("ALTER TABLE customer ADD COLUMN extra text; UPDATE customer SET extra = 'e' WHERE id % 2 = 0")
            tarn.kill()
            verified(tarn, COMPLETE)
            tarn.start()
        tarn.must("resync", "customer")
        report = verified(tarn, COMPLETE)
    assert report["copies"] == 5
    tarn.wait_caught_up()
    assert tarn.stop() == 0
    report = verified(tarn, COMPLETE)
    assert report["warnings"] == []
    on_disk = [path for path in (tarn.lake / "bronze").rglob("*.parquet")]
    assert report["files"] == len(on_disk) and report["bytes"] == sum(path.stat().st_size for path in on_disk)
    assert "Bronze is complete up to " + report["lsn"] in tarn.must("bronze", "verify")
    tarn.must("rebuild")
    assert verified(tarn, COMPLETE)["rows"] == report["rows"]


@pytest.fixture
def stopped(source, worker):
    """A lake of three flushes and a copy, at rest."""
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    source.execute("INSERT INTO t SELECT g, 'v' FROM generate_series(1, 10) g")
    tarn = worker.tarn(source, silver={"commit_interval_ms": 0}).start()
    for turn in range(3):
        source.execute("UPDATE t SET v = %s WHERE id > %s", (str(turn), turn))
        tarn.wait_caught_up()
    assert tarn.stop() == 0
    verified(tarn, COMPLETE)
    return tarn


def manifests(tarn) -> list[Path]:
    return sorted((tarn.lake / "_tarn/bronze/changes").glob("*.json"))


def change_files(tarn) -> list[Path]:
    return sorted((tarn.lake / "bronze/public/t").glob("2*.parquet"))


def test_damage_is_named(stopped):
    """A manifest or file that is gone, a bit that flipped, the end that is cut off: code 1, what and where and what to do."""
    file, manifest = change_files(stopped)[1], manifests(stopped)[1]
    content, text = file.read_bytes(), manifest.read_text()
    relative = str(file.relative_to(stopped.lake))

    file.unlink()
    fault, = verified(stopped, WRONG)["faults"]
    assert fault["where"] == relative and fault["what"] == "is not there" and "tarn resync public.t" in fault["fix"]

    file.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    fault, = verified(stopped, WRONG)["faults"]
    assert fault["where"] == relative and "CRC-32" in fault["what"]
    printed = stopped.command("bronze", "verify")
    assert printed.code == WRONG and f"error: {relative} has the CRC-32" in printed.out and "Bronze is NOT COMPLETE" in printed.out
    file.write_bytes(content)

    manifest.unlink()
    report = verified(stopped, WRONG)
    assert any("is number 3, but the one before it is number 1" in fault["what"] for fault in report["faults"])
    assert [warning["where"] for warning in report["warnings"]] == [relative]
    manifest.write_text(text)

    last = manifests(stopped)[-1]
    text = last.read_text()
    last.unlink()
    fault, = verified(stopped, WRONG)["faults"]
    assert "the newest manifests are missing" in fault["what"]
    last.write_text(text)
    verified(stopped, COMPLETE)


def test_a_file_of_nobody_is_a_warning(stopped):
    """It may be of a flush that is under way; the next start removes it."""
    orphan = stopped.lake / "bronze/public/t/29990101-000000000.parquet"
    orphan.write_bytes(b"cut off")
    warning, = verified(stopped, COMPLETE)["warnings"]
    assert warning["where"] == "bronze/public/t/29990101-000000000.parquet"
    stopped.start()
    assert verified(stopped, COMPLETE)["warnings"] == [] and not orphan.exists()


def test_no_lake_and_wrong_arguments(source, worker):
    tarn = worker.tarn(source)
    outcome = tarn.command("bronze", "verify")
    assert outcome.code == WRONG and outcome.out == "" and "tarn run" in outcome.err, outcome.text
    for arguments in (["bronze"], ["bronze", "mend"], ["bronze", "verify", "--deep"]):
        assert tarn.command(*arguments).code == USAGE
    help_text = tarn.command("bronze", "verify", "--help")
    assert help_text.code == 0 and "Example: tarn bronze verify" in help_text.out


@pytest.mark.parametrize("point", ["before_files", "between_closes", "before_intent", "after_intent", "between_files:2", "before_manifest",
                                   "after_manifest"])
def test_a_file_that_was_seen_stays(source, worker, seed, point):
    """A job that lists Bronze while tarn is down in the midst of a flush: its files stay as they are, and no change comes again
    under another name."""
    def files(tarn) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in (tarn.lake / "bronze").rglob("2*.parquet")}
    history = History(source, seed).create()
    tarn = worker.tarn(source, bronze={"flush_interval_ms": 50}).start(environment={"TARN_FAULT": f"bronze.flush.{point}"})
    with history:
        assert tarn.wait_exit(60) == 137, tarn.log_tail()
        seen = files(tarn)
        tarn.start()
    tarn.wait_caught_up()
    tarn.verify()
    assert tarn.stop() == 0
    now = files(tarn)
    assert {path: now.get(path) for path in seen} == seen
    report = verified(tarn, COMPLETE)
    assert report["warnings"] == []
    changes = [(table.name, row["_lsn"], row["_ordinal"]) for table in (tarn.lake / "bronze/public").iterdir()
               for path in table.glob("2*.parquet") for row in pq.read_table(path, columns=["_lsn", "_ordinal"]).to_pylist()]
    assert len(changes) == len(set(changes)) > 0
    assert seen or point not in ("between_files:2", "before_manifest", "after_manifest"), "nothing was to be seen"
