"""Says of every model whether it runs on Spark; each refusal has its file, line and column.

    jobs/check_portable.py models                 looks at constructs alone
    jobs/check_portable.py models --lake LAKE     also at types, which depend on the source's columns

Ends with 1 when something is refused. Needs sqlglot and PyYAML, no Spark.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from tarn_jobs.portability import refusals  # noqa: E402
from tarn_jobs.files import LocalFiles  # noqa: E402
from tarn_jobs.lake import Lake  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", help="folder with silver/ and gold/")
    parser.add_argument("--lake", help="a lake's folder: its tables give the columns their types")
    options = parser.parse_args()
    if not (Path(options.models) / "gold").is_dir() and not (Path(options.models) / "silver").is_dir():
        parser.error(f"'{options.models}' has neither gold/ nor silver/")
    found = refusals(LocalFiles(), options.models.rstrip("/"), Lake(LocalFiles(), options.lake).tables() if options.lake else None)
    for refusal in found:
        print(refusal)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
