"""The Django shop in the bench's cluster, and a tarn that follows it with rules, models and tenants."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from demo.story.client import Client

from .measure import Bench, Lake

ROOT = Path(__file__).resolve().parents[1]
SHOP = ROOT / "demo" / "shop"
SHOP_TABLES = ("tenants", "customers", "products", "orders", "order_items", "events", "subscriptions", "invoices")
TENANT = 1  # The largest.
ANALYST = "analyst"
ORDERS_FOR_1000_CHANGES = 72  # `simulate` makes about 14 changes for each order that it places.

# A tiny run has these models only.
SMOKE_MODELS = ("revenue_daily", "best_sellers", "sessions", "conversion_funnel")
# Longer than a whole run of Gold and `simulate` together, so that one run of Gold meets all of its changes.
GOLD_INTERVAL_S, SMOKE_GOLD_INTERVAL_S = 60, 6


def _manage(bench: Bench, *arguments):
    environment = {**os.environ, "SHOP_DB_HOST": str(bench.cluster.socket_folder), "SHOP_DB_PORT": str(bench.cluster.port),
                   "SHOP_DB_NAME": "shop", "SHOP_DB_USER": "postgres", "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, SHOP / "manage.py", *map(str, arguments)], check=True, env=environment, cwd=SHOP,
                   capture_output=True)


def seed_shop(bench: Bench) -> str:
    """Its scale."""
    scale = "small" if bench.smoke else "medium"
    if "seeded" not in bench.shared:
        bench.create("shop")
        _manage(bench, "migrate", "--verbosity", "0")
        _manage(bench, "seed_all", "--scale", scale, "--seed", "1")
        bench.sql("shop", "VACUUM ANALYZE")
        bench.shared["seeded"] = scale
    return bench.shared["seeded"]


@dataclass
class ServedShop:
    """A running tarn with Gold computed once from scratch and then after changes; how long each took."""
    lake: Lake
    client: Client
    scale: str
    models: Path
    full_s: float = 0
    incremental_s: list[float] = field(default_factory=list)
    changes: list[int] = field(default_factory=list)


class GoldWatch:
    """Times the next run of Gold from the outside."""

    def __init__(self, served: ServedShop):
        self.lake, self.client = served.lake, served.client
        self.before = self.client.status()["gold"]

    def seconds(self) -> float:
        """From the start of the first model's computation until the run is published, some milliseconds of looking included."""
        begun = None
        known = self.before.get("models", {})
        while True:
            status = self.client.status()
            if error := next((run["error"] for run in status["gold"].get("models", {}).values() if run["error"]), None):
                raise RuntimeError(f"Gold failed: {error}")
            if begun is None:
                done = [run["seconds"] for name, run in status["gold"].get("models", {}).items() if run != known.get(name)]
                if done:
                    begun = time.monotonic() - sum(done)
            if status["gold"]["runs"] > self.before["runs"]:
                return time.monotonic() - begun
            if not self.lake.is_running():
                raise RuntimeError(f"tarn ended; {(self.lake.folder / 'run.log').read_text()[-1000:]}")
            time.sleep(0.005)


def change_shop(bench: Bench, served: ServedShop) -> bool:
    """A round of `simulate`, then the time of the one run of Gold that takes it in. False when Gold ran earlier."""
    watch = GoldWatch(served)
    before = served.client.status()["silver"]["changes"]
    _manage(bench, "simulate", "--rate", "1000", "--orders", ORDERS_FOR_1000_CHANGES // (20 if bench.smoke else 1), "--seconds", "40")
    status = served.lake.wait_caught_up(served.client)
    if status["gold"]["runs"] != watch.before["runs"] or status["gold"].get("models") != watch.before.get("models"):
        return False
    served.incremental_s.append(watch.seconds())
    served.changes.append(status["silver"]["changes"] - before)
    return True


def _models(bench: Bench) -> Path:
    if not bench.smoke:
        return ROOT / "models"
    folder = bench.folder / "models"
    shutil.copytree(ROOT / "models" / "silver", folder / "silver")
    (folder / "gold").mkdir()
    for name in SMOKE_MODELS:
        for suffix in ("sql", "yml"):
            shutil.copy(ROOT / "models" / "gold" / f"{name}.{suffix}", folder / "gold")
    return folder


def serve_shop(bench: Bench) -> ServedShop:
    """Made once for all cases: they ask a lake that has had changes since its first copy."""
    if "served" in bench.shared:
        return bench.shared["served"]
    scale, models = seed_shop(bench), _models(bench)
    lake = bench.lake("shop", [f"public.{table}" for table in SHOP_TABLES], f"""
[tenants]
column = "tenant_id"
[gold]
models = "{models}"
interval_ms = {1000 * (SMOKE_GOLD_INTERVAL_S if bench.smoke else GOLD_INTERVAL_S)}
[[principals]]
name = "{ANALYST}"
tenant = "{TENANT}"
shared = ["silver.tenants"]
""")
    served = ServedShop(lake, lake.start(), scale, models)
    served.full_s = GoldWatch(served).seconds()
    change_shop(bench, served)
    bench.shared["served"] = served
    return served
