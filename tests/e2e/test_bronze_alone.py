"""Bronze without Silver, as a replication into Parquet files for other jobs; Silver may be made of it later."""

from __future__ import annotations

import random

import pytest

from support.cluster import wait_for
from support.history import SILVER, History


def bronze_rows(tarn, table: str) -> int:
    return tarn.value(f"SELECT count(*) FROM bronze.{table}")


@pytest.fixture
def alone(source, worker, seed):
    history = History(source, seed).create()
    tarn = worker.tarn(source, tenants={"column": "tenant_id"}, silver={"enabled": False, "commit_interval_ms": 100},
                       bronze={"flush_interval_ms": 100})
    return history, tarn


def loads(tarn) -> list[str]:
    return sorted(path.name for path in (tarn.lake / "_tarn/bronze/loads").iterdir())


def test_all_changes_and_nothing_else(source, alone):
    """Copies once, follows over kills, new tables, new columns and a copy that is asked for; no other folder appears."""
    history, tarn = alone
    tarn.start().wait_caught_up()
    first = loads(tarn)
    assert len(first) == len(SILVER)
    history.take_steps(30)
    for _ in range(2):
        tarn.kill()
        tarn.start()
        history.take_steps(10)
    tarn.wait_caught_up()
    assert loads(tarn) == first, "nothing was copied again"
    source.execute("CREATE TABLE late (id int PRIMARY KEY, v text); INSERT INTO late SELECT g, 'v' FROM generate_series(1, 50) g")
    wait_for(lambda: "late.json" in loads(tarn), 60, "the new table")
    tarn.wait_status(lambda status: not status["copies"]["wanted"], what="its copy")
    source.execute("ALTER TABLE late ADD COLUMN n int; UPDATE late SET n = id; DELETE FROM late WHERE id > 40")
    tarn.wait_caught_up()
    assert bronze_rows(tarn, "late") >= 100 and tarn.value("SELECT count(n) FROM bronze.late WHERE Op = 'U'") == 50
    assert "late" in tarn.must("resync", "late")
    assert "late.2.json" in loads(tarn)
    assert [path.name for path in tarn.lake.iterdir() if path.is_dir() and path.name[0] != "_"] == ["bronze"]
    assert tarn.command("verify").code == 2 and "tarn bronze verify" in tarn.command("verify").err
    assert tarn.stop() == 0
    assert tarn.bronze_verified()["warnings"] == []
    assert tarn.command("rebuild").code == 2


def test_silver_is_made_of_it_later(source, alone):
    history, tarn = alone
    tarn.start().wait_caught_up()
    history.take_steps(40)
    tarn.wait_caught_up()
    assert tarn.stop() == 0
    first = loads(tarn)
    tarn.sections["silver"].pop("enabled")
    tarn.write_config()
    tarn.start()
    history.take_steps(10)
    tarn.wait_status(lambda status: not status["copies"]["wanted"], what="the copies")
    tarn.wait_caught_up()
    tarn.verify()
    assert loads(tarn) == first, "the copies that were there"
    assert tarn.stop() == 0
    tarn.sections["silver"]["enabled"] = False
    tarn.write_config()
    refused = tarn.command("run")
    assert refused.code == 2 and "silver.enabled is false" in refused.err and str(tarn.lake) in refused.err, refused.text


def test_killed_anywhere(source, alone, seed):
    """The chain is complete, and what Silver makes of it equals the source."""
    rng = random.Random(seed)
    history, tarn = alone
    with history:
        for _ in range(4):
            tarn.start(wait=False)
            steps = history.steps + rng.randrange(1, 15)
            wait_for(lambda: history.steps >= steps, 30, "the writer")
            tarn.kill()
    tarn.start().wait_caught_up()
    tarn.bronze_verified()
    assert tarn.stop() == 0
    tarn.sections["silver"].pop("enabled")
    tarn.write_config()
    tarn.start().wait_status(lambda status: not status["copies"]["wanted"], what="the copies")
    tarn.wait_caught_up()
    tarn.verify()


def test_gold_needs_silver(worker, source):
    tarn = worker.tarn(source, silver={"enabled": False}, gold={"models": "models"})
    refused = tarn.command("status")
    assert refused.code == 2 and "gold.models" in refused.err and "silver.enabled" in refused.err, refused.text
