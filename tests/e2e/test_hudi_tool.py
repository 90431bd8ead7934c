"""`tarn hudi show|read|check`: any Hudi table in a folder, without a lake or a configuration."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest

from support.sample_tables import TABLES, as_sample, write_sample_tables
from support.tarn import tarn_binary

FAULTS = 3


def hudi(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run([tarn_binary(), "hudi", *map(str, arguments)], capture_output=True, text=True, timeout=120)


def must(*arguments) -> str:
    done = hudi(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def read(path, *arguments) -> list[dict]:
    return [json.loads(line) for line in must("read", path, "--format", "json", *arguments).split("\n") if line]


def faults(path) -> list[dict]:
    done = hudi("check", path, "--json")
    report, = json.loads(done.stdout)
    assert done.returncode == (FAULTS if report["faults"] else 0) and report["valid"] == (not report["faults"])
    return report["faults"]


@pytest.fixture(scope="module")
def sample(module_folder):
    return write_sample_tables(module_folder / "sample")


@pytest.fixture
def table(sample, tmp_path):
    """A copy of the merge-on-read table, to be damaged."""
    return shutil.copytree(sample.path("mor"), tmp_path / "mor")


@pytest.mark.parametrize("name", TABLES)
def test_rows_of_every_moment(sample, name):
    for instant, rows in sample.moments[name]:
        assert as_sample(read(sample.path(name), "--as-of", instant)) == rows, instant
    assert as_sample(read(sample.path(name))) == rows


@pytest.mark.parametrize("name", TABLES)
def test_rows_since_an_instant(sample, name):
    """What changed, as it is now: rows that are new or other than then; deleted ones are not among them."""
    newest = read(sample.path(name))
    for instant, then in sample.moments[name][:-1]:
        since = read(sample.path(name), "--since", instant)
        assert sorted(map(repr, since)) == sorted(repr(row) for row in newest if row["_hoodie_commit_time"] > instant)
        assert not [row for row in newest if row not in since and as_sample([row])[row["id"]] != then[row["id"]]]


@pytest.mark.parametrize("name", TABLES)
def test_changes_lead_from_each_moment_to_the_next(sample, name):
    """Inserts, updates and deletes since a moment, played over its rows, give the rows of a later one."""
    moments = sample.moments[name]
    for (since, then), (until, rows) in list(zip(moments, moments[1:])) + [(moments[0], moments[-1])]:
        changes = read(sample.path(name), "--changes", "--since", since, "--until", until)
        place = lambda row: (row["_hoodie_partition_path"], row["_hoodie_record_key"])  # noqa: E731
        played = {place(row): row for row in read(sample.path(name), "--as-of", since)}
        for change in changes:
            assert (change["op"] == "i") == (change["before"] is None) and (change["op"] == "d") == (change["after"] is None)
            assert since < change["commit"] <= until
        for commit in sorted({change["commit"] for change in changes}):
            for change in (change for change in changes if change["commit"] == commit and change["before"]):
                played.pop(place(change["before"]))
            for change in (change for change in changes if change["commit"] == commit and change["after"]):
                assert played.setdefault(place(change["after"]), change["after"]) is change["after"]
        assert as_sample(list(played.values())) == rows, (since, until)


def test_until_is_as_of_for_version_6(sample):
    for instant, rows in sample.moments["mor"]:
        assert as_sample(read(sample.path("mor"), "--until", instant)) == rows


def test_read_optimized_is_as_old_as_the_base_files(sample):
    optimized = as_sample(read(sample.path("mor"), "--read-optimized"))
    then = {instant: rows for instant, rows in sample.moments["mor"]}
    slices = json.loads(must("show", sample.path("mor"), "--json"))["slices"]
    assert {slice["base_instant"] for slice in slices} == {"20260921141335000"}
    assert optimized == then["20260921141335000"] and any(slice["log_files"] for slice in slices)
    assert read(sample.path("cow"), "--read-optimized") == read(sample.path("cow"))


def test_columns_times_and_formats(sample):
    path = sample.path("flat")
    assert list(read(path, "--columns", "name,id")[0]) == ["name", "id"]
    assert must("read", path, "--columns", "id", "--format", "csv").splitlines()[0] == "id"
    instant, rows = sample.moments["flat"][3]
    time = f"{instant[:4]}-{instant[4:6]}-{instant[6:8]} {instant[8:10]}:{instant[10:12]}:{instant[12:14]}.999"
    assert as_sample(read(path, "--as-of", time)) == rows


def test_show(sample):
    shown = json.loads(must("show", sample.path("mor"), "--json"))
    assert shown["type"] == "MERGE_ON_READ" and shown["version"] == "6" and shown["key"] == ["tenant_id", "id"]
    instants = [instant["instant"] for instant in shown["timeline"]]
    assert instants == sorted(instants) and set(instants) >= {instant for instant, _ in sample.moments["mor"]}
    assert sum(instant.get("operation") == "COMPACT" for instant in shown["timeline"]) == 1
    text = must("show", sample.path("mor"))
    assert "merge-on-read" in text and all(instant in text for instant in instants)


@pytest.mark.parametrize("arguments,words", [
    (("read", "/nowhere"), "'/nowhere' is not a Hudi table"), (("show", "s3://bucket/table"), "only local folders"),
    (("read", "PATH", "--as-of", "yesterday"), "--as-of 'yesterday' is neither an instant"),
    (("read", "PATH", "--columns", "nope"), "no column 'nope'; it has _hoodie_commit_time"),
    (("read", "PATH", "--as-of", "19990101000000000"), "19990101000000000"), (("check", "/nowhere"), "is not a Hudi table")])
def test_errors_say_what_and_why(sample, arguments, words):
    done = hudi(*(sample.path("mor") if argument == "PATH" else argument for argument in arguments))
    assert done.returncode == (2 if "yesterday" in arguments else 1) and words in done.stderr, done.stderr


def test_a_savepoint_is_made_listed_restored_and_deleted(sample, table):
    instant, then = sample.moments["mor"][9]
    newest = sample.moments["mor"][-1]
    assert must("savepoint", table, "--list") == "no savepoints\n" and json.loads(must("savepoint", table, "--list", "--json")) == []
    assert f"savepoint {newest[0]} keeps" in must("savepoint", table)
    made = json.loads(must("savepoint", table, "--at", instant, "--comment", "before the import", "--json"))
    listed = json.loads(must("savepoint", table, "--list", "--json"))
    assert [one["instant"] for one in listed] == [instant, newest[0]] and listed[0] == made
    assert made["comment"] == "before the import" and made["files"] > 0 and made["user"]
    assert f"{instant}  made " in must("savepoint", table, "--list")
    assert [one["action"] for one in json.loads(must("show", table, "--json"))["timeline"]].count("savepoint") == 2

    later = hudi("restore", table, "--to", instant)
    assert later.returncode == 1 and newest[0] in later.stderr and "delete it first" in later.stderr
    assert as_sample(read(table)) == newest[1]
    must("savepoint", table, "--delete", "--at", newest[0])
    assert f"restored to {instant}: " in must("restore", table, "--to", instant)
    assert as_sample(read(table)) == then and not faults(table)
    assert as_sample(read(table, "--as-of", sample.moments["mor"][8][0])) == sample.moments["mor"][8][1]
    again = json.loads(must("restore", table, "--to", instant, "--json"))
    assert again == {"restored_to": instant, "rolled_back": [], "files_removed": 0}
    must("savepoint", table, "--delete", "--at", instant)
    assert as_sample(read(table)) == then and not faults(table)
    assert not list((table / ".hoodie").glob("*.savepoint*")) and not (table / ".hoodie/.temp/tarn").exists()


@pytest.mark.parametrize("arguments,code,words", [
    (("savepoint", "/nowhere"), 1, "'/nowhere' is not a Hudi table"),
    (("savepoint", "PATH", "--at", "20200101000000000"), 1, "has no completed commit at 20200101000000000"),
    (("savepoint", "PATH", "--at", "yesterday"), 2, "--at 'yesterday' is neither an instant"),
    (("savepoint", "PATH", "--delete"), 2, "--at"), (("savepoint", "PATH", "--list", "--comment", "x"), 2, "--comment"),
    (("savepoint", "PATH", "--delete", "--at", "20200101000000000"), 1, "has no savepoint at 20200101000000000; it has none"),
    (("restore", "PATH"), 2, "--to"), (("restore", "PATH", "--to", "yesterday"), 2, "'yesterday' is not an instant"),
    (("restore", "PATH", "--to", "20200101000000000"), 1, "has no savepoint at 20200101000000000; it has none"),
    (("restore", "/nowhere", "--to", "20200101000000000"), 1, "'/nowhere' is not a Hudi table")])
def test_what_cannot_be_saved_or_restored_is_told(sample, table, arguments, code, words):
    done = hudi(*(table if argument == "PATH" else argument for argument in arguments))
    assert done.returncode == code and words in done.stderr, done.stderr
    assert not os.path.exists("/nowhere") and as_sample(read(table)) == sample.moments["mor"][-1][1]


@pytest.mark.parametrize("layer", ["silver", "gold", "quarantine"])
def test_a_table_of_a_lake_is_saved_by_its_writer_s_lease_and_not_restored(table, tmp_path, layer):
    (tmp_path / "lake/_tarn").mkdir(parents=True)
    inside = shutil.copytree(table, tmp_path / "lake" / layer / "mor")
    must("savepoint", inside)
    instant, = [one["instant"] for one in json.loads(must("savepoint", inside, "--list", "--json"))]
    refused = hudi("restore", inside, "--to", instant)
    assert refused.returncode == 1 and "tarn resync" in refused.stderr and "tarn rebuild" in refused.stderr, refused.stderr
    with open(tmp_path / "lake/_tarn/writer.lock", "r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for more in ((), ("--delete", "--at", instant)):
            busy = hudi("savepoint", inside, *more)
            assert busy.returncode == 1 and "stop `tarn run`" in busy.stderr, busy.stderr
        assert instant in must("savepoint", inside, "--list")
    must("savepoint", inside, "--delete", "--at", instant)


def slices(path) -> list[dict]:
    return json.loads(must("show", path, "--json"))["slices"]


@pytest.mark.parametrize("beside", ([], ["--beside-others"]))
@pytest.mark.parametrize("name", ("mor", "flat", "cow"))
def test_small_files_are_clustered(sample, tmp_path, name, beside):
    table = Path(shutil.copytree(sample.path(name), tmp_path / name))
    before, rows = slices(table), sample.moments[name][-1][1]
    done = json.loads(must("cluster", table, "--json", *beside))
    after = slices(table)
    partitions = {one["partition"] for one in before}
    if len(before) > len(partitions):
        assert len(after) < len(before) and done["files"] > 0
    else:
        assert done == {"instant": None, "files": 0, "bytes": 0}
    assert as_sample(read(table)) == rows
    assert faults(table) == []
    assert json.loads(must("cluster", table, "--json", *beside))["files"] == 0
    assert not (table / ".hoodie/lock").exists() and not list((table / ".hoodie/.temp").glob("*"))


def test_a_table_of_a_lake_is_not_clustered(table, tmp_path):
    inside = shutil.copytree(table, tmp_path / "lake/silver/mor")
    (tmp_path / "lake/_tarn").mkdir(parents=True)
    refused = hudi("cluster", inside)
    assert refused.returncode == 1 and "is a table of the lake" in refused.stderr, refused.stderr


@pytest.mark.parametrize("form", ["table", "csv", "json"])
@pytest.mark.parametrize("columns", ["id", "id,name,_hoodie_record_key"])
def test_a_full_disk_is_told(sample, form, columns):
    with open("/dev/full", "w") as full:
        done = subprocess.run([tarn_binary(), "hudi", "read", sample.path("mor"), "--format", form, "--columns", columns],
                              stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "the output cannot be written: No space left" in done.stderr, done.stderr


def test_who_reads_no_further_gets_no_message(sample):
    done = subprocess.run(f"for i in 1 2 3 4; do '{tarn_binary()}' hudi read '{sample.path('mor')}' --format json; done | head -1",
                          shell=True, capture_output=True, text=True)
    assert len(done.stdout.splitlines()) == 1 and not done.stderr


@pytest.mark.parametrize("name", TABLES)
def test_good_tables_are_valid(sample, name):
    assert faults(sample.path(name)) == []
    assert "valid" in must("check", sample.path(name))


def newest_base(table):
    """Of a group with logs."""
    slices = json.loads(must("show", table, "--json"))["slices"]
    slice = next(slice for slice in slices if slice["base_rows"] > 0 and slice["log_files"] > 0)
    return table / slice["partition"] / slice["base_file"]


def newest_log(table):
    return max(table.rglob(".*.log.*"), key=lambda path: path.stat().st_mtime)


def rewrite(path, change):
    path.write_bytes(change(path.read_bytes()))


def rewritten_rows(table, change):
    import pyarrow.parquet as pq
    path = newest_base(table)
    pq.write_table(change(pq.read_table(path, partitioning=None)), path)


def with_column(rows, name, values):
    import pyarrow as pa
    return rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), pa.array(values, rows.schema.field(name).type))


def twice(rows):
    keys, numbers = rows["_hoodie_record_key"].to_pylist(), rows["_hoodie_commit_seqno"].to_pylist()
    return with_column(with_column(rows, "_hoodie_record_key", [keys[1], *keys[1:]]), "_hoodie_commit_seqno", [numbers[1], *numbers[1:]])


def last_commit(table):
    return max(path for path in (table / ".hoodie").iterdir() if path.name.endswith(".deltacommit"))


def stale_checksum(table):
    base = newest_base(table)
    chunks = [base.read_bytes()[at:at + 512] for at in range(0, base.stat().st_size, 512)]
    good = b"crc\0" + (512).to_bytes(4, "big") + b"".join(zlib.crc32(chunk).to_bytes(4, "big") for chunk in chunks)
    beside = base.with_name(f".{base.name}.crc")
    beside.write_bytes(good)
    assert faults(table) == []
    beside.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))


DAMAGES = {
    "checksum": (lambda t: rewrite(t / ".hoodie/hoodie.properties", lambda b: b.replace(b"hoodie.table.checksum=", b"hoodie.table.checksum=1")),
                 "hoodie.table.checksum is"),
    "two_orderings": (lambda t: rewrite(t / ".hoodie/hoodie.properties", lambda b: b.replace(b"precombine.field=_lsn", b"precombine.field=_lsn,id")),
                      "readers want one field"),
    "metadata_table": (lambda t: rewrite(t / ".hoodie/hoodie.properties", lambda b: b + b"hoodie.table.metadata.partitions=files\n"), "metadata table"),
    "no_base": (lambda t: newest_base(t).unlink(), "is not there, though"),
    "no_log": (lambda t: newest_log(t).unlink(), "is not there, though"),
    "longer_base": (lambda t: rewrite(newest_base(t), lambda b: b + b"x"), "bytes, but"),
    "no_parquet": (lambda t: rewrite(newest_base(t), lambda b: b"x" * len(b)), "Parquet"),
    "torn_log": (lambda t: rewrite(newest_log(t), lambda b: b[:-7]), "no whole block at offset"),
    "foreign_bytes_in_log": (lambda t: rewrite(newest_log(t), lambda b: b + b"more"), "no whole block at offset"),
    "no_log_at_all": (lambda t: rewrite(newest_log(t), lambda b: b"x" + b[1:]), "no block at offset 0"),
    "commit_is_no_json": (lambda t: rewrite(last_commit(t), lambda b: b[:-20]), "cannot be read"),
    "commit_without_schema": (lambda t: rewrite(last_commit(t), lambda b: b.replace(b'"schema"', b'"other"')), "has no schema"),
    "log_without_base_file": (lambda t: rewrite(last_commit(t), lambda b: b.replace(b'"baseFile"', b'"other"')), "without its baseFile"),
    "hidden_partition": (lambda t: (t / "tenant_id=1/.hoodie_partition_metadata").unlink(), "without .hoodie_partition_metadata"),
    "foreign_parquet": (lambda t: shutil.copy(newest_base(t), t / "tenant_id=1/part-0.parquet"), "is no base file"),
    "logs_alone": (lambda t: [base.unlink() for base in newest_base(t).parent.glob(newest_base(t).name.split("_")[0] + "_*")], "logs alone"),
    "uncompleted": (lambda t: [(t / ".hoodie" / name).unlink() for name in os.listdir(t / ".hoodie") if name == "20260921141335000.deltacommit"],
                    "did not complete"),
    "no_such_commit": (lambda t: shutil.copy(newest_base(t), newest_base(t).with_name(newest_base(t).name.replace("20260921141335000", "20260921141335500"))),
                       "belongs to no commit"),
    "wrong_file_name": (lambda t: rewritten_rows(t, lambda rows: with_column(rows, "_hoodie_file_name", ["other"] * len(rows))), "says that it is in 'other'"),
    "wrong_partition": (lambda t: rewritten_rows(t, lambda rows: with_column(rows, "_hoodie_partition_path", ["tenant_id=9"] * len(rows))),
                        "says that its partition is 'tenant_id=9'"),
    "key_twice": (lambda t: rewritten_rows(t, twice), "is twice in partition"),
    "number_twice": (lambda t: rewritten_rows(t, twice), "sequence number"),
    "rows_lost": (lambda t: rewritten_rows(t, lambda rows: rows.slice(1)), "but its commit says"),
    "checksums_beside_it": (stale_checksum, "does not fit the checksums"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found(table, damage):
    act, words = DAMAGES[damage]
    act(table)
    found = faults(table)
    assert any(words in fault["what"] for fault in found), found
    assert all(fault["where"] for fault in found)


def test_an_uncompleted_newest_commit_is_no_fault(table):
    """A writer may be at it, or was killed: its next start takes it back."""
    last_commit(table).unlink()
    assert faults(table) == []


def test_several_tables_at_once(sample, table):
    newest_log(table).unlink()
    done = hudi("check", sample.path("cow"), table, "--json")
    assert [report["valid"] for report in json.loads(done.stdout)] == [True, False] and done.returncode == FAULTS
