"""`tarn hudi check` of the tables that Spark makes: nothing to say of them as they are, and everything that is done to them is found."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from hudi_matrix import BUNDLES, DAMAGED, cases_of

from support.tarn import tarn_binary

# What is so of a table of Spark's, and an obstacle to one reader or another.
LOGS_ALONE = "is a file group of logs alone"
METADATA = "the table has a metadata table"
NUMBERED_BY_FILE = "has the sequence number"  # By a bulk insert through Avro, which counts anew in each file.


def faults(table: Path) -> list[str]:
    done = subprocess.run([tarn_binary(), "hudi", "check", "--json", str(table)], capture_output=True, text=True, timeout=120)
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    report = report[0] if isinstance(report, list) else report
    assert (done.returncode == 0) == report["valid"], done.stderr
    return [f"{fault['where']}: {fault['what']}" for fault in report["faults"]]


def test_spark_s_tables_are_valid(spark_tables, seed, bundle, case):
    if case.refused:
        return
    found = faults(spark_tables(bundle) / case.name)
    known_kinds = (LOGS_ALONE, METADATA, *([NUMBERED_BY_FILE] if "nested" in case.options else []))
    known = [line for line in found if any(kind in line for kind in known_kinds)]
    assert found == known


def pick(table: Path, pattern: str, index: int = 0) -> Path:
    found = sorted(path for path in table.rglob(pattern) if ".hoodie/metadata" not in str(path))
    assert found, f"{table.name} has no {pattern}"
    return found[index]


def base(table: Path) -> Path:
    """The newest: its commit is not archived, and no log stands over it."""
    return max((path for path in table.rglob("*.parquet") if ".hoodie" not in str(path)), key=lambda path: path.stem.split("_")[-1])


def log(table: Path) -> Path:
    """The newest."""
    found = [path for path in table.rglob(".*.log.*") if not path.name.endswith(".crc") and ".hoodie" not in str(path)]
    return max(found, key=lambda path: path.name.split("_")[1])


def forget_sums(path: Path):
    """Of Hadoop, so that what is wrong with the file itself must be found."""
    path.with_name(f".{path.name}.crc").unlink(missing_ok=True)


def rewrite(path: Path, change):
    data = path.read_bytes()
    forget_sums(path)
    path.write_bytes(change(data))


def set_property(table: Path, key: str, value: str):
    lines = [line for line in (table / ".hoodie/hoodie.properties").read_text().splitlines() if not line.startswith(key + "=")]
    rewrite(table / ".hoodie/hoodie.properties", lambda _: ("\n".join([*lines, f"{key}={value}"]) + "\n").encode())


def rename(path: Path, change):
    forget_sums(path)
    path.rename(path.with_name(change(path.name)))


def copy_base(table: Path, change):
    path = base(table)
    shutil.copy(path, path.with_name(change(path.name)))


def completed(table: Path) -> Path:
    return pick(table / ".hoodie/timeline", "*.deltacommit", -1)


def manifest(table: Path) -> Path:
    folder = table / ".hoodie/timeline/history"
    return folder / f"manifest_{(folder / '_version_').read_text()}"


def archived(table: Path) -> Path:
    return manifest(table).parent / json.loads(manifest(table).read_text())["files"][0]["fileName"]


def other_instant(name: str) -> str:
    """A log's or a base file's name with an instant that nobody had."""
    head, mark, tail = name.partition(".log.") if ".log." in name else name.partition(".parquet")
    return f"{head[:-3]}{(int(head[-3:]) + 1) % 1000:03}{mark}{tail}"


DAMAGES = {
    "checksum": (lambda t: set_property(t, "hoodie.table.checksum", "1"), "hoodie.table.checksum is '1'"),
    "empty commit": (lambda t: rewrite(completed(t), lambda data: b""), "is not a JSON object"),
    "broken commit": (lambda t: rewrite(completed(t), lambda data: data[:200]), "cannot be read"),
    "no schema": (lambda t: rewrite(completed(t), lambda data: b"{}"), "has no schema"),
    "completed before it was begun": (lambda t: rename(completed(t), lambda name: f"{name.split('_')[0]}_{'2' + '0' * 16}.deltacommit"), "completed before it was begun"),
    "no completion": (lambda t: rename(completed(t), lambda name: f"{name.split('_')[0]}.deltacommit"), "does not tell when it completed"),
    "completed twice": (lambda t: shutil.copy(completed(t), completed(t).with_name(completed(t).name.replace(".deltacommit", ".commit"))), "completes"),
    "base file gone": (lambda t: base(t).unlink(), "is not there, though"),
    "log gone": (lambda t: log(t).unlink(), "is not there, though"),
    "base file longer": (lambda t: rewrite(base(t), lambda data: data + b"x"), "bytes, but"),
    "log longer": (lambda t: rewrite(log(t), lambda data: data + b"garbage"), "has no whole block at offset"),
    "log broken": (lambda t: rewrite(log(t), lambda data: b"x" + data[1:]), "has no block at offset 0"),
    "log of another instant": (lambda t: rename(log(t), other_instant), "which its name does not tell"),
    "log of no commit": (lambda t: rename(log(t), other_instant), "belongs to no commit of the timeline"),
    "foreign parquet": (lambda t: shutil.copy(base(t), base(t).with_name("part-0.parquet")), "is no base file"),
    "no partition file": (lambda t: pick(base(t).parent, ".hoodie_partition_metadata*").unlink(), "without .hoodie_partition_metadata"),
    "leftover": (lambda t: copy_base(t, other_instant), "belongs to no commit of the timeline"),
    "rows of another file": (lambda t: rename(base(t), lambda name: f"{name.split('_')[0]}_9-9-9_{name.split('_')[2]}"), "says that it is in"),
    "key twice": (lambda t: copy_base(t, lambda name: f"{'f' * 8}{name[8:]}"), "is twice in partition"),
    "sequence number twice": (lambda t: copy_base(t, lambda name: f"{'f' * 8}{name[8:]}"), "has the sequence number"),
    "stale checksums": (lambda t: base(t).write_bytes(base(t).read_bytes()[::-1]), "does not fit the checksums"),
    "stale checksums of the timeline": (lambda t: completed(t).write_bytes(completed(t).read_bytes()[::-1]), "does not fit the checksums"),
    "no manifest": (lambda t: manifest(t).unlink(), "though _version_ tells of it"),
    "no version": (lambda t: (manifest(t).parent / "_version_").unlink(), "though instants are archived"),
    "manifest broken": (lambda t: rewrite(manifest(t), lambda data: b"[]"), "has no list of files"),
    "archived file gone": (lambda t: archived(t).unlink(), "is not there, though"),
    "archived file longer": (lambda t: rewrite(archived(t), lambda data: data + b"x"), "bytes, but"),
    "archived file broken": (lambda t: rewrite(archived(t), lambda data: data[:4] + bytes(len(data) - 4)), "Parquet magic bytes not found"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_finds(spark_tables, seed, tmp_path, damage):
    bundle = next(bundle for bundle in BUNDLES if DAMAGED in [case.name for case in cases_of(bundle, False)])
    table = tmp_path / DAMAGED
    shutil.copytree(spark_tables(bundle) / DAMAGED, table)
    assert faults(table) == []
    plant, told = DAMAGES[damage]
    plant(table)
    found = faults(table)
    assert any(told in line for line in found), found
