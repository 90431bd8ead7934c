"""Libraries of ours that change what the system does for one program."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

from .tarn import SOURCE_DIR


def preload(folder: Path, *names: str) -> dict[str, str]:
    """The environment of a program that has tests/support/<name>.c in it. `folder`: where the libraries are made, once."""
    libraries = [folder / f"{name}.so" for name in names]
    for name, library in zip(names, libraries, strict=True):
        if not library.exists():
            made = library.with_suffix(f".{threading.get_ident()}")
            subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", made, SOURCE_DIR / f"tests/support/{name}.c", "-ldl"], check=True)
            made.rename(library)
    return {"LD_PRELOAD": ":".join(map(str, libraries)), "ASAN_OPTIONS": "verify_asan_link_order=0"}


def lossy_disk(folder: Path, root: Path, *others: str) -> dict[str, str]:
    """The environment of a program whose crash at a fault point is a loss of power for what is below `root`."""
    return {**preload(folder, "lossy_disk", *others), "LOSSY_DISK": str(root)}
