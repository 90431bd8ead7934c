"""`tarn quarantine`: what stands there, row by row, and how it comes back when a rule was changed."""

from __future__ import annotations

import json

import pytest

from support.cluster import wait_for

MODEL = """table: item
rules:
  - name: known_kind
    check: kind IN ({kinds})
    explain: the kind is not known
  - name: cheap
    check: price < {limit}
    explain: nobody pays that much
"""


def write_rules(tarn, kinds="'a', 'b'", limit=100):
    (tarn.folder / "models/silver/item.yml").write_text(MODEL.format(kinds=kinds, limit=limit))


@pytest.fixture
def shop(source, worker):
    source.execute("CREATE TABLE item (tenant_id int, id int, kind text, price numeric(9,2), at timestamp, note text, "
                   "PRIMARY KEY (tenant_id, id)); CREATE TABLE other (id int PRIMARY KEY)")
    source.execute("INSERT INTO item SELECT g % 2, g, chr(97 + g % 4), g, '2026-01-01', 'note ' || g FROM generate_series(1, 120) g")
    tarn = worker.tarn(source, tenants={"column": "tenant_id"})
    (tarn.folder / "models/silver").mkdir(parents=True)
    tarn.sections["gold"]["models"] = str(tarn.folder / "models")
    tarn.write_config()
    write_rules(tarn)
    return source, tarn


def listed(tarn) -> dict:
    tables = json.loads(tarn.must("quarantine", "list", "--json"))["tables"]
    return {table["table"]: table for table in tables}


def by_rule(tarn) -> dict:
    return {rule["rule"]: rule["rows"] for rule in listed(tarn)["item"]["rules"]}


def retry(tarn, *arguments) -> tuple[int, int]:
    counts = json.loads(tarn.must("quarantine", "retry", "item", *arguments, "--json"))
    return counts["entered"], counts["stayed"]


def test_list_and_show(shop):
    source, tarn = shop
    tarn.start()
    source.execute("UPDATE item SET at = 'infinity', note = NULL WHERE id = 4; UPDATE item SET kind = 'z''s' WHERE id = 5")
    tarn.wait_caught_up()
    count = source.value("SELECT count(*) FROM item WHERE kind NOT IN ('a', 'b')")
    dear = source.value("SELECT count(*) FROM item WHERE kind IN ('a', 'b') AND price >= 100")
    assert by_rule(tarn) == {"known_kind": count, "type": 1, "cheap": dear}
    item = listed(tarn)["item"]
    assert item["rows"] == count + dear + 1 and item["valid_share"] == pytest.approx(1 - (count + dear + 1) / 120)
    first = next(rule for rule in item["rules"] if rule["rule"] == "known_kind")
    assert first["first"] <= first["last"] and first["first"].startswith("20")
    assert listed(tarn)["other"] == {"table": "other", "rows": 0, "valid_share": 1.0, "rules": []}
    assert "known_kind" in tarn.must("quarantine", "list")

    shown = json.loads(tarn.must("quarantine", "show", "item", "--key", "tenant_id=0", "--key", "id=4", "--json"))["rows"]
    assert len(shown) == 1 and shown[0]["rule"] == "type" and "infinity" in shown[0]["reason"] and shown[0]["op"] == "U"
    assert shown[0]["row"] == {"tenant_id": "0", "id": "4", "kind": "a", "price": "4.00", "at": "infinity", "note": None}
    text = tarn.must("quarantine", "show", "item", "--key", "id=5")
    assert "known_kind: the kind is not known" in text and "z's" in text and "updated at 0/" in text
    assert len(json.loads(tarn.must("quarantine", "show", "item", "--limit", "3", "--json"))["rows"]) == 3
    assert "no such row" in tarn.must("quarantine", "show", "item", "--key", "id=1")
    outcome = tarn.command("quarantine", "show", "item", "--key", "note=x")
    assert outcome.code == 2 and "--key tenant_id=VALUE --key id=VALUE" in outcome.err
    assert tarn.command("quarantine", "show", "nothing").code == 2
    tarn.stop()
    assert by_rule(tarn) == {"known_kind": count, "type": 1, "cheap": dear}


def test_rows_come_back_beside_the_stream(shop):
    source, tarn = shop
    source.execute("UPDATE item SET price = 500 WHERE id IN (2, 3)")  # 2 is of a kind that is not known.
    tarn.start()
    before = by_rule(tarn)
    assert retry(tarn) == (0, sum(before.values()))
    versions = len(list((tarn.lake / "_tarn/versions").iterdir()))
    assert retry(tarn) == (0, sum(before.values()))
    assert len(list((tarn.lake / "_tarn/versions").iterdir())) == versions, "nothing changed, so nothing is to be published"
    past = tarn.value("SELECT max(_lsn) FROM item")

    write_rules(tarn, kinds="'a', 'b', 'c'")
    entered, stayed = retry(tarn, "--rule", "known_kind")
    assert entered == source.value("SELECT count(*) FROM item WHERE kind = 'c' AND price < 100")
    assert entered + stayed == before["known_kind"]
    # What is of a known kind now, and too dear, is told so.
    assert by_rule(tarn) == {"known_kind": source.value("SELECT count(*) FROM item WHERE kind = 'd'"),
                             "cheap": source.value("SELECT count(*) FROM item WHERE kind <> 'd' AND price >= 100")}
    tarn.verify()
    assert tarn.value("SELECT max(_lsn) FROM item") == past, "a row keeps the position of its image"
    # The stream follows the changed rule, and takes rows in and out as ever.
    source.execute("UPDATE item SET kind = 'c' WHERE id = 7; UPDATE item SET price = price + 1 WHERE kind = 'c' AND id < 50; "
                   "UPDATE item SET kind = 'q' WHERE id = 10; DELETE FROM item WHERE id = 6")
    tarn.wait_caught_up()
    tarn.verify()
    tarn.stop()
    tarn.check_tables()
    tarn.start()
    tarn.verify()


def test_rows_come_back_while_tarn_is_stopped(shop):
    source, tarn = shop
    tarn.start().stop()
    assert "silver.item" not in tarn.must("plan")
    write_rules(tarn, kinds="'a', 'b', 'c', 'd'", limit=110)
    text = tarn.must("plan")
    assert "rules     ~ cheap  ~ known_kind" in text and "tarn quarantine retry item" in text
    assert retry(tarn) == (source.value("SELECT count(*) FROM item WHERE kind IN ('c', 'd') AND price < 110 OR kind IN ('a', 'b') AND price "
                                        "BETWEEN 100 AND 109"), 11)
    assert by_rule(tarn) == {"cheap": 11}
    tarn.check_tables()
    tarn.start()
    tarn.verify()


def test_what_is_wrong_is_said(shop):
    source, tarn = shop
    tarn.start()
    outcome = tarn.command("quarantine", "retry", "item", "--rule", "known_knd")
    assert outcome.code == 2 and "rows are there by: cheap, known_kind" in outcome.err
    assert tarn.command("quarantine", "retry", "nothing").code == 2
    write_rules(tarn, kinds="no_column")
    outcome = tarn.command("quarantine", "retry", "item")
    assert outcome.code == 2 and "no_column" in outcome.err
    source.execute("INSERT INTO item VALUES (1, 1000, 'a', 1), (1, 1001, 'd', 1)")
    tarn.wait_caught_up()
    assert by_rule(tarn)["known_kind"] == source.value("SELECT count(*) FROM item WHERE kind NOT IN ('a', 'b')")
    assert "Example: tarn quarantine retry" in tarn.must("quarantine", "retry", "--help")


@pytest.mark.parametrize("point", ["silver.return.between_tables", "silver.return.before_publish"])
def test_a_return_that_is_cut_off_comes_to_its_end(shop, point):
    source, tarn = shop
    tarn.start(environment={"TARN_FAULT": point})
    write_rules(tarn, kinds="'a', 'b', 'c'")
    assert tarn.command("quarantine", "retry", "item").code != 0
    assert tarn.wait_exit() == 137
    source.execute("UPDATE item SET price = 1 WHERE id = 6; UPDATE item SET kind = 'c' WHERE id = 3; UPDATE item SET kind = 'd' WHERE id = 2")
    tarn.start()
    wait_for(lambda: set(by_rule(tarn)) == {"known_kind", "cheap"}, what="answers")
    tarn.verify()
    tarn.kill()
    tarn.check_tables()
    tarn.start()
    tarn.verify()


def test_a_row_that_is_good_no_more_goes_back(shop):
    """A return was cut off, and the rule made strict again before the next start."""
    source, tarn = shop
    tarn.start(environment={"TARN_FAULT": "silver.return.between_tables"})
    write_rules(tarn, kinds="'a', 'b', 'c'")
    tarn.command("quarantine", "retry", "item")
    assert tarn.wait_exit() == 137
    write_rules(tarn)
    tarn.start()
    tarn.verify()


def test_tables_without_keys(source, worker):
    source.execute("CREATE TABLE item (kind text, price int); ALTER TABLE item REPLICA IDENTITY FULL; "
                   "CREATE TABLE log (kind text)")
    source.execute("INSERT INTO item SELECT chr(97 + g % 3), g % 5 FROM generate_series(1, 60) g; INSERT INTO log SELECT 'c' FROM generate_series(1, 5)")
    tarn = worker.tarn(source)
    (tarn.folder / "models/silver").mkdir(parents=True)
    tarn.sections["gold"]["models"] = str(tarn.folder / "models")
    tarn.write_config()
    write_rules(tarn)
    log = tarn.folder / "models/silver/log.yml"
    log.write_text("table: log\nrules:\n  - {name: known, check: kind <> 'c'}\n")
    tarn.start()
    source.execute("INSERT INTO log VALUES ('c'), ('a')")
    tarn.wait_caught_up()
    write_rules(tarn, kinds="'a', 'b', 'c'")
    log.write_text("table: log\n")
    assert retry(tarn) == (20, 0)
    tarn.must("quarantine", "retry", "log")
    assert tarn.value("SELECT count(*) FROM log") == 7
    source.execute("DELETE FROM item WHERE ctid IN (SELECT ctid FROM item WHERE kind = 'c' LIMIT 7); INSERT INTO item VALUES ('c', 1)")
    tarn.wait_caught_up()
    tarn.verify()
    tarn.stop()
    tarn.check_tables()
