"""One Spark for all, with the jobs' modules at hand, and the lake of the demo's shop (run.py makes it).

TARN_BIN, TARN_CONFIG  the tarn that keeps the lake
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from support.spark_session import bundle_path, start_spark
from support.tarn import SOURCE_DIR

sys.path.insert(0, str(SOURCE_DIR / "jobs"))


@pytest.fixture(scope="session")
def spark(cache_folder, session_folder):
    # Many small statements: compiling them, and re-planning them while they run, would take longer than they do.
    session = start_spark(bundle_path(cache_folder, "0.15.0"), session_folder / "warehouse", spark__sql__shuffle__partitions="1",
                          spark__default__parallelism="1", spark__sql__adaptive__enabled="false", spark__sql__codegen__wholeStage="false",
                          spark__driver__extraJavaOptions="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
    from tarn_jobs.session import prepare
    prepare(session)
    yield session
    session.stop()


@pytest.fixture(scope="session")
def shop_lake() -> Path:
    if "TARN_CONFIG" not in os.environ:
        pytest.skip("TARN_CONFIG is not set: tests/jobs/run.py makes a lake of the shop")
    return Path(os.environ["TARN_CONFIG"]).parent / "lake"
