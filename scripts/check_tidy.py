#!/usr/bin/env python3
"""clang-tidy over every source file, but for those that passed before: a stamp in the cache folder, keyed by the content of the
file, of its own header and of .clang-tidy. With --seconds no file is begun after so long (one takes ten seconds): what is left
comes next time. Usage: scripts/check_tidy.py [--seconds N] [file...]"""

import argparse
import concurrent.futures
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build/tidy"


def output(*command: str) -> str:
    return subprocess.check_output(command, cwd=ROOT, text=True)


def key(source: Path, version: str) -> str:
    digest = hashlib.sha256(version.encode() + (ROOT / ".clang-tidy").read_bytes())
    for part in (source, source.with_suffix(".h")):
        digest.update(part.read_bytes() if part.exists() else b"")
    return digest.hexdigest()[:32]


def check(source: Path, stamps: Path, version: str, deadline: float) -> str | None:
    """What it found: an empty text when the file is clean, None when there was no time."""
    stamp = stamps / key(source, version)
    if stamp.exists():
        return ""
    if time.monotonic() > deadline:
        return None
    done = subprocess.run(["clang-tidy", "-p", BUILD, "--quiet", source], cwd=ROOT, capture_output=True, text=True)
    if done.returncode == 0:
        stamp.touch()
        return ""
    return done.stdout or done.stderr or f"{source}: clang-tidy failed without a word\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("file", nargs="*")
    arguments = parser.parse_args()
    deadline = time.monotonic() + arguments.seconds
    # Configured, never built: precompiled headers are g++'s, which clang cannot read.
    subprocess.run(["cmake", "--preset", "release", "-B", BUILD, "-DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON"], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL)
    stamps = Path(output("scripts/setup", "--print").strip()) / "tidy"
    stamps.mkdir(parents=True, exist_ok=True)
    names = arguments.file or output("git", "ls-files", "src/*.cc").split()
    version = output("clang-tidy", "--version")
    found = left = 0
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", "2"))) as pool:
        for text in pool.map(lambda name: check(ROOT / name, stamps, version, deadline), names):
            found += bool(text)
            left += text is None
            print(text or "", end="", flush=True)
    print(f"clang-tidy: {len(names)} files, {found} with findings, {left} left for the next time")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
