"""Tables that tarn's writer makes by random histories, and what it says of them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from matrix import CASES, Case
from oracle import History
from support.dated_timeline import date_timeline
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
        date_timeline(folder / case.name / ".hoodie", later_ms=300)


def histories_of(folder: Path) -> dict[str, History]:
    histories: dict[str, History] = {}
    for text in (folder / PRINTED).read_text().split("\n"):
        if text:
            line = json.loads(text)
            histories.setdefault(line["table"], History(line["table"], IDENTITIES[line["table"]])).add(line)
    return histories
