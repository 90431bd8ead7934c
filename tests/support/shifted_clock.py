"""Another wall clock for one process: see shifted_clock.c."""

from __future__ import annotations

from pathlib import Path

from .preload import preload


def shifted_clock(folder: Path, seconds: int) -> dict[str, str]:
    """The environment of a program whose clock is so many seconds off. `folder`: as preload's."""
    return {**preload(folder, "shifted_clock"), "CLOCK_SHIFT": str(seconds)}
