"""The lake that all judges look at."""

from __future__ import annotations

import os

import pytest

from support.judged_lake import judged_lake
from support.sample_tables import write_sample_tables


@pytest.fixture(scope="session")
def lake(request, session_folder, cluster):
    print(f"seed {request.config.tarn_seed}")
    with judged_lake(session_folder / "judged", cluster, request.config.tarn_seed) as made:
        yield made


@pytest.fixture(scope="session")
def sample(session_folder):
    return write_sample_tables(session_folder / "sample")


@pytest.fixture(scope="session")
def spark(cache_folder):
    os.environ["TZ"] = "UTC"
    import time
    time.tzset()
    from pyspark.sql import SparkSession
    session = (SparkSession.builder.master("local[2]").appName("judge")
               .config("spark.jars", str(cache_folder / "jars/hudi-spark3.5-bundle_2.12-0.15.0.jar"))
               .config("spark.serializer", "org.apache.spark.serializer.KryoSerializer")
               .config("spark.sql.extensions", "org.apache.spark.sql.hudi.HoodieSparkSessionExtension")
               .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.hudi.catalog.HoodieCatalog")
               .config("spark.sql.session.timeZone", "UTC").config("spark.ui.enabled", "false")
               .config("spark.sql.shuffle.partitions", "2").config("spark.driver.bindAddress", "127.0.0.1")
               .config("spark.driver.host", "127.0.0.1").config("spark.driver.memory", "1g").getOrCreate())
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()
