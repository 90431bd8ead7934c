"""The archive of closed days: made while tarn runs or by hand, then read in place of the small files."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import duckdb
import pytest
from pyarrow import parquet

from support.days import COUNTS, LAYERS, Days, changes, state
from support.history import SILVER

COMPLETE, WRONG, USAGE = 0, 1, 2


@pytest.fixture
def days(source, worker, seed) -> Days:
    return Days(worker, source, seed,
                worker.tarn(source, tenants={"column": "tenant_id"}, bronze={"flush_interval_ms": 50, "archive_after_hours": False}))


def small_files(tarn) -> list[Path]:
    return sorted((tarn.lake / "bronze").rglob("2*.parquet"))


def large_files(tarn) -> list[Path]:
    return sorted((tarn.lake / "bronze_archive").rglob("*.parquet"))


def manifests(tarn) -> list[Path]:
    return sorted((tarn.lake / "_tarn/bronze/changes").glob("*.json"))


def test_archived_days_are_read_in_place_of_small_files(days):
    """Two days by hand, while the third one runs: nothing else is read, with the small files and without."""
    tarn = days.tarn
    days.live()
    days.source.execute("ALTER TABLE customer ADD COLUMN extra text; UPDATE customer SET extra = 'e' WHERE id % 2 = 0")
    days.live()
    days.live(stop=False)
    before, count = state(tarn), len(small_files(tarn))
    report = tarn.bronze_verified()
    outcome = days.archive()
    assert [day["tables"] for day in outcome["days"]] == [4, 4] and outcome["removed_files"] == 0
    assert len(large_files(tarn)) == sum(day["files"] for day in outcome["days"]) < count
    assert state(tarn) == before
    for moment, counts in days.moments:
        assert tarn.query(COUNTS, as_of=moment) == counts, "in the midst of an archived day"
    archived = tarn.bronze_verified()
    assert archived["archived_days"] == 2 and archived["rows"] == report["rows"] and archived["manifests"] == report["manifests"]
    assert days.archive()["days"] == [], "once"
    assert "nothing to archive" in tarn.must("bronze", "archive")

    # As a lifecycle rule does it, which does not touch the day that is not archived.
    last = manifests(tarn)[-1]
    today = json.loads(last.read_text())["last_file_name"][:8]
    gone = [path for path in small_files(tarn) if not path.name.startswith(today)]
    assert len(gone) == sum(day["small_files"] for day in outcome["days"])
    for path in gone:
        path.unlink()
    assert state(tarn) == before
    assert tarn.bronze_verified()["warnings"] == []
    tarn.verify()
    days.history.take_steps(10)
    tarn.wait_caught_up()
    rows = {table: tarn.table_rows(table) for table in LAYERS}
    assert tarn.stop() == 0
    tarn.must("rebuild", environment=days.clock)
    assert {table: tarn.table_rows(table) for table in LAYERS} == rows
    # The manifests, too, are not needed.
    for path in manifests(tarn)[:sum(day["flushes"] for day in outcome["days"])]:
        path.unlink()
    tarn.must("rebuild", environment=days.clock)
    assert {table: tarn.table_rows(table) for table in LAYERS} == rows
    assert tarn.bronze_verified()["archived_days"] == 2
    tarn.start(environment=days.clock)
    days.history.take_steps(10)
    tarn.wait_caught_up()
    tarn.verify()


def test_a_running_tarn_archives_by_itself_and_removes_what_is_old(days):
    """A day is archived when one of its hours is over; its small files go after keep_days."""
    tarn = days.tarn
    tarn.sections["bronze"] |= {"archive_after_hours": 1, "keep_days": 3}
    tarn.write_config()
    days.live()
    days.live(stop=False)
    status = tarn.wait_status(lambda s: s["archive"]["days_archived"] == 1, what="the archive")
    assert status["archive"]["last_error"] == "" and "files are in" in tarn.log_tail()
    before = state(tarn)
    first = [path for path in small_files(tarn) if path.name.startswith(status["archive"]["newest_day"].replace("-", ""))]
    assert first and tarn.stop() == 0
    days.day += 1
    days.live(stop=False)  # Two days later: the second is archived, the first stays.
    tarn.wait_status(lambda s: s["archive"]["days_archived"] == 1, what="the archive")
    assert all(path.exists() for path in first) and tarn.stop() == 0
    days.day += 1
    days.live(stop=False)
    tarn.wait_status(lambda s: s["archive"]["days_archived"] == 1 and not any(path.exists() for path in first), what="the removal")
    report = tarn.bronze_verified()
    assert report["warnings"] == [] and report["archived_days"] == 3
    for table, told in before["changes"].items():
        assert changes(tarn, table)[:len(told)] == told, table
    assert all(path.exists() for path in (tarn.lake / "bronze").rglob("LOAD*.parquet"))
    rows = {table: tarn.table_rows(table) for table in LAYERS}
    assert tarn.stop() == 0
    tarn.must("rebuild", environment=days.clock)
    assert {table: tarn.table_rows(table) for table in LAYERS} == rows


def test_damage_of_the_archive_is_named(days):
    tarn = days.tarn
    days.live()
    days.live()
    days.archive()
    tarn.bronze_verified()
    file = large_files(tarn)[0]
    content = file.read_bytes()

    def fault() -> dict:
        outcome = tarn.command("bronze", "verify", "--json")
        assert outcome.code == WRONG, outcome.text
        found, = json.loads(outcome.out)["faults"]
        return found

    file.write_bytes(content[:200] + bytes([content[200] ^ 1]) + content[201:])
    assert fault()["where"] == str(file.relative_to(tarn.lake)) and "CRC-32" in fault()["what"]
    file.unlink()
    assert fault()["what"] == "is not there"
    file.write_bytes(content)
    tarn.bronze_verified()
    stray = file.with_name("20200101-0001.parquet")
    stray.write_bytes(b"?")
    warning, = tarn.bronze_verified()["warnings"]
    assert warning["where"] == str(stray.relative_to(tarn.lake))


def test_other_readers_read_the_archive(days):
    """pyarrow and DuckDB: the rows of the small files, in their order, in columns of the same types."""
    tarn = days.tarn
    days.live(80)
    days.live()
    day, = days.archive()["days"]
    name = day["day"].replace("-", "")
    for table in SILVER:
        small = [parquet.read_table(path) for path in small_files(tarn) if path.parent.name == table and path.name.startswith(name)]
        large = [parquet.read_table(path) for path in large_files(tarn) if path.parent.name == table]
        assert large[0].schema == small[0].schema
        assert sum((part.to_pylist() for part in large), []) == sum((part.to_pylist() for part in small), [])
    count, = duckdb.sql(f"SELECT count(*) FROM read_parquet('{tarn.lake}/bronze_archive/*/*/*.parquet', union_by_name = true)").fetchone()
    assert count == day["rows"]


def test_reading_one_tables_changes(days):
    """Every change in order with the truncations between, in ranges that join, as JSON and as CSV."""
    tarn = days.tarn
    days.live()
    days.source.execute("ALTER TABLE stock ADD COLUMN ratio float8; INSERT INTO stock (code, ratio) VALUES ('x', 'NaN')")
    days.live()
    days.archive()
    everything = changes(tarn, "stock")
    positions = [(line["_lsn"], line["_ordinal"]) for line in everything if "_lsn" in line]
    assert positions == sorted(set(positions))
    events = [line["_event"] for line in everything if "_event" in line]
    assert events.count("truncate") >= 2 and events.count("shape") == 1
    assert [line["ratio"] for line in everything if line.get("code") == "x"][:1] == ["NaN"]
    in_files = sum(parquet.read_metadata(path).num_rows for path in small_files(tarn) if path.parent.name == "stock")
    assert len(everything) - len(events) == in_files

    middle = positions[len(positions) // 2][0]
    shape = [line for line in everything if line.get("_event") == "shape"]
    assert [line for line in changes(tarn, "public.stock", "--to", middle) if line not in shape] == \
           [line for line in everything if line not in shape and line["_lsn"] <= middle]
    lsn = f"0:{middle >> 32:X}/{middle & 0xFFFFFFFF:X}"
    assert [line for line in changes(tarn, "stock", "--from", lsn) if line not in shape] == \
           [line for line in everything if line not in shape and line["_lsn"] > middle]

    text = tarn.must("bronze", "read", "stock", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(int(row["_lsn"]), int(row["_ordinal"])) for row in rows] == positions
    assert sum(row["Op"] == "TRUNCATE" for row in rows) == events.count("truncate")


def test_what_is_refused(days):
    tarn = days.tarn
    nothing = tarn.command("bronze", "archive")
    assert nothing.code == WRONG and "tarn run" in nothing.err, nothing.text
    days.live()
    days.live()
    first = json.loads(manifests(tarn)[0].read_text())["last_file_name"]
    before = f"{int(first[:4]) - 1}-01-01"
    assert days.archive("--until", before)["days"] == []
    for wrong in ("yesterday", "2026-13-01", "2026-11-22 10:00"):
        refused = tarn.command("bronze", "archive", "--until", wrong)
        assert refused.code == USAGE and wrong in refused.err and "2026-11-22" in refused.err, refused.text
    for arguments, word in ((["nobody"], "tarn tables"), (["stock", "--from", "x"], "0/16B3748")):
        refused = tarn.command("bronze", "read", *arguments)
        assert refused.code == USAGE and arguments[-1] in refused.err and word in refused.err, refused.text
    for command in ("archive", "read"):
        assert f"Example: tarn bronze {command}" in tarn.must("bronze", command, "--help")
    for key, value in (("archive_after_hours", -1), ("archive_after_hours", True), ("keep_days", 0), ("keep_days", "x")):
        tarn.sections["bronze"] = {key: value}
        tarn.write_config()
        refused = tarn.command("status")
        assert refused.code == USAGE and key in refused.err and "or false" in refused.err, refused.text
