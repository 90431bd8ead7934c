"""Every model of models/gold on tarn and on Spark over the same lake: the same rows, decimals and times to the last digit."""

from __future__ import annotations

import json

import pytest

from rows import asked, differences, of_spark
from support.tarn import SOURCE_DIR, hudi_rows, tarn_binary

from tarn_jobs import hudi_tables
from tarn_jobs.files import LocalFiles
from tarn_jobs.gold import GoldRun, table_of
from tarn_jobs.lake import Lake
from tarn_jobs.models import gold_models

MODELS = gold_models(LocalFiles(), str(SOURCE_DIR / "models"))


def bookmark_of(lake, model: str) -> dict:
    """Of tarn's newest result: what it was computed from."""
    return json.loads(hudi_tables.last_property(LocalFiles(), str(lake / "gold" / model), "tarn.gold.bookmark"))


@pytest.fixture(scope="session")
def run(spark, shop_lake):
    """All models on Spark, from the Silver that tarn's Gold was computed from, and for the same present."""
    bookmarks = [bookmark_of(shop_lake, model.name) for model in MODELS]
    newest = max(bookmarks, key=lambda bookmark: bookmark["as_of"])
    version = Lake(LocalFiles(), str(shop_lake)).newest_version()

    def silver(name):  # Read once: 34 models begin with the same eight tables.
        return hudi_tables.read(spark, f"{shop_lake}/silver/{name}", newest["source"]).localCheckpoint()
    made = GoldRun(spark, MODELS, silver, set(version.tables), newest["as_of"])
    yield made
    made.close()


def test_there_are_models_that_read_models():
    names = {model.name for model in MODELS}
    assert len(MODELS) >= 34 and sum(bool(model.reads & names) for model in MODELS) > 5
    for number, model in enumerate(MODELS):
        assert not model.reads & {later.name for later in MODELS[number:]}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_rows_are_those_of_tarn(run, model):
    ours = asked(f"SELECT * FROM gold.{model.name}")
    assert ours
    assert differences(of_spark(run.frames[model.name]), ours) == []


def test_written_tables_are_as_tarn_writes_them(run, shop_lake, session_folder):
    """Properties, commit and rows of a partitioned model; written a second time, readers see the rows once."""
    target = session_folder / "gold_on_spark"
    few = [model for model in MODELS if model.name == "revenue_growth_quarterly"]
    run.models, everything = few, run.models
    try:
        for lsn in (7, 8):
            run.write(LocalFiles(), str(target), lsn, {})
    finally:
        run.models = everything
    table = table_of(few[0], str(target))
    assert differences(hudi_rows(table.path, []), asked(f"SELECT * FROM gold.{table.name}")) == []
    assert {row["_lsn"] for row in hudi_rows(table.path, [])} == {8}
    assert hudi_tables.last_property(LocalFiles(), table.path, "tarn.lsn") == "8"
    assert unlike_properties(table.path, str(shop_lake / "gold" / table.name)) == {}
    import subprocess
    assert subprocess.run([tarn_binary(), "hudi", "check", table.path], capture_output=True).returncode == 0


def unlike_properties(theirs: str, ours: str) -> dict:
    """Of what both say of their table; schemas are named in other ways."""
    def read(path):
        with open(f"{path}/.hoodie/hoodie.properties", encoding="utf-8") as lines:
            return dict(line.strip().replace("\\:", ":").split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    spark, tarn = read(theirs), read(ours)
    return {name: (spark[name], tarn[name]) for name in spark.keys() & tarn.keys() if spark[name] != tarn[name] and "schema" not in name}
