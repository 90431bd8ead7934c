"""python -m demo.story up [--scale small|medium|large] | down"""

import argparse
import json
import shutil
import sys
import time
from collections import Counter

from . import demonstrations
from .client import connect
from .report import Report
from .screen import Screen
from .services import FOLDER, ROOT, TARN, Services

ORDERS = 1100  # placed in demonstration 1; some are deleted again before anyone looks


class Failed(Exception):
    """The demonstration cannot go on; the message says why."""


def prepare(services: Services, screen: Screen, report: Report, scale: str):
    """PostgreSQL, the shop and its history."""
    started = time.monotonic()
    screen.step("PostgreSQL 15 with logical replication, in .demo/")
    services.cluster.start()
    services.make_database()
    screen.step("the Django shop: migrations")
    services.manage("migrate", "--verbosity", "0")
    report.step("PostgreSQL and migrations", time.monotonic() - started)
    started = time.monotonic()
    screen.step(f"six months of history, scale {scale}" if scale != "large" else "a year of history, scale large")
    services.manage("seed_all", "--scale", scale, "--seed", "1", "--defects", FOLDER / "defects.jsonl")
    report.step("seed", time.monotonic() - started)


def configure(services: Services, screen: Screen, tenants: list):
    services.tarn("init", "--force", "--source",
                  f"host={services.cluster.socket_folder} port={services.cluster.port} dbname=shop user=tarn",
                  "--lake", services.lake, "--models", ROOT / "models", "--tenant-column", "tenant_id", check=True, capture_output=True)
    text = services.config.read_text()
    shop_tables = ["tenants", "customers", "products", "orders", "order_items", "events", "subscriptions", "invoices"]
    text = text.replace('include = ["public.*"]', f"include = {[f'public.{t}' for t in shop_tables]}".replace("'", '"'))
    text = text.replace("interval_ms = 10000         # least", "interval_ms = 5000          # least")
    for tenant, slug in tenants:
        text += f'\n[[principals]]\nname = "{slug}_analyst"\ntenant = "{tenant}"\n'
    services.config.write_text(text)
    screen.step(f"tarn.toml written; principals: {', '.join(slug + '_analyst' for _, slug in tenants[:3])} …")
    check = services.tarn("check")
    if check.returncode != 0:
        raise Failed("`tarn check` found something wrong (above)")


def follow(services: Services, screen: Screen, report: Report):
    """First copy until Gold is there."""
    started = time.monotonic()
    process = services.run_tarn()
    screen.step("tarn run: first copy into Bronze and Silver, then Gold")
    client = connect(services.lake, alive=lambda: process.poll() is None)
    shown, status = 0.0, {}
    while True:
        if process.poll() is not None:
            raise Failed(f"tarn ended; its log: {FOLDER / 'tarn.log'}")
        status = client.status()
        copy = status["copy"]
        if status["phase"] == "streaming" and "loaded" not in report.data["steps"]:
            report.step("loaded", time.monotonic() - started)
            services.loaded_micros = int(time.time() * 1e6)
            rate = copy["rows"] / max(copy["seconds"], 0.001)
            screen.step(f"copied {copy['rows']:,} rows of {copy['tables_done']} tables in {copy['seconds']:.1f} s ({rate:,.0f} rows/s)")
        if status["gold"]["runs"] > 0:
            break
        if time.monotonic() - shown > 2 and status["phase"] != "streaming":
            screen.step(f"{status['phase']}: {copy['rows']:,} rows, now {copy['table']}")
            shown = time.monotonic()
        time.sleep(0.1)
    models = status["gold"]["models"]
    failed = {name: run["error"] for name, run in models.items() if run["error"]}
    seconds = sum(run["seconds"] for run in models.values())
    screen.step(f"Gold: {len(models)} models, {sum(run['rows'] for run in models.values()):,} rows in {seconds:.1f} s"
                + (f"; FAILED: {failed}" if failed else ""))
    report.figure("gold.full", round(seconds, 2), "s", "≤ 10", seconds <= 10 and not failed)
    report.step("first copy and Gold", time.monotonic() - started)
    return client


def verify(services: Services, client, screen: Screen, report: Report) -> bool:
    screen.title("Silver and quarantine against the source, table by table")
    result = client.verify()
    rows = [{"table": t["table"], "source": t["source_good"]["rows"] + t["source_refused"]["rows"], "silver": t["silver"]["rows"],
             "quarantine": t["quarantine"]["rows"], "checksum": t["silver"]["checksum"][:12],
             "": "equal" if t["equal"] else "DIFFERENT"} for t in result["tables"]]
    screen.rows(rows, 20)
    total = sum(row["source"] for row in rows)
    valid = 100 * sum(row["silver"] for row in rows) / max(total, 1)
    screen.say(f"at source position {result['lsn']}, lake version {result['version']}, in {result['seconds']:.1f} s")
    screen.figure("valid rows", f"{valid:.2f} %", "> 99 %", valid > 99)
    report.figure("verify.equal", result["ok"], "", "true", result["ok"])
    report.figure("verify.seconds", round(result["seconds"], 2), "s")
    report.figure("quality.valid_rows", round(valid, 3), "%", "> 99", valid > 99)
    report.data["verify"] = result
    explained = []
    for row in rows:
        if row["quarantine"]:
            explained += client.query(f"SELECT '{row['table']}' AS \"table\", _rule AS rule, count(*) AS rows, any_value(_reason) AS reason "
                                      f"FROM quarantine.{row['table']} GROUP BY ALL ORDER BY ALL").rows
    screen.say("every refused row is kept, with the rule that refused it:")
    screen.rows(explained, 20)
    return result["ok"]


def checks(services: Services, screen: Screen, report: Report):
    """What no single row can show: `tarn test` against the list of defects that the seed planted."""
    planted = Counter(json.loads(line)["defect"] for line in (FOLDER / "defects.jsonl").read_text().splitlines())
    result = json.loads(services.tarn("test", "--json", capture_output=True).stdout)
    screen.say("and what no single row can show (`tarn test`):")
    shown = [c for c in result["checks"] if c["schema"] == "silver" or c["wrong_rows"]]
    screen.rows([{"table": c["table"], "check": c["check"], "wrong rows": c["wrong_rows"],
                  "planted by the seed": planted.get(c["check"], "")} for c in shown], 20)
    if len(shown) < len(result["checks"]):
        screen.say(f"what the Gold models promise holds: {len(result['checks']) - len(shown)} more checks without a wrong row")
    report.data["checks"] = result
    report.data["planted_defects"] = dict(planted)


def up(scale: str) -> int:
    screen, report, services = Screen(), Report(scale), Services()
    if not TARN.exists():
        raise Failed("build/tarn is missing; `make demo` builds it")
    down(quiet=True)
    services = Services()
    import psycopg
    prepare(services, screen, report, scale)
    shop = lambda: psycopg.connect(services.dsn, autocommit=True)  # noqa: E731
    with shop() as connection:
        tenants = connection.execute("SELECT id, slug FROM tenants ORDER BY id").fetchall()
    configure(services, screen, tenants)
    client = follow(services, screen, report)
    story = demonstrations.Story(services, client, screen, report)
    demonstrations.real_time(story, ORDERS)
    demonstrations.history(story)
    demonstrations.isolation(story, f"{tenants[0][1]}_analyst", str(tenants[0][0]), str(tenants[1][0]))
    demonstrations.time_travel(story, shop)
    demonstrations.cost(story)
    equal = verify(services, client, screen, report)
    checks(services, screen, report)
    services.simulate("--rate", "2")
    report.data["seconds"] = round(time.monotonic() - screen.started, 1)
    report.write(FOLDER)
    farewell(services, screen, tenants)
    return 0 if equal else 1


def farewell(services: Services, screen: Screen, tenants):
    tarn = f"build/tarn -c {services.config.relative_to(ROOT)}"
    screen.title("PostgreSQL, tarn and light traffic go on in the background. Go on exploring:")
    for line in (f"{tarn} status", f"{tarn} tables",
                 f'{tarn} query "SELECT * FROM gold.revenue_daily ORDER BY 1, 2 LIMIT 10"',
                 f'{tarn} query --as {tenants[0][1]}_analyst "SELECT count(*) FROM orders"',
                 f"{tarn} verify",
                 f"psql -h {services.cluster.socket_folder} -p {services.cluster.port} -U shop shop",
                 "make demo-down        # stops and removes all but the reports"):
        print(f"  {line}")
    print(f"\nEvery figure: {(FOLDER / 'report.md').relative_to(ROOT)}, report.json", flush=True)


def down(quiet: bool = False) -> int:
    services = Services()
    services.stop()
    services.cluster.remove()
    for entry in FOLDER.iterdir():
        if entry.name in ("report.json", "report.md") and not quiet:
            continue
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    if not quiet:
        print("stopped; the reports stay in .demo/")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo.story")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up").add_argument("--scale", choices=["small", "medium", "large"], default="small")
    commands.add_parser("down")
    arguments = parser.parse_args()
    try:
        return down() if arguments.command == "down" else up(arguments.scale)
    except Failed as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
