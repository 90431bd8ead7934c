"""Rows of Spark and of tarn in one form: exactly equal, or a list of what differs."""

from __future__ import annotations

import json
import os
import subprocess

from support.judged_lake import cell
from support.tarn import tarn_binary

# They say by which read or commit a row came, not what it is.
OURS = ("_lsn", "_model")


def of_spark(frame, without: tuple[str, ...] = ()) -> list[dict]:
    return [{name: cell(value) for name, value in row.asDict().items() if name not in without} for row in frame.collect()]


def asked(sql: str, config: str | None = None) -> list[dict]:
    """What `tarn query` answers."""
    done = subprocess.run([tarn_binary(), "-c", config or os.environ["TARN_CONFIG"], "query", "--format", "json", sql],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{sql}: {done.stderr}"
    return [json.loads(line) for line in done.stdout.splitlines() if line]


def _as_said(value) -> str:
    """A number by its digits: 1.50 is not 1.5."""
    return json.dumps(value, sort_keys=True) if not isinstance(value, str) else value


def differences(theirs: list[dict], ours: list[dict], without: tuple[str, ...] = OURS) -> list[str]:
    """Between Spark's rows and tarn's, in words; none when both have the same rows and columns."""
    def rows(side):
        return sorted(json.dumps({name: _as_said(value) for name, value in row.items() if name not in without and not name.startswith("_hoodie_")}, sort_keys=True) for row in side)
    spark, tarn = rows(theirs), rows(ours)
    if spark == tarn:
        return []
    only_spark, only_tarn = list(spark), []
    for row in tarn:
        only_spark.remove(row) if row in only_spark else only_tarn.append(row)
    return [f"only Spark: {row}" for row in only_spark[:5]] + [f"only tarn: {row}" for row in only_tarn[:5]] + [f"{len(spark)} and {len(tarn)} rows"]
