"""tarn reads the Hudi tables that Spark makes, with each bundle and table version, as Spark itself reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hudi_matrix import BUNDLES, CASES, cases_of
from spark_rows import alike, change_differences, differences

from support.tarn import hudi_rows


def result_of(folder: Path, case) -> dict:
    """What the program wrote down of a table."""
    result = folder / f"{case.name}.json"
    if not result.exists():
        log = folder.with_name(folder.name + ".log").read_text(errors="replace")
        pytest.fail(f"the program that makes tables ended before it made {case.name}: {log[-3000:]}")
    made = json.loads(result.read_text())
    assert "failed" not in made, made["failed"]
    return made


def is_gone(refusal: str) -> bool:
    return "was cleaned away" in refusal or "cleaned up the timestamp" in refusal


def without(rows: list[dict], names: tuple[str, ...]) -> list[dict]:
    return [{name: value for name, value in row.items() if name not in names} for row in rows]


def compare(path: Path, read: dict, bundle: str, case) -> list[str]:
    arguments = read["arguments"]
    try:
        ours = hudi_rows(path, arguments)
    except AssertionError as error:
        # Spark looks at the files that commits wrote, whether or not the rest of the table is kept.
        both = is_gone(str(error)) and ("--until" in arguments or is_gone(read.get("refused", "")))
        no_columns = case.options.get("hoodie.populate.meta.fields") == "false" and "rows without" in str(error)
        return [] if both or no_columns else [f"tarn: {error}; Spark: {read.get('refused', 'reads it')}"]
    if "refused" in read:
        return [f"Spark: {read['refused']}; tarn has {len(ours)} rows"] if is_gone(read["refused"]) else []
    if "--changes" in arguments:
        return change_differences(read["rows"], ours)
    theirs = read["rows"]
    if "--until" in arguments:
        # 1.0.2 gives rows of earlier commits, too, where a later one rewrote their file.
        if case.keeps_late_rows() or (bundle == "1.0.2" and not case.version):
            return until_differences(path, arguments, ours)
        alike(theirs, ours, tuple(name.split(":")[0] for name in case.partitions))
    ignored = case.from_path if bundle == BUNDLES[0] else ()
    return differences(without(theirs, ignored), without(ours, ignored))


def until_differences(path: Path, arguments: list[str], ours: list[dict]) -> list[str]:
    """The rows since an instant must be those of the table at the end that it did not have at the beginning."""
    since, until = arguments[arguments.index("--since") + 1], arguments[arguments.index("--until") + 1]
    try:
        before = {row["_hoodie_commit_seqno"] for row in hudi_rows(path, ["--until", since])}
    except AssertionError as error:
        assert is_gone(str(error)), error
        return []
    then = [row for row in hudi_rows(path, ["--until", until]) if row["_hoodie_commit_seqno"] not in before]
    return [] if sorted(map(repr, then)) == sorted(map(repr, ours)) else [f"{len(ours)} rows since, but {len(then)} are new"]


def test_reads_what_spark_reads(spark_tables, seed, bundle, case):
    folder = spark_tables(bundle)
    made = result_of(folder, case)
    if case.refused:
        with pytest.raises(AssertionError, match=case.refused):
            hudi_rows(folder / case.name, [])
        return
    read = [one for one in made["reads"] if "rows" in one]
    assert [] in [one["arguments"] for one in read], "Spark does not read its own table"
    found = {" ".join(one["arguments"]): compare(folder / case.name, one, bundle, case) for one in made["reads"]}
    assert not any(found.values()), {arguments: lines[:5] for arguments, lines in found.items() if lines}


def test_every_case_is_made_somewhere():
    assert {case.name for case in CASES} == {case.name for bundle in BUNDLES for case in cases_of(bundle, False)}
    for bundle in BUNDLES:
        assert set(cases_of(bundle, False)) <= set(cases_of(bundle, True))
