"""Silver and quarantine that the job makes of Bronze are those that tarn made: after a first load, after more changes, after a
truncation and a new copy, and after runs that were cut off between any two commits."""

from __future__ import annotations

import os
import random
import subprocess

import pytest

from rows import asked, differences, of_spark
from support.history import History
from support.tarn import SOURCE_DIR, tarn_binary
from support.worker import Worker

from tarn_jobs import hudi_tables
from tarn_jobs.bronze import Bookmark, Bronze
from tarn_jobs.files import LocalFiles
from tarn_jobs.images import CHANGE, COPY, last_images, rows_of
from tarn_jobs.lake import Lake
from tarn_jobs.models import Rule, SilverModel, silver_models
from tarn_jobs.rules import SilverRules
from tarn_jobs.silver import SilverLoad, Unfit

MODELS = {
    "silver/item.yml": "table: item\nmonth_of: at\nrules:\n  - name: qty_small\n    check: qty < 8\n    explain: Too many.\n"
                       "  - name: dear\n    check: price < 9000000\n    explain: Who pays that?\n    action: warn\n",
    "silver/stock.sql": "SELECT code, qty * 2 AS twice, trim(info) AS info, '[' || tags || ']' AS tags FROM stock",
}
TABLES = ("customer", "item", "stock", "event")


class Job:
    """Runs of the job on a lake, into a folder of its own."""

    def __init__(self, spark, lake, target):
        self.spark, self.lake, self.target = spark, str(lake), str(target)
        self.models = silver_models(LocalFiles(), str(lake.parent / "models"))

    def load(self, table: str) -> SilverLoad:
        lake = Lake(LocalFiles(), self.lake)
        return SilverLoad(self.spark, LocalFiles(), Bronze(lake), lake.tables()[table], self.models.get(table, SilverModel(table)), self.target)

    def run(self, *tables: str) -> dict[str, str]:
        """How each table was made."""
        return {table: self.load(table).run().mode for table in tables}

    def differences(self, tarn, *tables: str) -> list[str]:
        config = str(tarn.folder / "tarn.toml")
        found = []
        for layer in ("silver", "quarantine"):
            for table in tables:
                path = f"{self.target}/{layer}/{table}"
                theirs = of_spark(hudi_tables.read(self.spark, path)) if hudi_tables.exists(LocalFiles(), path) else []
                theirs = [{name: value for name, value in row.items() if not name.startswith("_source_")} for row in theirs]
                found += [f"{layer}.{table}: {what}" for what in differences(theirs, asked(f"SELECT * FROM {layer}.{table}", config), without=())]
        return found


@pytest.fixture(scope="module")
def running(request, session_folder, cluster):
    """A tarn that follows random changes, with rules, a SELECT list and months."""
    seed = request.config.tarn_seed
    print(f"seed {seed}")
    folder = session_folder / "silver_on_spark"
    folder.mkdir(mode=0o755)
    worker = Worker(folder)
    source = worker.database(cluster)
    history = History(source, seed, truncates=0).create()
    tarn = worker.tarn(source, tenants={"column": "tenant_id"}, gold={"models": "models"}, bronze={"flush_interval_ms": 200})
    for name, text in MODELS.items():
        (tarn.folder / "models" / name).parent.mkdir(parents=True, exist_ok=True)
        (tarn.folder / "models" / name).write_text(text)
    tarn.start()
    yield source, history, tarn
    worker.close()


def every_way(source, at: int) -> None:
    """Each way of a row at least once, whatever the seed."""
    source.execute(f"INSERT INTO customer VALUES ({at + 1}, 1, 'moves', repeat('b', 3000)), ({at + 2}, 1, 'goes', 'b'), ({at + 3}, 1, 'other key', repeat('k', 3000))")
    source.execute(f"INSERT INTO item VALUES (1, {at}, 9, 'NaN', '2026-01-01'), (1, {at + 1}, 9, 1, '2026-01-01'), (1, {at + 2}, 1, 1, '2026-01-01')")
    source.execute(f"UPDATE customer SET tenant_id = 2 WHERE id = {at + 1}; DELETE FROM customer WHERE id = {at + 2}")
    source.execute(f"UPDATE customer SET id = {at + 4} WHERE id = {at + 3}; INSERT INTO customer VALUES ({at + 2}, 3, 'again', 'b')")
    source.execute(f"UPDATE item SET qty = 1 WHERE id = {at + 1}; UPDATE item SET qty = 9, at = '2026-02-01' WHERE id = {at + 2}")


class CutOff(Exception):
    """The process ended here."""


def run_cut_off(job: Job, table: str, monkeypatch, draw) -> set[tuple[str, str]]:
    """Runs that are cut off before a commit that `draw` takes from their number, then one to its end. Gives all their commits."""
    write, commits, ways = hudi_tables.write, [], set()

    def counted(frame, to, operation, properties):
        if len(commits) == cut_at:
            raise CutOff
        commits.append((to.database, operation))
        ways.add(commits[-1])
        write(frame, to, operation, properties)
    monkeypatch.setattr(hudi_tables, "write", counted)
    for cut_at in draw(range(1, 4 if table == "item" else 2)):
        commits.clear()
        with pytest.raises(CutOff):
            job.load(table).run()
    cut_at = -1
    commits.clear()
    assert job.load(table).run().mode == "changes"
    monkeypatch.undo()
    return ways


def test_silver_and_quarantine_are_those_of_tarn(request, spark, running, session_folder, monkeypatch):
    source, history, tarn = running
    job = Job(spark, tarn.lake, session_folder / "silver_target")
    every_way(source, 900)
    history.take_steps(25)
    tarn.wait_caught_up()
    assert set(job.run(*TABLES).values()) == {"copied"}
    assert job.differences(tarn, *TABLES) == []

    # Of rows that are in the target already, too; one of the tables cut off before one of the commits, or (TARN_EVERY_IO=1) both before each in turn.
    source.execute("UPDATE customer SET name = 'later' WHERE id IN (901, 904); UPDATE customer SET id = 905, tenant_id = 3 WHERE id = 904")
    source.execute("UPDATE customer SET tenant_id = 3 WHERE id = 901; DELETE FROM customer WHERE id = 902; INSERT INTO event VALUES (1, 'more')")
    source.execute("UPDATE item SET qty = 2 WHERE id = 902; UPDATE item SET qty = 9 WHERE id = 901; INSERT INTO item VALUES (1, 903, 9, 1, '2026-01-01')")
    history.take_steps(25)
    tarn.wait_caught_up()
    rng = random.Random(request.config.tarn_seed)
    chosen = rng.choice(("customer", "item"))

    def draw(table):
        return (lambda places: places) if os.environ.get("TARN_EVERY_IO") else lambda places: [rng.choice(places)] if table == chosen else []
    assert run_cut_off(job, "customer", monkeypatch, draw("customer")) == {("silver", "upsert"), ("silver", "delete")}
    both = {(layer, what) for layer in ("silver", "quarantine") for what in ("upsert", "delete")}
    assert run_cut_off(job, "item", monkeypatch, draw("item")) == both
    assert job.run("event", "customer") == {"event": "changes", "customer": "nothing new"}
    assert job.differences(tarn, "customer", "item", "event") == []

    source.execute("TRUNCATE stock; INSERT INTO stock VALUES ('new', 1, '{a}', '{}')")
    tarn.must("resync", "public.customer")
    history.take_steps(5)
    tarn.wait_settled()
    assert job.run("customer", "stock") == {"customer": "copied", "stock": "emptied, then changes"}
    assert job.differences(tarn, "customer", "stock") == []
    tables = [str(path) for layer in ("silver", "quarantine") for path in (session_folder / "silver_target" / layer).iterdir()]
    checked = subprocess.run([tarn_binary(), "hudi", "check", *tables], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_rules_of_the_shop_refuse_the_same_rows(spark, shop_lake):
    lake = Lake(LocalFiles(), str(shop_lake))
    bronze, models = Bronze(lake), silver_models(LocalFiles(), str(SOURCE_DIR / "models"))
    refused = 0
    for name, table in lake.tables().items():
        if name in ("events", "orders", "order_items"):  # The largest; the others have every sort of rule.
            continue
        new = bronze.since(name, Bookmark())
        parts = [frame for frame in (rows_of(spark, new.copy, table, COPY), rows_of(spark, new.changes, table, CHANGE)) if frame is not None]
        images = parts[0] if len(parts) == 1 else parts[0].unionByName(parts[1])
        judged = SilverRules(table, models[name], images.schema).judged(spark, last_images(images, table).where("Op <> 'D'"))
        theirs = of_spark(judged.where("_rule IS NOT NULL").select(*table.key, "_rule", "_reason"))
        ours = asked(f"SELECT {', '.join(table.key)}, _rule, _reason FROM quarantine.{name}")
        assert differences(theirs, ours, without=()) == [], name
        accepted = of_spark(judged.where("_rule IS NULL").select(*table.columns))
        assert differences(accepted, asked(f"SELECT {', '.join(table.columns)} FROM silver.{name}"), without=()) == [], name
        refused += len(ours)
    assert refused > 3


def test_tables_that_the_job_does_not_make_are_named(spark, running):
    source, _, tarn = running
    lake = Lake(LocalFiles(), str(tarn.lake))
    described = lake.json("tables.json")["tables"][0]["source"]
    from tarn_jobs.lake import table_of
    keyless = table_of({**described, "append_only": False, "columns": [{**column, "is_key": False} for column in described["columns"]]})
    with pytest.raises(Unfit, match="tarn rebuild"):
        SilverLoad(spark, LocalFiles(), Bronze(lake), keyless, SilverModel(keyless.name), "nowhere")
    with pytest.raises(LookupError, match="no complete copy"):
        Bronze(lake).since("nothing", Bookmark())


def test_a_rule_that_says_stop_ends_the_job_before_it_writes(spark, running, session_folder):
    _, _, tarn = running
    job = Job(spark, tarn.lake, session_folder / "stopped_target")
    job.models["item"] = SilverModel("item", "item.yml", "at", (Rule("small", "qty < 1", "", "warn", 1, 1), Rule("none", "qty < 0", "", "stop", 2, 1)))
    with pytest.raises(Unfit, match="a row of 'item' breaks the rule 'none', which says stop"):
        job.load("item").run()
    assert not (session_folder / "stopped_target").exists()
