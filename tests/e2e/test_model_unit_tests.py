"""`tarn test --unit`: models over their own few rows, with the types of the lake's columns."""

from __future__ import annotations

import json

import pytest

MODELS = {
    "revenue": ("[tenant_id, day]", """
SELECT o.tenant_id, CAST(o.placed_at AT TIME ZONE t.zone AS DATE) AS day, sum(o.total) AS revenue, max(o.note) AS note
FROM orders o JOIN tenants t ON t.id = o.tenant_id
WHERE o.placed_at < as_of() GROUP BY 1, 2
"""),
    "best": ("[tenant_id]", "SELECT tenant_id, max(revenue) AS best, CAST(count(*) AS BIGINT) AS days FROM revenue GROUP BY 1"),
}
REVENUE = """
unit_tests:
  - name: days_are_local
    as_of: 2026-02-01
    given:
      - input: tenants
        rows: [{id: 1, zone: America/New_York}]
      - input: orders
        rows:
          - {tenant_id: 1, total: 10.50, placed_at: "2026-01-02 03:00:00+00"}
          - {tenant_id: 1, total: 4, placed_at: "2026-01-02 12:00:00+00", note: "late, 'quoted'"}
          - {tenant_id: 1, total: 99, placed_at: "2026-02-01 00:00:00+00"}
          - {tenant_id: 2, total: 7, placed_at: "2026-01-02 12:00:00+00"}
    expect:
      rows:
        - {tenant_id: 1, day: 2026-01-01, revenue: 10.5, note: null}
        - {tenant_id: 1, day: 2026-01-02, revenue: 4.00, note: "late, 'quoted'"}
  - name: nothing_of_nothing
    given: [{input: tenants, rows: []}, {input: orders, rows: []}]
    expect: {rows: []}
"""
BEST = """
unit_tests:
  - name: of_rows_of_the_other_model
    given: [{input: revenue, rows: [{tenant_id: 1, revenue: 3}, {tenant_id: 1, revenue: 8.25}, {tenant_id: 1}]}]
    expect: {rows: [{best: 8.25, days: 3}]}
  - name: through_the_other_model
    as_of: 2026-02-01
    given:
      - {input: tenants, rows: [{id: 1, zone: UTC}]}
      - {input: orders, rows: [{tenant_id: 1, total: 2, placed_at: "2026-01-01"}, {tenant_id: 1, total: 3, placed_at: "2026-01-01"}]}
    expect: {rows: [{tenant_id: 1, best: 5, days: 1}]}
"""


@pytest.fixture
def shop(source, worker, tmp_path):
    source.execute("CREATE TABLE tenants (id int PRIMARY KEY, zone text)")
    source.execute("CREATE TABLE orders (id int PRIMARY KEY, tenant_id int, total numeric(10,2), placed_at timestamptz, note text)")
    source.execute("INSERT INTO tenants VALUES (1, 'UTC')")
    gold = tmp_path / "models/gold"
    gold.mkdir(parents=True)
    (tmp_path / "models/silver").mkdir()
    for name, (key, sql) in MODELS.items():
        (gold / f"{name}.sql").write_text(sql)
    tarn = worker.tarn(source, gold={"models": str(tmp_path / "models")})

    def write(revenue=REVENUE, best=BEST):
        (gold / "revenue.yml").write_text(f"key: {MODELS['revenue'][0]}\n{revenue}")
        (gold / "best.yml").write_text(f"key: {MODELS['best'][0]}\n{best}")

    write()
    tarn.start().wait_streaming()
    return tarn, write


def outcome(tarn, *models):
    done = tarn.command("test", "--unit", "--json", *models)
    found = json.loads(done.out)
    assert found["ok"] == (done.code == 0)
    assert done.code in (0, 3)
    return {test["test"]: test for test in found["tests"]}


def test_models_are_run_over_the_rows_that_are_given(shop):
    tarn, _ = shop
    tests = outcome(tarn)
    assert [name for name, test in tests.items() if test["holds"]] == [
        "days_are_local", "nothing_of_nothing", "of_rows_of_the_other_model", "through_the_other_model"], tests
    assert list(outcome(tarn, "best")) == ["of_rows_of_the_other_model", "through_the_other_model"]
    tarn.stop()
    assert tarn.command("test", "--unit").code == 0


def test_what_differs_is_shown(shop):
    tarn, write = shop
    write(REVENUE.replace("revenue: 10.5", "revenue: 10.51"), BEST.replace("best: 5, days: 1", "best: 5, days: 1}, {tenant_id: 1, best: 5, days: 1"))
    tests = outcome(tarn)
    assert tests["days_are_local"]["missing"] == ["tenant_id=1, day=2026-01-01, revenue=10.51, note=NULL"]
    assert tests["days_are_local"]["unexpected"] == ["tenant_id=1, day=2026-01-01, revenue=10.50, note=NULL"]
    assert tests["through_the_other_model"]["missing"] == ["tenant_id=1, best=5.00, days=1"], "one row is no two"
    text = tarn.command("test", "--unit", "revenue").out
    assert "days_are_local                       differs\n    missing     tenant_id=1" in text


@pytest.mark.parametrize("was,becomes,message", [
    ("{id: 1, zone: America/New_York}", "{id: 1, zne: UTC}", "silver.tenants has no column 'zne'; it has"),
    ("total: 4,", "total: four,", "four"),
    ("- input: tenants\n        rows: [{id: 1, zone: America/New_York}]", "", "'tenants' is read and not given; give it `rows: []`"),
    ("      - input: orders", "      - {input: revenue, rows: []}\n      - input: orders", "'revenue' is given, and gold.revenue does not read it"),
    ("revenue: 10.5", "revenu: 10.5", "gold.revenue has no column 'revenu'; it has tenant_id, day, revenue, note")],
    ids=["column", "value", "missing", "superfluous", "expected"])
def test_what_cannot_be_run_says_why(shop, was, becomes, message):
    tarn, write = shop
    assert was in REVENUE
    write(REVENUE.replace(was, becomes))
    test = outcome(tarn, "revenue")["days_are_local"]
    assert not test["holds"] and message in test["error"]


@pytest.mark.parametrize("was,becomes,message", [
    ("as_of: 2026-02-01", "as_of: soon", "revenue.yml:5: "),
    ("input: tenants", "inptu: tenants", "'inptu' is not known here; known are: input, rows"),
    ("expect: {rows: []}", "expect: []", "a mapping (key: value) is expected here"),
    ("note: null", "note: [1]", "a single value is expected here")])
def test_a_wrong_file_names_the_place(shop, was, becomes, message):
    tarn, write = shop
    assert was in REVENUE
    write(REVENUE.replace(was, becomes, 1))
    done = tarn.command("test", "--unit")
    assert done.code == 2 and message in done.err, done.text
    assert tarn.command("test", "--unit", "revenu").code != 0
