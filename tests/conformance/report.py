"""What a run found, line by line as it goes on, and the page that is made of it."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
from collections import Counter
from importlib.metadata import version
from pathlib import Path

from matrix import BUNDLES, CASES, EXCLUSIONS, Case

VARIABLE = "TARN_CONFORMANCE_REPORT"
READERS = (*(f"Spark {bundle}" for bundle in BUNDLES), "hudi-rs", "tarn")
WRITER = "Spark 0.15.0 writes"


def tell(**line):
    """Adds a line to the file that the environment names, if it does."""
    if path := os.environ.get(VARIABLE):
        with open(path, "a") as file:
            file.write(json.dumps(line) + "\n")


def parts_of(case: Case) -> str:
    return ", ".join(case.partitions) or "none"


def cell(found: dict | None) -> str:
    if found is None:
        return "–"
    right = found["views"] - found["wrong"] - len(found["left_out"])
    return f"{right}" + (f", {len(found['left_out'])} left out" if found["left_out"] else "") + (f", **{found['wrong']} wrong**" if found["wrong"] else "")


def page(lines: list[dict], seed: int) -> str:
    found = {(line["table"], line["reader"]): line for line in lines if "reader" in line}
    steps = {line["table"]: Counter(line["steps"]) for line in lines if "steps" in line}
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent, check=True).stdout.strip()
    versions = f"Spark {version('pyspark')} with the bundles {' and '.join(BUNDLES)}, hudi-rs {version('hudi')}"
    text = ["# Conformance", "",
            f"Tables of tarn's writer, made by random histories, as other programs read them. `scripts/conformance --all --seed {seed}` wrote this page on "
            f"{datetime.date.today()} with commit {commit}; {versions}. A number is how many views a reader had right to the last value, the "
            "commit time of each row among them: the newest rows, those as of every commit that is kept, the base files alone (merge-on-read), two increments.", "",
            "Every table has columns of all types that the writer takes: bool, int, long, float, double, decimals of 4, 9, 18 and 38 digits, date, timestamp, text, "
            "bytes; with extremes, NaN and infinities, nulls, odd Unicode. It takes no nested type and no timestamp without zone, and makes partitions in "
            "Hive's style only.", "",
            "| table | partitions | key | schema | what happened | " + " | ".join(READERS) + " |", "|---" * (5 + len(READERS)) + "|"]
    for case in CASES:
        happened = ", ".join(f"{step} {count}" for step, count in sorted(steps.get(case.name, Counter()).items()))
        cells = [cell(found.get((case.name, reader))) for reader in READERS]
        text.append(f"| {case.name} | {parts_of(case)} | {', '.join(case.spec(0)['keys'])} | {', '.join(case.changes) or '–'} | {happened} | " + " | ".join(cells) + " |")
    text += ["", f"## {WRITER} to tarn's tables", "", "After each step on a copy tarn reads what Spark reads.", "", "| table | steps that agree |", "|---|---|"]
    text += [f"| {case.name} | {cell(found[(case.name, WRITER)])} |" for case in CASES if (case.name, WRITER) in found]
    text += ["", "## Left out", ""]
    text += [f"- {one.reader}: {one.reason}{f' (“{one.says}”)' if one.says else ''}" for one in EXCLUSIONS]
    return "\n".join(text) + "\n"


def write_page(report: Path, seed: int, to: Path):
    to.write_text(page([json.loads(line) for line in report.read_text().splitlines()], seed))
