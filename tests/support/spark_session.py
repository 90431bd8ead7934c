"""One Spark in this process, with one bundle of Hudi. Needs no network."""

from __future__ import annotations

import os
import time
from pathlib import Path


def bundle_path(cache_folder: Path, bundle: str) -> Path:
    return cache_folder / f"jars/hudi-spark3.5-bundle_2.12-{bundle}.jar"


def start_spark(jar: Path | str, warehouse: Path, **more: str):
    """`more`: settings, with dots as two underscores."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    from pyspark.sql import SparkSession
    builder = (SparkSession.builder.master("local[2]").appName("tables").config("spark.jars", str(jar))
               .config("spark.serializer", "org.apache.spark.serializer.KryoSerializer")
               .config("spark.kryo.registrator", "org.apache.spark.HoodieSparkKryoRegistrar")
               .config("spark.sql.extensions", "org.apache.spark.sql.hudi.HoodieSparkSessionExtension")
               .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.hudi.catalog.HoodieCatalog")
               .config("spark.sql.session.timeZone", "UTC").config("spark.ui.enabled", "false")
               .config("spark.sql.shuffle.partitions", "2").config("spark.default.parallelism", "2")
               .config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
               .config("spark.sql.warehouse.dir", str(warehouse))
               .config("spark.driver.memory", "1500m"))
    for name, value in more.items():
        builder = builder.config(name.replace("__", "."), value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    session.sql("set hoodie.metadata.enable=false")  # Of what is called; a writer's option is its own.
    return session
