"""Reads the days of a lake with Spark and one bundle.

    python read_lake_days.py BUNDLE_JAR FOLDER RESULT

FOLDER is what lake_days.write_days wrote. RESULT gets {"<moment>": [[id, value]…] or what went wrong}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from lake_days import LakeDays, days_of  # noqa: E402
from support.spark_session import start_spark  # noqa: E402


def spark_reads(spark, days: LakeDays) -> dict[str, list[list[int]] | str]:
    found: dict[str, list[list[int]] | str] = {}
    for moment, instant in days.kept().items():
        try:
            frame = spark.read.format("hudi").options(**{"as.of.instant": instant} if instant else {}).load(str(days.table))
            found[moment] = [[row["id"], row["value"]] for row in frame.select("id", "value").collect()]
        except Exception as error:  # noqa: BLE001 Whatever way it fails, it is not right.
            found[moment] = str(error)[:1000]
    return found


def main():
    jar, folder, result = sys.argv[1:]
    spark = start_spark(jar, Path(result).with_suffix(".warehouse"))
    Path(result).write_text(json.dumps(spark_reads(spark, days_of(Path(folder)))))
    spark.stop()


if __name__ == "__main__":
    main()
