"""Seeds a small shop in a cluster of its own, follows it with tarn until Gold is there, and runs this folder's tests on it.

    TARN_BIN=build/tarn python tests/gold/run.py [pytest arguments]
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main(tests: str = "tests/gold") -> int:
    """`tests`: the folder whose tests look at the lake."""
    with tempfile.TemporaryDirectory(prefix="tarn-gold-", dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        os.environ["TARN_DEMO_FOLDER"] = folder
        sys.path.insert(0, str(ROOT))
        from demo.story.__main__ import configure, follow, prepare
        from demo.story.report import Report
        from demo.story.screen import Screen
        from demo.story.services import Services
        services, screen, report = Services(), Screen(), Report("small")
        try:
            prepare(services, screen, report, "small")
            configure(services, screen, [(1, "first")])
            follow(services, screen, report).close()
            environment = {**os.environ, "TARN_TEST_DSN": services.dsn, "TARN_CONFIG": str(services.config),
                           "TARN_TEST_DEFECTS": str(Path(folder) / "defects.jsonl")}
            command = [sys.executable, "-m", "pytest", "-q", tests, *sys.argv[1:]]
            return subprocess.run(command, cwd=ROOT, env=environment).returncode
        finally:
            services.stop()
            services.cluster.remove()


if __name__ == "__main__":
    sys.exit(main())
