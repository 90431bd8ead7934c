"""Where tests keep their servers and lakes."""

from __future__ import annotations

import os
import re
from pathlib import Path

MEMORY, DISK = "/dev/shm", "/tmp"
PLENTY = 8 << 30


def scratch_parent() -> str:
    """A folder for folders of tests; in memory, where there is plenty. tarn and PostgreSQL sync files all the time, which a busy
    disk makes most of a test's time; a process that dies, which is what tests provoke, leaves what it wrote, synced or not."""
    if os.environ.get("TARN_KEEP"):
        return DISK
    try:
        volume = os.statvfs(MEMORY)
        available = int(re.search(r"MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text())[1]) << 10
    except (OSError, TypeError):
        return DISK
    may_run = not volume.f_flag & os.ST_NOEXEC
    return MEMORY if may_run and min(available, volume.f_bavail * volume.f_frsize) >= PLENTY else DISK
