"""What stands in the files of a lake."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq


def files_with(folder: Path, *words: str) -> list[str]:
    """Files in which a word stands: Parquet's rows are read, everything else is looked at as it is."""
    found = []
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        content = str(pq.read_table(path).to_pylist()).encode() if path.suffix == ".parquet" else path.read_bytes()
        found += [f"{path}: {word}" for word in words if word.encode() in content]
    return found
