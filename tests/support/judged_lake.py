"""One lake for all judges: tenants, months, moves, deletes, refused rows, compaction, Gold; and what tarn says it holds."""

from __future__ import annotations

import datetime
import decimal
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .cluster import Cluster, wait_for
from .history import SILVER, History
from .worker import Worker

MODELS = {
    "gold/tenant_months.sql": "SELECT tenant_id, strftime(\"at\", '%Y-%m') AS month, count(*) AS items, sum(qty) AS qty, "
                              "sum(price) AS total FROM item GROUP BY ALL",
    "gold/tenant_months.yml": "description: Items by tenant and month.\nkey: [tenant_id, month]\npartition: tenant_id\n",
    "gold/shelf.sql": "SELECT code, qty, qty * 2.5 AS worth, (SELECT count(*) FROM customer) AS customers FROM stock",
    "gold/shelf.yml": "description: What is there.\nkey: [code]\n",
    "silver/item.yml": "table: item\nmonth_of: at\nrules:\n  - name: qty_small\n    check: qty < 9\n    explain: Too many.\n",
}
GOLD = ("tenant_months", "shelf")


def cell(value):
    """As `tarn query --format json` gives it."""
    if isinstance(value, datetime.datetime):
        text = value.strftime("%Y-%m-%d %H:%M:%S.%f").rstrip("0").rstrip(".")
        return text + "+00"
    if isinstance(value, (decimal.Decimal, datetime.date)):
        return str(value)
    return value


def comparable(rows: list[dict]) -> list[list]:
    """Rows of any reader: every column but what names files and commits. NULLs are left out: a column that came later is
    NULL in the rows of before, or is not there."""
    def kept(name):
        return name in ("_hoodie_record_key", "_hoodie_partition_path") or not name.startswith("_hoodie_")
    return sorted((sorted((name, cell(value)) for name, value in row.items()
                          if kept(name) and value is not None) for row in rows), key=repr)


@dataclass
class Moment:
    """A lake version and the rows of every table as of it."""
    instant: str
    rows: dict[str, list[list]]


@dataclass
class JudgedLake:
    path: Path
    moments: list[Moment]  # The last is the present.
    gold: dict[str, list[list]]

    def silver(self, table: str) -> str:
        return str(self.path / "silver" / table)


def newest_version(lake: Path) -> str:
    return max(path.name for path in (lake / "_tarn/versions").glob("*.json"))[:17]


@contextmanager
def judged_lake(folder: Path, cluster: Cluster, seed: int):
    folder.mkdir(mode=0o755)
    for name, text in MODELS.items():
        (folder / "models" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "models" / name).write_text(text)
    worker = Worker(folder)
    source = worker.database(cluster)
    history = History(source, seed).create()
    tarn = worker.tarn(source, tenants={"column": "tenant_id"}, gold={"models": str(folder / "models")},
                       silver={"commit_interval_ms": 0}).start()
    moments = []

    def look():
        tarn.wait_caught_up()
        moments.append(Moment(newest_version(tarn.lake), {t: comparable(tarn.query(f"SELECT * FROM silver.{t}")) for t in SILVER}))

    look()
    for turn in range(3):
        # Some commits are small, some share many transactions.
        for _ in range(25):
            history.step()
        look()
    # Compaction makes base files of what is in logs when a slice has some of them: changes go on until it has come.
    def compacted():
        history.step()
        return all(list((tarn.lake / "silver" / table / ".hoodie").glob("*.commit")) for table in ("customer", "item"))

    wait_for(compacted, 90, "compaction")
    for _ in range(25):
        history.step()
    look()
    source.execute("ALTER TABLE customer ADD COLUMN later int; UPDATE customer SET later = id WHERE id % 3 = 0")
    source.execute("DELETE FROM event WHERE false; INSERT INTO item VALUES (4, 1, 1, 1, '2026-12-31 23:59:59.999999+00')")
    look()
    tarn.wait_gold()
    tarn.verify()
    gold = {model: comparable(tarn.query(f"SELECT * FROM gold.{model}")) for model in GOLD}
    assert tarn.stop() == 0
    assert sum(map(len, gold.values())) > 0
    yield JudgedLake(tarn.lake, moments, gold)
    worker.close()
