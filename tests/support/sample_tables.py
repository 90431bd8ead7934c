"""Tables written by the library alone, each kind of commit in turn, and what they hold at every instant."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from .tarn import tarn_binary

TABLES = ("mor", "flat", "cow")
# id: tenant, name, amount, _lsn.
Rows = dict[int, list]


@dataclass
class SampleTables:
    folder: Path
    moments: dict[str, list[tuple[str, Rows]]] = field(default_factory=dict)  # By table, oldest first.

    def path(self, table: str) -> str:
        return str(self.folder / table)


def write_sample_tables(folder: Path) -> SampleTables:
    program = Path(tarn_binary()).resolve().parent / "hudi_sample"
    done = subprocess.run([program, folder], capture_output=True, text=True, check=True)
    sample = SampleTables(folder)
    for line in done.stdout.splitlines():
        moment = json.loads(line)
        rows = {int(number): row for number, row in moment["rows"].items()}
        sample.moments.setdefault(moment["table"], []).append((moment["instant"], rows))
    assert set(sample.moments) == set(TABLES)
    return sample


def as_sample(rows: list[dict]) -> Rows:
    """What a reader gave; fails where an id comes twice."""
    found: Rows = {}
    for row in rows:
        assert row["id"] not in found, f"id {row['id']} comes twice"
        found[row["id"]] = [row["tenant_id"], row["name"], str(row["amount"]), row["_lsn"]]
    return found
