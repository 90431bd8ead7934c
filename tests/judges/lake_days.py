"""Eight days of a lake: what it was at some moments, by an oracle, and how large it became."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from support.dated_timeline import date_timeline
from support.tarn import tarn_binary

PRINTED = "days.json"
GONE = "day 1"  # Outside the window at the end; all others are inside.
MOMENTS = tuple(f"day {day}" for day in range(1, 9)) + tuple(f"{when} the {what}" for what in ("TRUNCATE", "resync") for when in ("before", "after")) + ("now",)
Rows = dict[int, int]  # Value by id.


@dataclass
class LakeDays:
    table: Path
    instants: dict[str, str] = field(default_factory=dict)
    rows: dict[str, Rows] = field(default_factory=dict)
    statements: dict[str, Rows | str] = field(default_factory=dict)  # What tarn's SQL says to each moment; its error.
    looks: list[dict] = field(default_factory=list)

    def kept(self) -> dict[str, str | None]:
        """The instants of what must be readable; None: the newest."""
        return {name: instant if name != "now" else None for name, instant in self.instants.items() if name != GONE}


def as_rows(pairs: list[tuple[int, int]]) -> Rows:
    rows = dict(pairs)
    if len(rows) != len(pairs):
        raise AssertionError(f"of {len(pairs)} rows {len(pairs) - len(rows)} have the id of another")
    return rows


def difference(found: Rows | str, wanted: Rows) -> str:
    """In words; empty when there is none."""
    if isinstance(found, str):
        return found
    differing = [number for number in sorted(found.keys() | wanted.keys()) if found.get(number) != wanted.get(number)]
    examples = "; ".join(f"{number}: {found.get(number)}, not {wanted.get(number)}" for number in differing[:3])
    return f"{len(differing)} of {len(wanted)} rows differ: {examples}" if differing else ""


def write_days(folder: Path, seed: int, commits_a_day: int, timeout: float):
    """`folder` gets the lake, and what the program printed."""
    program = Path(tarn_binary()).resolve().parent / "lake_days"
    with open(folder / PRINTED, "w") as printed:
        done = subprocess.run([program, folder / "lake", str(seed), str(commits_a_day)], stdout=printed, stderr=subprocess.PIPE, text=True, timeout=timeout)
    assert done.returncode == 0, done.stderr
    for table in (folder / "lake").glob("*/notes"):
        date_timeline(table / ".hoodie")


def days_of(folder: Path) -> LakeDays:
    days = LakeDays(folder / "lake/silver/notes")
    for text in (folder / PRINTED).read_text().splitlines():
        line = json.loads(text)
        rows = {int(number): value for number, value in line.get("rows", {}).items()}
        if "moment" in line:
            days.instants[line["moment"]], days.rows[line["moment"]] = line["instant"], rows
        elif "read" in line:
            days.statements[line["read"]] = line.get("error", rows)
        else:
            days.looks.append(line)
    return days
