"""The rules of models/silver catch every planted defect under its name, and nothing that is sound."""

import pytest

ROW_DEFECTS = {
    ("products", "negative_stock"), ("customers", "malformed_email"), ("order_items", "missing_unit_price"),
    ("subscriptions", "end_before_start"),
}
TABLES = ["tenants", "customers", "products", "orders", "order_items", "events", "subscriptions", "invoices"]


def test_every_sort_of_defect_was_planted(defects):
    assert set(defects) == ROW_DEFECTS | {("orders", "duplicate_external_id")}
    assert all(defects.values())


@pytest.mark.parametrize("table", TABLES)
def test_quarantine_holds_the_planted_rows_and_no_others(lake, defects, table):
    planted = {(row, defect) for (of, defect), rows in defects.items() if (of, defect) in ROW_DEFECTS and of == table for row in rows}
    assert lake.refused(table) == planted


@pytest.mark.parametrize("table", TABLES)
def test_no_rule_warns_of_a_sound_row(lake, uses_tarn, table):
    if uses_tarn:
        pytest.skip("warnings are counted, not listed")
    assert [broken for broken in lake.broken_rules(table) if broken[2] == "warn"] == []


def test_duplicate_external_ids_are_found(lake, models, defects):
    check = next(c for model in models if model["table"] == "orders" for c in model["checks"])
    assert check["name"] == "duplicate_external_id"
    assert {str(row["id"]) for row in lake.check(check["sql"])} == defects["orders", "duplicate_external_id"]


def test_other_checks_find_only_what_quarantine_explains(lake, models, source, defects):
    """What points at a quarantined row is found; all else fits together."""
    checks = {c["name"]: lake.check(c["sql"]) for model in models for c in model.get("checks", [])}
    assert checks["line_without_order"] == []
    assert checks["session_of_two_tenants"] == []
    assert checks["duplicate_email"] == []
    assert checks["two_subscriptions_at_once"] == []
    refused = [int(row) for row in defects["subscriptions", "end_before_start"]]
    billed = source.execute("SELECT id FROM invoices WHERE subscription_id = ANY(%s)", [refused]).fetchall()
    assert {row["id"] for row in checks["invoice_without_subscription"]} == {row[0] for row in billed}
