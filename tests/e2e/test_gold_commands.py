"""`tarn plan`, `lineage`, `runs` and `backfill`: what Gold does, and why."""

from __future__ import annotations

import datetime
import json

import pytest

from support.cluster import wait_for
from support.shifted_clock import shifted_clock

MODELS = {
    "revenue": ("tenant_id", "tenant_id",
                "SELECT o.tenant_id, CAST(sum(o.total) AS BIGINT) AS revenue\nFROM orders o JOIN tenants t ON t.id = o.tenant_id\n"
                "WHERE o.status = 'paid' GROUP BY 1"),
    "ranks": ("place", "", "SELECT CAST(row_number() OVER (ORDER BY revenue DESC, tenant_id) AS BIGINT) AS place, tenant_id FROM revenue"),
    "ages": ("tenant_id", "tenant_id", "SELECT tenant_id, max(CAST(as_of() AT TIME ZONE 'UTC' AS DATE) - placed_on) AS days FROM orders GROUP BY 1"),
}


def write_model(folder, name, key, partition, sql):
    (folder / f"{name}.sql").write_text(sql + "\n")
    (folder / f"{name}.yml").write_text(f"key: [{key}]\n" + (f"partition: {partition}\n" if partition else ""))


@pytest.fixture
def shop(source, worker):
    source.execute("CREATE TABLE tenants (id int PRIMARY KEY, name text)")
    source.execute("CREATE TABLE orders (id int PRIMARY KEY, tenant_id int NOT NULL, total int, status text, placed_on date)")
    source.execute("INSERT INTO tenants SELECT g, 'tenant ' || g FROM generate_series(1, 4) g")
    source.execute("INSERT INTO orders SELECT g, 1 + g % 4, g, 'paid', '2026-01-01' FROM generate_series(1, 400) g")
    models = worker.folder / "models"
    for part in ("gold", "silver"):
        (models / part).mkdir(parents=True)
    for name, model in MODELS.items():
        write_model(models / "gold", name, *model)
    tarn = worker.tarn(source, tenants={"column": "tenant_id"}, gold={"models": str(models)}).start()
    wait_for(lambda: len(runs(tarn)) >= len(MODELS), what="the first run of Gold")
    return source, tarn, models / "gold"


def runs(tarn, *arguments):
    return json.loads(tarn.must("runs", *arguments, "--json"))["runs"]


def plan(tarn):
    return {model["model"]: model for model in json.loads(tarn.must("plan", "--json"))["models"]}


def revenue(tarn):
    return {row["tenant_id"]: row["revenue"] for row in tarn.query("SELECT tenant_id, revenue FROM gold.revenue")}


def test_plan_says_how_and_why(shop):
    source, tarn, models = shop
    planned = plan(tarn)
    assert planned["revenue"]["incremental"] and planned["revenue"]["time"] == "none"
    assert planned["revenue"]["reads"] == {"silver": ["orders", "tenants"], "gold": []}
    assert planned["revenue"]["next"]["computes"] == "nothing"
    assert not planned["ranks"]["incremental"] and planned["ranks"]["full_because"] == "it is not partitioned"
    assert planned["ranks"]["reads"] == {"silver": ["orders", "tenants"], "gold": ["revenue"]}
    assert planned["ages"]["time"] == "day"

    tarn.stop()
    text = tarn.must("plan")
    assert "computed  by touched partitions of tenant_id" in text
    assert "changes when a day turns" in text
    write_model(models, "revenue", *MODELS["revenue"][:2], MODELS["revenue"][2].replace("'paid'", "'sent'"))
    write_model(models, "broken", "id", "", "SELECT nothing FROM orders")
    outcome = tarn.command("plan", "--json")
    planned = {model["model"]: model for model in json.loads(outcome.out)["models"]}
    assert outcome.code == 1
    assert planned["revenue"]["next"]["computes"] == "all" and "SQL" in planned["revenue"]["next"]["because"]
    assert planned["ranks"]["next"]["computes"] == "all"  # It has the other one's SQL within its own.
    assert "nothing" in planned["broken"]["error"]


def test_only_touched_tenants_are_computed(shop):
    source, tarn, _ = shop
    before = revenue(tarn)
    source.execute("UPDATE orders SET total = total + 1000 WHERE id = 8")
    wait_for(lambda: revenue(tarn) == {**before, 1: before[1] + 1000}, what="the change in Gold")
    newest = runs(tarn, "revenue")[0]
    assert (newest["computed"], newest["partitions_computed"], newest["partitions_changed"]) == ("partitions", 1, 1)
    assert newest["reason"] == "1 partition was touched" and newest["error"] == ""
    assert newest["rows"] == 1 and newest["bytes_written"] > 0
    # A row that moves to another tenant touches both; what a restart has forgotten is in the commits.
    tarn.stop()
    source.execute("UPDATE orders SET tenant_id = 2 WHERE id = 8")
    tarn.start()
    wait_for(lambda: revenue(tarn) == {**before, 1: before[1] - 8, 2: before[2] + 1008}, what="the move in Gold")
    newest = runs(tarn, "revenue")[0]
    assert (newest["computed"], newest["partitions_computed"]) == ("partitions", 2)
    source.execute("UPDATE tenants SET name = 'other' WHERE id = 3")
    wait_for(lambda: "silver.tenants" in runs(tarn, "revenue")[0]["reason"], what="a run for the table without tenants")


def test_a_day_turns_while_the_source_is_idle(shop, worker):
    _, tarn, _ = shop
    tarn.stop()
    now = datetime.datetime.now(datetime.timezone.utc)
    midnight = datetime.datetime.combine(now.date() + datetime.timedelta(days=1), datetime.time(), datetime.timezone.utc)
    # Long enough before it that the start is over by then.
    tarn.start(environment=shifted_clock(worker.folder, int((midnight - now).total_seconds()) - 30))
    days = (midnight.date() - datetime.date(2026, 1, 1)).days
    wait_for(lambda: {row["days"] for row in tarn.query("SELECT days FROM gold.ages")} == {days}, seconds=120, what="the new day")
    assert "depends on the day" in runs(tarn, "ages")[0]["reason"]
    assert [run["reason"] for run in runs(tarn, "revenue")] == ["it was never computed"]


def test_backfill(shop):
    source, tarn, _ = shop
    count = len(runs(tarn, "revenue"))
    assert "would be computed again: 2" in tarn.must("backfill", "revenue", "--tenant", "2", "--dry-run")
    assert len(runs(tarn, "revenue")) == count
    tarn.must("backfill", "revenue", "--tenant", "2", "--tenant", "4")
    wait_for(lambda: len(runs(tarn, "revenue")) > count, what="the backfill")
    newest = runs(tarn, "revenue")[0]
    assert (newest["partitions_computed"], newest["partitions_changed"]) == (2, 2)
    assert "tarn backfill" in newest["reason"]
    tarn.must("backfill", "ranks")
    wait_for(lambda: "tarn backfill" in runs(tarn, "ranks")[0]["reason"], what="the backfill of all")

    refused = tarn.command("backfill", "ranks", "--tenant", "2")
    assert refused.code == 2 and "it is not partitioned; leave --tenant out" in refused.err
    assert "there is no model 'nothing'; there are: " in tarn.command("backfill", "nothing").err

    tarn.stop()
    assert "the next `tarn run` computes it" in tarn.must("backfill", "revenue")
    tarn.start()
    wait_for(lambda: runs(tarn, "revenue")[0]["reason"] == "asked for by `tarn backfill`", what="the backfill after a start")


def test_failed_runs_are_told_of_and_readers_keep_the_last_version(shop):
    source, tarn, models = shop
    before = revenue(tarn)
    tarn.stop()
    write_model(models, "revenue", "tenant_id", "tenant_id",
                "SELECT tenant_id, CAST(error('no sums today') AS BIGINT) AS revenue FROM orders")
    tarn.start()
    wait_for(lambda: runs(tarn, "revenue")[0]["error"], what="the failure")
    assert "no sums today" in runs(tarn, "revenue")[0]["error"]
    assert "FAILED: " in tarn.must("runs", "revenue", "--limit", "1")
    assert revenue(tarn) == before


def test_lineage(shop):
    _, tarn, _ = shop
    graph = tarn.must("lineage")
    assert "silver.orders\n" in graph and "gold.revenue\n" in graph
    assert "   └─ gold.ranks" in graph or "│  └─ gold.ranks" in graph
    text = tarn.must("lineage", "revenue")
    assert "  revenue   ← orders.total\n" in text and "which rows there are ← orders.status, orders.tenant_id, tenants.id" in text
    assert "tenant_id" not in tarn.must("lineage", "revenue.revenue").splitlines()[0]
    uses = tarn.must("lineage", "orders.total")
    assert "→ gold.revenue: revenue" in uses and "→ gold.ranks: place" in uses and "gold.ages" not in uses
    model, = json.loads(tarn.must("lineage", "ages", "--json"))["models"]
    assert model["columns"] == [{"name": "tenant_id", "sources": ["silver.orders.tenant_id"]},
                                {"name": "days", "sources": ["silver.orders.placed_on"]}]
    missing = tarn.command("lineage", "nothing")
    assert missing.code == 1 and "no model is, has or reads 'nothing'" in missing.err


def test_help_shows_an_example(worker, source):
    tarn = worker.tarn(source)
    for command in ("plan", "lineage", "runs", "backfill"):
        assert f"Example: tarn {command}" in tarn.must(command, "--help")
