"""`tarn test`: checks in dbt's words on Silver and Gold find what is wrong, and nothing where nothing is."""

from __future__ import annotations

import json

import pytest

from support.cluster import wait_for

SILVER = """
table: orders
columns:
  id: {description: The order., tests: [not_null, unique]}
  number:
    description: Of the channel.
    tests: [unique, {not_null: {severity: warn, explain: Imports have none.}}]
  status:
    tests:
      - accepted_values: [paid, "it's late"]
  customer_id:
    tests:
      - relationships: {to: customers, field: id}
  v: Only a description.
tests:
  - unique: [customer_id, number]
  - expression: {expression: v >= 0, name: v_is_never_negative}
  - expression: id > 0
  - row_count: {min: 3, max: 5}
  - freshness: {loaded_at_field: placed_at, error_after: {count: 36, period: hour}}
  - row_count_anomaly: {time_column: placed_at, days: 20}
  - distribution_drift: {column: status, time_column: placed_at, days: 5}
checks:
  - {name: by_hand, sql: SELECT * FROM orders WHERE v = 7, severity: warn}
"""
GOLD = """
key: [customer_id]
columns:
  - {name: customer_id, tests: [not_null, {relationships: {to: silver.customers, field: id}}]}
tests:
  - expression: orders > 0
"""
EVERY = {"not_null id": 0, "unique id": 0, "unique number": 0, "not_null number": 0, "accepted_values status": 0, "relationships customer_id": 0,
         "unique": 0, "v_is_never_negative": 0, "expression": 0, "row_count": 0, "freshness": 0, "row_count_anomaly": 0, "distribution_drift": 0,
         "by_hand": 0}


def models(folder, silver=SILVER):
    for name, text in (("silver/orders.yml", silver), ("gold/by_customer.yml", GOLD),
                       ("gold/by_customer.sql", "SELECT customer_id, count(*) AS orders FROM orders GROUP BY 1")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def shop(source, worker, tmp_path):
    source.execute("CREATE TABLE customers (id int PRIMARY KEY)")
    source.execute("CREATE TABLE orders (id int PRIMARY KEY, number text, status text, customer_id int, v int, placed_at timestamptz)")
    source.execute("INSERT INTO customers SELECT generate_series(1, 9)")
    source.execute("INSERT INTO orders SELECT g, 'n' || g, 'paid', g, g, now() - interval '1 hour' FROM generate_series(1, 4) g")
    tarn = worker.tarn(source, gold={"models": str(models(tmp_path / "models"))}).start()
    return source, tarn


def outcome(tarn, *tables):
    """{(schema, check): wrong rows}, and the exit code."""
    tarn.wait_gold()
    done = tarn.command("test", "--json", *tables)
    found = json.loads(done.out)
    assert [check["error"] for check in found["checks"] if check["error"]] == []
    assert found["ok"] == (done.code == 0)
    return {(check["schema"], check["check"]): check["wrong_rows"] for check in found["checks"]}, done.code


def test_every_check_holds_where_nothing_is_wrong(shop):
    _, tarn = shop
    found, code = outcome(tarn)
    assert found == {**{("silver", name): wrong for name, wrong in EVERY.items()},
                     ("gold", "not_null customer_id"): 0, ("gold", "relationships customer_id"): 0, ("gold", "expression"): 0}
    assert code == 0
    assert list(outcome(tarn, "gold.by_customer")[0]) == [key for key in found if key[0] == "gold"]
    text = tarn.must("test", "orders")
    assert text.endswith("14 checks: 0 found wrong rows, 0 warn, 0 could not be run\n")


@pytest.mark.parametrize("sql,wrong", [
    ("UPDATE orders SET number = NULL WHERE id IN (1, 2)", {"not_null number": 2}),
    ("UPDATE orders SET number = 'n1' WHERE id = 2", {"unique number": 1}),
    ("UPDATE orders SET number = 'n1', customer_id = 1 WHERE id = 2", {"unique number": 1, "unique": 1}),
    ("UPDATE orders SET status = 'lost' WHERE id = 3", {"accepted_values status": 1}),
    ("UPDATE orders SET status = 'it''s late' WHERE id = 3", {}),
    ("UPDATE orders SET status = NULL, v = NULL", {}),
    ("UPDATE orders SET customer_id = 77 WHERE id = 4", {"relationships customer_id": 1}),
    ("UPDATE orders SET v = -1 WHERE id > 2", {"v_is_never_negative": 2}),
    ("UPDATE orders SET v = 7 WHERE id = 2", {"by_hand": 1}),
    ("UPDATE orders SET id = -id WHERE id < 3", {"expression": 2}),
    ("DELETE FROM orders WHERE id > 2", {"row_count": 1}),
    ("UPDATE orders SET placed_at = now() - interval '3 days'", {"freshness": 1}),
    ("DELETE FROM orders", {"row_count": 1, "freshness": 1}),
    # Ten quiet days, then a flood.
    ("UPDATE orders SET placed_at = now() - interval '1 day'", {}),
    ("""DELETE FROM orders;
        INSERT INTO orders SELECT g, 'n' || g, 'paid', 1, g, now() - interval '1 day' * (g % 10 + 2) FROM generate_series(1, 50) g;
        INSERT INTO orders SELECT g, 'n' || g, 'paid', 1, g, now() - interval '1 day' FROM generate_series(51, 150) g""",
     {"row_count": 1, "row_count_anomaly": 1, "by_hand": 1}),
    ("""DELETE FROM orders;
        INSERT INTO orders SELECT g, 'n' || g, 'paid', 1, g, now() - interval '1 day' * (g % 10 + 1) FROM generate_series(1, 50) g""",
     {"row_count": 1, "by_hand": 1}),
    # Half of the rows have another value than the week before.
    ("""DELETE FROM orders;
        INSERT INTO orders SELECT g, 'n' || g, CASE WHEN g % 10 < 5 AND g % 20 < 10 THEN 'it''s late' ELSE 'paid' END, 1, g,
            now() - interval '1 day' * (g % 10) - interval '1 minute' FROM generate_series(1, 100) g""",
     {"row_count": 1, "distribution_drift": 1, "by_hand": 1})],
    ids=["null", "double", "double-pair", "value", "quoted", "nulls-pass", "reference", "expression", "by-hand", "key", "few", "old", "none",
         "yesterday", "flood", "even", "drift"])
def test_each_finds_what_is_wrong(shop, sql, wrong):
    source, tarn = shop
    for statement in sql.split(";"):
        source.execute(statement)
    found, code = outcome(tarn, "orders")
    assert found == {("silver", name): wrong.get(name, 0) for name in EVERY}
    only_warnings = set(wrong) <= {"not_null number", "by_hand"}
    assert code == (0 if only_warnings else 3)


@pytest.mark.parametrize("was,becomes,message", [
    ("[not_null, unique]", "[not_nul]", "orders.yml:4: 'not_nul' is no test of a column; known are: accepted_values, not_null, relationships, unique"),
    ("row_count: {min: 3, max: 5}", "row_count: {min: many}", "orders.yml:19: 'min' must be a whole number, 1 or more, and not 'many'"),
    ("{to: customers, field: id}", "{to: customers}", "relationships: 'field' is missing"),
    ("{to: customers, field: id}", "{to: customers, feld: id}", "'feld' is not known here; known are: explain, field, name, severity, to"),
    ("period: hour", "period: eon", "'eon' is no period; one of minute, hour, day"),
    ("severity: warn, explain", "severity: mild, explain", "'mild' is no severity; one of warn, error"),
    ("accepted_values: [paid, \"it's late\"]", "accepted_values: paid", "accepted_values: a list of values is expected")])
def test_a_wrong_file_names_the_place(worker, source, tmp_path, was, becomes, message):
    assert was in SILVER
    source.execute("CREATE TABLE orders (id int PRIMARY KEY)")
    tarn = worker.tarn(source, gold={"models": str(models(tmp_path / "models", SILVER.replace(was, becomes)))})
    done = tarn.command("run", "--until", "0/0")
    assert done.code == 2
    assert message in done.err


def test_a_check_that_cannot_be_run_is_told_and_the_others_are_run(source, worker, tmp_path):
    source.execute("CREATE TABLE orders (id int PRIMARY KEY, v int)")
    text = "table: orders\ntests: [{expression: nothing > 1}, {expression: {expression: id > 0, name: good}}]\n"
    tarn = worker.tarn(source, gold={"models": str(models(tmp_path / "models", text))})
    (tmp_path / "models/gold/by_customer.sql").unlink()
    tarn.start().wait_streaming()
    done = tarn.command("test")
    assert done.code == 1
    assert "cannot be run" in done.out and "nothing" in done.out and "2 checks: 0 found wrong rows, 0 warn, 1 could not be run" in done.out
    assert tarn.command("test", "ordrs").code == 2


def test_checks_are_run_behind_commits_and_told_by_status(source, worker, tmp_path):
    source.execute("CREATE TABLE customers (id int PRIMARY KEY)")
    source.execute("CREATE TABLE orders (id int PRIMARY KEY, customer_id int, v int)")
    source.execute("INSERT INTO customers SELECT generate_series(1, 9)")
    source.execute("INSERT INTO orders SELECT g, g, g FROM generate_series(1, 4) g")
    text = """
table: orders
columns:
  customer_id: {tests: [{relationships: {to: customers, field: id}}]}
tests: [{expression: {expression: v >= 0, name: v_is_never_negative, severity: warn}}]
"""
    folder = models(tmp_path / "models", text)
    tarn = worker.tarn(source, gold={"models": str(folder), "check_interval_ms": 100, "interval_ms": 0}).start()

    def verdicts(until, what):
        """What does not hold, as soon as `until` says so of it."""
        def look():
            checks = tarn.status()["checks"]
            if not checks or checks["error"]:
                return None
            found = {(check["table"], check["check"]): check for check in checks["open"]}
            return (found, checks) if until(found) else None
        return wait_for(look, what=what)

    found, checks = verdicts(lambda open_: not open_, "all checks to hold")
    assert (checks["checks"], checks["hold"]) == (5, 5) and checks["seconds"] > 0

    source.execute("UPDATE orders SET customer_id = 77, v = -1 WHERE id = 4")
    reference, negative = ("silver.orders", "relationships customer_id"), ("silver.orders", "v_is_never_negative")
    found, checks = verdicts(lambda open_: {reference, negative} <= set(open_), "the wrong row to be found")
    assert (found[reference]["wrong_rows"], found[reference]["severity"]) == (1, "error")
    assert (found[negative]["wrong_rows"], found[negative]["severity"]) == (1, "warn")
    assert checks["hold"] == checks["checks"] - len(found)
    since = found[reference]["since"]
    shown = tarn.must("status")
    assert f"silver.orders relationships customer_id: 1 wrong rows, since {since}" in shown
    assert "v_is_never_negative: 1 wrong rows (a warning), since " in shown

    # Since when stays, and models are read again for each run.
    (folder / "silver/orders.yml").write_text(text.replace("v >= 0", "v + nothing >= 0"))
    source.execute("UPDATE orders SET v = -2 WHERE id = 4")
    found, _ = verdicts(lambda open_: open_.get(negative, {}).get("error"), "the changed check to be taken up")
    assert "nothing" in found[negative]["error"] and found[reference]["since"] == since
    assert f"{negative[1]}: cannot be run: " in tarn.must("status")

    (folder / "silver/orders.yml").write_text(text)
    source.execute("UPDATE orders SET v = 2, customer_id = 2 WHERE id = 4")
    verdicts(lambda open_: not open_, "all checks to hold again")
    log = tarn.log.read_text()
    assert log.count("check silver.orders relationships customer_id: 1 wrong rows") == 1
    assert log.count("check silver.orders relationships customer_id: holds again") == 1


def test_a_folder_of_models_that_became_wrong_is_told_and_checks_go_on_later(source, worker, tmp_path):
    source.execute("CREATE TABLE orders (id int PRIMARY KEY)")
    folder = tmp_path / "models"
    (folder / "silver").mkdir(parents=True)
    (folder / "silver/orders.yml").write_text("table: orders\ncolumns:\n  id: {tests: [unique]}\n")
    tarn = worker.tarn(source, gold={"models": str(folder), "check_interval_ms": 100}, silver={"commit_interval_ms": 100}).start()
    source.execute("INSERT INTO orders VALUES (1)")
    wait_for(lambda: (tarn.status()["checks"] or {}).get("hold") == 1, what="the check to hold")
    (folder / "silver/orders.yml").write_text("table: orders\ncolumns:\n  id: {tests: [uniqe]}\n")
    source.execute("INSERT INTO orders VALUES (2)")
    wait_for(lambda: "'uniqe' is no test of a column" in tarn.status()["checks"]["error"], what="the error to be told")
    assert "checks: " in tarn.must("status")
    (folder / "silver/orders.yml").write_text("table: orders\ncolumns:\n  id: {tests: [unique, not_null]}\n")
    source.execute("INSERT INTO orders VALUES (3)")
    wait_for(lambda: tarn.status()["checks"].get("hold") == 2, what="both checks to hold")
