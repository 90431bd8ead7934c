"""Runs this folder's tests on a lake of the demo's shop, as tests/gold/run.py does its own.

    TARN_BIN=build/tarn python tests/jobs/run.py [pytest arguments]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "gold"))

from run import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main("tests/jobs"))
