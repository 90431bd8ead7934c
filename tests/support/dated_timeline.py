"""Timelines whose files are as old as their instants say."""

from __future__ import annotations

import datetime
import os
from pathlib import Path


def date_timeline(hoodie: Path, later_ms: int = 0):
    """A program with a clock of its own writes all files now. Spark 1.x takes the time of a file of layout 1 for that of its completion,
    and passes over logs that, so seen, completed after what is read."""
    for path in hoodie.iterdir():
        instant = path.name.split(".")[0]
        if len(instant) == 17 and instant.isdigit():
            begun = datetime.datetime.strptime(instant[:14], "%Y%m%d%H%M%S").replace(tzinfo=datetime.timezone.utc)
            micros = int(begun.timestamp()) * 1_000_000 + (int(instant[14:]) + later_ms) * 1000
            os.utime(path, ns=(micros * 1000, micros * 1000))
