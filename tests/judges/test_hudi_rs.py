"""hudi-rs reads tarn's tables as tarn does: the present, the past, Gold."""

from __future__ import annotations

import pytest
from hudi import HudiReadOptions, HudiTable

from support.history import SILVER
from support.judged_lake import GOLD, comparable


def read(path: str, as_of: str | None = None) -> list[list]:
    options = HudiReadOptions()
    if as_of:
        options = options.with_as_of_timestamp(as_of)
    rows = []
    for batch in HudiTable(path).read(options):
        rows += batch.to_pylist()
    return comparable(rows)


@pytest.mark.parametrize("table", SILVER)
def test_snapshot(lake, table):
    """After inserts, updates, deletes, moves between tenants and months, truncation and compaction."""
    assert read(lake.silver(table)) == lake.moments[-1].rows[table]


@pytest.mark.parametrize("table", SILVER)
def test_as_of_lake_versions(lake, table):
    """At the instant of each lake version: the rows that tarn had then, before and after compaction."""
    for moment in lake.moments:
        assert read(lake.silver(table), moment.instant) == moment.rows[table], moment.instant


@pytest.mark.parametrize("model", GOLD)
def test_gold(lake, model):
    """A model with partitions and one without."""
    assert read(str(lake.path / "gold" / model)) == lake.gold[model]


@pytest.mark.parametrize("table", SILVER)
def test_quarantine_opens(lake, table):
    """Quarantine's tables are Hudi tables like any other."""
    assert len(read(str(lake.path / "quarantine" / table))) >= (1 if table == "item" else 0)
