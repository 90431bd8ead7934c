#!/usr/bin/env python3
"""Holds every #include of src/ against the layers of ARCHITECTURE.md: a module may use itself, base, and what its row
names. DuckDB may be included by engine alone. Ends with 1 and names each line that breaks a rule."""

import re
import sys
from pathlib import Path

ALLOWED = {
    "base": set(),
    "schema": set(),
    "storage": set(),
    "parquet": {"schema", "storage"},
    "avro": {"schema"},
    "hudi": {"parquet", "avro", "storage", "schema"},
    "cdc": {"schema"},
    "bronze": {"parquet", "storage", "schema"},
    "catalog": {"hudi", "bronze", "parquet", "storage", "schema"},
    "govern": {"catalog"},
    "engine": {"hudi", "bronze", "catalog", "govern"},
    "pipeline": {"cdc", "bronze", "hudi", "catalog", "govern", "engine", "storage", "schema"},
    "monitor": {"pipeline", "engine", "catalog"},
    "server": {"engine", "govern", "pipeline", "monitor", "storage"},
}
ALLOWED["app"] = set(ALLOWED)
INCLUDE = re.compile(r'^\s*#include\s+["<]([^">]+)[">]')
DUCKDB = re.compile(r"^duckdb(\.h|\.hpp|/)")


def broken_rules(source: Path, root: Path):
    module = source.relative_to(root).parts[0]
    if module not in ALLOWED:
        yield 0, f"'{module}' is no module; the modules are {', '.join(ALLOWED)}"
        return
    for number, line in enumerate(source.read_text(encoding="utf-8").splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        target = match.group(1)
        if DUCKDB.match(target) and module != "engine":
            yield number, f"{module} includes {target}: DuckDB stays inside engine"
        # <parquet/...> and <arrow/...> in angle brackets are the libraries' own.
        used = target.split("/")[0] if '"' in line else None
        if used in ALLOWED and used not in ALLOWED[module] | {module, "base"}:
            yield number, f"{module} includes {target}: {module} may use {', '.join(sorted(ALLOWED[module])) or 'base only'}"


def main() -> int:
    root = Path(__file__).resolve().parents[1] / "src"
    found = [(source, number, what) for source in sorted(root.rglob("*")) if source.suffix in (".h", ".cc")
             for number, what in broken_rules(source, root)]
    for source, number, what in found:
        print(f"{source.relative_to(root.parent)}:{number}: {what}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
