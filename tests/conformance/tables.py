"""Tables that tarn's writer makes by random histories, and what it says of them."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
from pathlib import Path

from matrix import CASES, Case
from oracle import History
from support.tarn import tarn_binary

PRINTED = "histories.json"
IDENTITIES = {case.name: case.identities for case in CASES}


def write_tables(folder: Path, cases: list[Case], seed: int):
    """`<folder>/<case>` each, and what the program printed, for histories_of."""
    folder.mkdir(parents=True, exist_ok=True)
    program = Path(tarn_binary()).resolve().parent / "hudi_conformance"
    specs = "".join(json.dumps(case.spec(seed)) + "\n" for case in cases)
    done = subprocess.run([program, folder], input=specs, capture_output=True, text=True, timeout=300)
    (folder / PRINTED).write_text(done.stdout)
    assert done.returncode == 0, done.stderr
    for case in cases:
        date_timeline(folder / case.name / ".hoodie")


def date_timeline(hoodie: Path):
    """Files of the timeline as old as their instants. The program makes instants as if commits had been a second apart; Spark 1.x takes
    the time of a file of layout 1 for that of its completion, and passes over logs that, so seen, completed after what is read."""
    for path in hoodie.iterdir():
        instant = path.name.split(".")[0]
        if len(instant) == 17 and instant.isdigit():
            begun = datetime.datetime.strptime(instant[:14], "%Y%m%d%H%M%S").replace(tzinfo=datetime.timezone.utc).timestamp()
            os.utime(path, (begun + .3, begun + .3))


def histories_of(folder: Path) -> dict[str, History]:
    histories: dict[str, History] = {}
    for text in (folder / PRINTED).read_text().split("\n"):
        if text:
            line = json.loads(text)
            histories.setdefault(line["table"], History(line["table"], IDENTITIES[line["table"]])).add(line)
    return histories
