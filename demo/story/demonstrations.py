"""The five demonstrations. Each asks the running system, prints what was asked and answered, and reports it."""

import json
import statistics
import time

from .client import TarnError
from .prices import PRICE_DATE, REGION, athena_dollars

HOUR = 3600


class Story:
    """What the demonstrations share: the services, a connection, the screen and the report."""

    def __init__(self, services, client, screen, report):
        self.services, self.client, self.screen, self.report = services, client, screen, report
        self.questions = []

    def ask(self, asked: str, sql: str, principal: str = "operator", most: int = 8, **options):
        self.screen.say(asked)
        self.screen.sql(principal, sql)
        answer = self.client.query(sql, principal, **options)
        self.screen.rows(answer.rows, most)
        self.questions.append({"asked": asked, "principal": principal, "sql": sql, "rows": answer.rows[:50],
                               "statistics": answer.statistics})
        return answer

    def refused(self, asked: str, sql: str, principal: str):
        """A hostile statement: its error is the answer; one that succeeds gives its rows for a look."""
        try:
            answer = self.client.query(sql, principal)
        except TarnError as error:
            self.questions.append({"asked": asked, "principal": principal, "sql": sql, "error": str(error)})
            return None, str(error)
        self.questions.append({"asked": asked, "principal": principal, "sql": sql, "rows": answer.rows[:50]})
        return answer, None

    def end(self, title: str):
        self.report.demonstration(title, self.questions)
        self.questions = []


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def real_time(story: Story, orders: int):
    """1: from the commit in Django to an answer of SQL on Silver."""
    story.screen.title("1  Real-time CDC: an order in Django, an answer in SQL")
    client = story.client
    markers = story.services.lake.parent / "markers.jsonl"
    markers.unlink(missing_ok=True)
    last = client.query("SELECT max(id) FROM orders").value()
    traffic = story.services.simulate("--rate", "60", "--orders", str(orders), "--seconds", "150", "--markers", str(markers))
    seen: dict[int, float] = {}
    quiet_since = time.monotonic()
    sql = "SELECT id FROM orders WHERE id > {}"
    while traffic.poll() is None or time.monotonic() - quiet_since < 3:
        rows = client.query(sql.format(last)).rows
        now = time.time()
        for row in rows:
            seen[row["id"]] = now
        if rows:
            last = max(last, *(row["id"] for row in rows))
        if rows or traffic.poll() is None:
            quiet_since = time.monotonic()
        time.sleep(0.02)
    marks = [json.loads(line) for line in markers.read_text().splitlines()]
    waits = [(seen[m["id"]] - m["committed_at_us"] / 1e6) * 1000 for m in marks if m["id"] in seen]
    # An order that was placed and deleted again between two looks was never to be seen.
    story.screen.say(f"{len(marks)} orders placed through the ORM, {len(waits)} seen in Silver while they lived")
    story.screen.sql("operator", sql.format("<newest seen>"))
    p50, p99 = percentile(waits, 0.5), percentile(waits, 0.99)
    for name, value, bar in (("latency p50", p50, 100), ("latency p99", p99, 1000)):
        story.screen.figure(name, f"{value:.0f} ms", f"≤ {bar} ms", value <= bar)
        story.report.figure(f"demo1.{name.replace(' ', '_')}", round(value, 1), "ms", f"≤ {bar}", value <= bar)
    story.report.figure("demo1.latency_mean", round(statistics.fmean(waits), 1), "ms")
    story.report.figure("demo1.orders", len(waits), "orders", "≥ 1000", len(waits) >= 1000)
    story.questions.append({"asked": "Which orders are new?", "sql": sql.format("<newest seen>"), "rows": []})
    story.end("1 Real-time CDC")


def history(story: Story):
    """2: six months of revenue over all tenants, and what was not read."""
    story.screen.title("2  Historical analysis: six months of revenue over all tenants")
    answer = story.ask("Revenue by month and currency, from Silver:", """
        SELECT _month AS month, currency, count(*) AS orders, CAST(sum(total) AS DECIMAL(18,2)) AS revenue
        FROM orders WHERE status NOT IN ('cancelled', 'refunded') GROUP BY ALL ORDER BY ALL""", most=12)
    whole = answer.statistics
    month = answer.rows[-1]["month"]
    pruned = story.ask("The newest month only: the other partitions' files are not opened:", f"""
        SELECT tenant_id, count(*) AS orders FROM orders WHERE _month = '{month}' GROUP BY ALL ORDER BY ALL""").statistics
    for name in ("partitions", "files", "bytes"):
        story.screen.say(f"{name}: {pruned[name + '_read']:,} read of {pruned[name + '_total']:,} "
                         f"(all months: {whole[name + '_read']:,})")
        story.report.figure(f"demo2.{name}_read", pruned[f"{name}_read"], name, f"< {pruned[name + '_total']}",
                            pruned[f"{name}_read"] < pruned[f"{name}_total"])
    story.end("2 Historical analysis")


def isolation(story: Story, principal: str, tenant: str, other: str):
    """3: one tenant's analyst, whatever SQL they write."""
    screen, client, lake = story.screen, story.client, story.services.lake
    screen.title(f"3  Tenant isolation: {principal} sees tenant {tenant} and nothing else")
    sql = "SELECT tenant_id, count(*) AS orders FROM orders GROUP BY ALL ORDER BY ALL"
    everyone = {row["tenant_id"]: row["orders"] for row in story.ask("The operator:", sql).rows}
    mine = story.ask("The same question by the tenant's analyst:", sql, principal).rows
    leaks = 0 if [row["tenant_id"] for row in mine] == [int(tenant)] and mine[0]["orders"] <= everyone[int(tenant)] else 1
    foreign = next((lake / "silver" / "orders" / f"tenant_id={other}").rglob("*.parquet"))
    hostile = [
        ("another tenant's file, by its path", f"SELECT count(*) FROM read_parquet('{foreign}')"),
        ("the same without a function", f"SELECT count(*) FROM '{foreign}'"),
        ("a filter that names the other tenant", f"SELECT count(*) AS n FROM orders WHERE tenant_id = {other}"),
        ("statistics of a column", "SELECT stats(tenant_id) FROM orders LIMIT 1"),
        ("the operator's quarantine", "SELECT count(*) FROM quarantine.orders"),
        ("the raw changes", "SELECT count(*) FROM bronze.orders"),
        ("writing a file", f"COPY orders TO '{lake}/stolen.csv'"),
        ("another database", f"ATTACH '{lake}/x.db' AS x"),
        ("a setting that opens the machine", "SET enable_external_access = true"),
        ("an error text that tells a value", f"SELECT CAST(full_name AS INTEGER) FROM customers WHERE tenant_id = {other}"),
        ("the plan", f"EXPLAIN ANALYZE SELECT count(*) FROM orders WHERE tenant_id <> {tenant}"),
    ]
    for asked, statement in hostile:
        answer, error = story.refused(asked, statement, principal)
        if error is not None:
            verdict = "refused: " + error.splitlines()[0][:70]
        else:
            text = json.dumps(answer.rows, default=str)
            empty = not answer.rows or list(answer.rows[0].values()) == [0]
            clean = empty or ("EXPLAIN" in statement and str(foreign.parent) not in text)
            verdict = "nothing of others" if clean else "LEAK: " + text[:60]
            leaks += not clean
        screen.say(f"{asked:<40} {verdict}")
    leaks += (lake / "stolen.csv").exists()
    screen.figure("leaks", str(leaks), "0", leaks == 0)
    story.report.figure("demo3.leaks", leaks, "leaks", "0", leaks == 0)
    story.end("3 Tenant isolation")


def time_travel(story: Story, shop):
    """4: a deleted order comes back; a total as it was."""
    screen, client = story.screen, story.client
    screen.title("4  Time travel: what was deleted, and what a total was")
    before = client.query("SELECT current_timestamp AS t").value()
    victim = story.ask("An order of the largest value:", """
        SELECT id, tenant_id, status, total, currency FROM orders ORDER BY total DESC, id LIMIT 1""").rows[0]
    order = victim["id"]
    time.sleep(1.1)  # so that a time between the two states can be written down in whole seconds
    moment = int(time.time() * 1e6)
    with shop() as connection:
        connection.execute("DELETE FROM order_items WHERE order_id = %s", [order])
        connection.execute("DELETE FROM orders WHERE id = %s", [order])
    deadline = time.monotonic() + 30
    while client.query(f"SELECT count(*) FROM orders WHERE id = {order}").value() and time.monotonic() < deadline:
        time.sleep(0.05)
    gone = story.ask("Deleted in the shop; now:", f"SELECT count(*) AS orders FROM orders WHERE id = {order}").value() == 0
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(moment / 1e6))
    back = story.ask("As it was a moment before:", f"""
        SELECT id, tenant_id, status, total, currency FROM orders FOR TIMESTAMP AS OF TIMESTAMP '{stamp}' WHERE id = {order}""").rows
    recovered = gone and len(back) == 1 and back[0]["total"] == victim["total"]
    screen.figure("the order is recovered", "yes" if recovered else "no", "yes", recovered)
    story.report.figure("demo4.recovered", recovered, "", "true", recovered)
    first = client.query("SELECT min(_hoodie_commit_time) FROM orders").value()
    total = "SELECT currency, count(*) AS orders, CAST(sum(total) AS DECIMAL(18,2)) AS total FROM orders GROUP BY ALL ORDER BY ALL"
    now = story.ask("All orders now:", total).rows
    earlier = story.services.loaded_micros
    then = story.ask(f"All tables as of {time.strftime('%H:%M:%S', time.gmtime(earlier / 1e6))} UTC, "
                     f"{(time.time() - earlier / 1e6) / 60:.1f} minutes ago:", total, as_of_micros=earlier).rows
    differs = now != then
    screen.figure("the total as it was differs from now's", "yes" if differs else "no", "yes", differs)
    story.report.figure("demo4.as_of", differs, "", "true", differs)
    del before, first
    story.end("4 Time travel")


QUESTION = "Revenue by tenant and currency"
LAYERS = {
    "bronze": """SELECT tenant_id, currency, CAST(sum(total) AS DECIMAL(18,2)) AS revenue FROM (
        SELECT id, arg_max(tenant_id, (_lsn, _ordinal)) AS tenant_id, arg_max(currency, (_lsn, _ordinal)) AS currency,
          arg_max(total, (_lsn, _ordinal)) AS total, arg_max(status, (_lsn, _ordinal)) AS status, arg_max("Op", (_lsn, _ordinal)) AS op
        FROM bronze.orders GROUP BY id)
      WHERE op <> 'D' AND status NOT IN ('cancelled', 'refunded') GROUP BY ALL ORDER BY ALL""",
    "silver": """SELECT tenant_id, currency, CAST(sum(total) AS DECIMAL(18,2)) AS revenue FROM silver.orders
      WHERE status NOT IN ('cancelled', 'refunded') GROUP BY ALL ORDER BY ALL""",
    "gold": """SELECT tenant_id, currency, CAST(sum(revenue) AS DECIMAL(18,2)) AS revenue FROM gold.revenue_daily
      GROUP BY ALL ORDER BY ALL""",
}


def cost(story: Story):
    """5: the same question on three layers."""
    screen = story.screen
    screen.title(f"5  Cost and performance: {QUESTION.lower()}, on Bronze, Silver and Gold")
    table = []
    for layer, sql in LAYERS.items():
        screen.sql("operator", sql)
        times = []
        for _ in range(3):
            answer = story.client.query(sql)
            times.append(answer.statistics["milliseconds"])
        s = answer.statistics
        scanned = s["bytes_read"]
        table.append({"layer": layer, "rows read": s["rows_in_files"] + s["hot_rows"], "files": s["files_read"], "bytes": scanned,
                      "ms": round(statistics.median(times), 1), "AWS $ for 1,000": round(athena_dollars(scanned) * 1000, 4)})
        story.questions.append({"asked": f"{QUESTION}, {layer}", "sql": sql, "rows": answer.rows[:20], "statistics": s})
        for name in ("rows read", "bytes", "ms", "AWS $ for 1,000"):
            story.report.figure(f"demo5.{layer}.{name.replace(' ', '_')}", table[-1][name], "")
    screen.rows(table)
    screen.say(f"Athena in {REGION}, prices of {PRICE_DATE}, with its 10 MB minimum a query")
    story.end("5 Cost and performance")
