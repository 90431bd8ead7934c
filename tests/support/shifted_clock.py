"""Another wall clock for one process: see shifted_clock.c."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .tarn import SOURCE_DIR


def shifted_clock(folder: Path, seconds: int) -> dict[str, str]:
    """The environment of a program whose clock is so many seconds off. `folder`: where the library is made, once."""
    library = folder / "shifted_clock.so"
    if not library.exists():
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE_DIR / "tests/support/shifted_clock.c", "-ldl"],
                       check=True)
    return {"LD_PRELOAD": str(library), "CLOCK_SHIFT": str(seconds), "ASAN_OPTIONS": "verify_asan_link_order=0"}
