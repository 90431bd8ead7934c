"""Bronze is enough: Silver, quarantine and Gold come back from it, row for row."""

from __future__ import annotations

import shutil

from support.cluster import wait_for
from support.history import SILVER, History

LAYERS = [f"{layer}.{table}" for table in SILVER for layer in ("silver", "quarantine")]

MODEL = "SELECT tenant_id, count(*) AS items, sum(qty) AS qty FROM item GROUP BY tenant_id"
MODEL_YML = "description: Items of each tenant.\nkey: [tenant_id]\n"


def models(worker):
    folder = worker.folder / "models"
    for name in ("gold", "silver"):
        (folder / name).mkdir(parents=True)
    (folder / "gold/item_totals.sql").write_text(MODEL)
    (folder / "gold/item_totals.yml").write_text(MODEL_YML)
    (folder / "silver/item.yml").write_text(
        "table: item\nmonth_of: at\nrules:\n  - name: qty_small\n    check: qty < 8\n    explain: Eight is too many.\n")
    return str(folder)


def test_rebuild_gives_the_same_rows(source, worker, seed):
    """A random history over restarts and an added column; rebuilt with the source away; then it goes on."""
    history = History(source, seed).create()
    tarn = worker.tarn(source, tenants={"column": "tenant_id"}, gold={"models": models(worker)})
    tarn.start()
    for part in range(3):
        for _ in range(60):
            history.step()
        if part == 0:
            source.execute("ALTER TABLE customer ADD COLUMN extra text; UPDATE customer SET extra = 'e' WHERE id % 2 = 0")
        if part == 1:
            assert tarn.stop() == 0
            for _ in range(20):
                history.step()
            tarn.start()
    tarn.wait_gold()
    verified = tarn.verify()
    assert sum(table["quarantine"]["rows"] for table in verified.values()) > 0, "the history refused no row"
    # Gold's _lsn is of the run that wrote the row, and a rebuild runs once for all.
    totals = "(SELECT * EXCLUDE (_lsn) FROM gold.item_totals)"
    before = {table: tarn.table_rows(table) for table in (*LAYERS, totals)}
    assert tarn.stop() == 0
    # The source is not asked: a port that nobody listens on.
    port = tarn.sections["source"]["port"]
    tarn.sections["source"]["port"] = 1
    tarn.write_config()
    assert "made again" in tarn.must("rebuild")
    after = {table: tarn.table_rows(table) for table in before}
    for table in before:
        assert after[table] == before[table], table
    tarn.sections["source"]["port"] = port
    tarn.write_config()
    tarn.start()
    for _ in range(20):
        history.step()
    tarn.wait_caught_up()
    tarn.verify()


def test_rebuild_of_a_lake_whose_silver_is_gone(source, worker, seed):
    """Silver, Gold and everything that is derived from Bronze deleted by hand: rebuild brings it back."""
    history = History(source, seed + 1).create()
    tarn = worker.tarn(source).start()
    for _ in range(40):
        history.step()
    tarn.wait_caught_up()
    before = {table: tarn.table_rows(table) for table in LAYERS}
    assert tarn.stop() == 0
    for folder in ("silver", "quarantine", "_tarn/sidecar", "_tarn/versions"):
        shutil.rmtree(tarn.lake / folder)
    tarn.must("rebuild")
    assert {table: tarn.table_rows(table) for table in LAYERS} == before
    tarn.start().wait_caught_up()
    tarn.verify()


def test_rebuild_keeps_what_bronze_could_not_make_again(source, worker):
    """Bronze has lost a file, or the manifest of a copy: nothing is removed, and the past can still be asked for."""
    source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 9)")
    tarn = worker.tarn(source).start()
    copied_at = tarn.status()["tables"]["t"]["copied_at"]
    early = tarn.value("SELECT current_timestamp::VARCHAR").split("+")[0]
    source.execute("DELETE FROM t WHERE id > 5")
    tarn.wait_caught_up()
    assert tarn.stop() == 0
    before = tarn.table_rows("t")
    manifest, = (tarn.lake / "_tarn/bronze/loads").glob("t.json")
    for lost in (*(tarn.lake / "bronze/public/t").glob("2*.parquet"), manifest):
        kept = tarn.folder / "kept"
        lost.rename(kept)
        refused = tarn.command("rebuild")
        assert refused.code == 1 and "Bronze is not complete" in refused.err, refused.text
        assert tarn.table_rows("t") == before
        kept.rename(lost)
    # Without the manifest the next start makes another copy, beside what is there.
    manifest.unlink()
    assert tarn.command("bronze", "verify").code == 1
    tarn.start()
    wait_for(lambda: tarn.status()["tables"]["t"]["copied_at"] != copied_at, 60, "a newer copy")
    tarn.wait_settled()
    tarn.verify()
    assert tarn.value("SELECT count(*) FROM t", as_of=early) == 9
    assert tarn.stop() == 0
    tarn.bronze_verified()
    tarn.must("rebuild")
    assert tarn.value("SELECT list(id ORDER BY id)::VARCHAR FROM t") == "[1, 2, 3, 4, 5]"


def test_a_lake_without_its_memory_stays_as_it_is(source, worker):
    """A lake that was copied without its hidden folder: tarn starts nothing in it, and removes nothing."""
    source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    tarn = worker.tarn(source).start()
    source.execute("INSERT INTO t VALUES (2)")
    tarn.wait_caught_up()
    assert tarn.stop() == 0
    files = sorted(path for layer in ("bronze", "silver") for path in (tarn.lake / layer).rglob("*"))
    memory = tarn.lake / "_tarn"
    memory.rename(tarn.folder / "memory")
    for command in ("run", "rebuild"):
        refused = tarn.command(command)
        assert refused.code == 1 and "restored without" in refused.err, refused.text
    assert sorted(path for layer in ("bronze", "silver") for path in (tarn.lake / layer).rglob("*")) == files
    shutil.rmtree(memory)
    (tarn.folder / "memory").rename(memory)
    tarn.start().wait_caught_up()
    tarn.verify()


def test_rebuild_needs_the_lake_to_itself(source, worker):
    """While tarn runs, and without any lake, rebuild refuses and touches nothing."""
    source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    tarn = worker.tarn(source)
    empty = tarn.command("rebuild")
    assert empty.code == 1 and "no finished first copy" in empty.err
    tarn.start()
    refused = tarn.command("rebuild")
    assert refused.code == 1 and "another tarn" in refused.err
    assert tarn.value("SELECT count(*) FROM t") == 1
