"""Another wall clock for one process: see shifted_clock.c."""

from __future__ import annotations

from pathlib import Path

from .preload import preload


def shifted_clock(folder: Path, seconds: int) -> dict[str, str]:
    """The environment of a program whose clock is so many seconds off. `folder`: as preload's."""
    return {**preload(folder, "shifted_clock"), "CLOCK_SHIFT": str(seconds)}


class MovedClock:
    """The wall clock of a program, which can be set while it runs."""

    def __init__(self, folder: Path):
        self.file = folder / "clock_shift"
        self.file.write_bytes(bytes(8))
        self.environment = {**preload(folder, "shifted_clock"), "CLOCK_SHIFT_FILE": str(self.file)}

    def set(self, seconds: int):
        with self.file.open("r+b", buffering=0) as file:
            file.write(seconds.to_bytes(8, "little", signed=True))
