#!/usr/bin/env python3
"""Fails unless the fault points of src/ and those of the crash sweep are the same. Usage: scripts/check_fault_points.py"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "recovery"))

from fault_points import WAYS  # noqa: E402


def named_in_source() -> set[str]:
    names: list[str] = []
    for path in sorted((ROOT / "src").rglob("*")):
        if path.suffix in (".cc", ".h") and path.name != "fault.h" and not path.stem.endswith("_test"):
            names += re.findall(r'TARN_FAULT_POINT\(\s*"([^"]+)"', path.read_text())
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        sys.exit(f"a fault point's name is there twice: {', '.join(sorted(twice))}")
    return set(names)


def main() -> None:
    source, sweep = named_in_source(), set(WAYS)
    for name in sorted(source - sweep):
        print(f"{name}: in src/, but tests/recovery/fault_points.py does not go there")
    for name in sorted(sweep - source):
        print(f"{name}: in tests/recovery/fault_points.py, but not in src/")
    if source != sweep:
        sys.exit(1)
    print(f"{len(source)} fault points, all in the sweep")


if __name__ == "__main__":
    main()
