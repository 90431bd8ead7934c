"""`tarn crawl`: folders that others write, as tables of SQL's schema `external`."""

from __future__ import annotations

import datetime
import decimal
import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

DAY = datetime.date(2026, 11, 27)


def write(path, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


@pytest.fixture
def lake(source, worker):
    source.execute("CREATE TABLE orders (id int PRIMARY KEY, tenant_id int NOT NULL, placed date)")
    source.execute("INSERT INTO orders VALUES (1, 1, '2026-11-27'), (2, 2, '2026-11-26')")
    principals = [{"name": "analyst", "tenant": "1", "shared": ["external.weather"]}, {"name": "other", "tenant": "2"}]
    return worker.tarn(source, tenants={"column": "tenant_id"}, principals=principals).start()


@pytest.fixture
def weather(tmp_path):
    """By year and month in folders' names, with a column that came later and one that was widened."""
    folder = tmp_path / "data" / "weather"
    write(folder / "year=2025/month=12/a.parquet", day=pa.array([datetime.date(2025, 12, 31)]), degrees=pa.array([-3], pa.int32()))
    write(folder / "year=2026/month=1/a.parquet", day=pa.array([datetime.date(2026, 1, 1), datetime.date(2026, 1, 2)]),
          degrees=pa.array([5_000_000_000, None], pa.int64()), rain=pa.array([decimal.Decimal("0.25"), None]))
    write(folder / "year=2026/month=__HIVE_DEFAULT_PARTITION__/a.parquet", day=pa.array([DAY]), degrees=pa.array([7], pa.int64()))
    (folder / "_SUCCESS").write_text("")
    write(folder / "_delta_log/x.parquet", other=pa.array([1]))
    return folder


def crawl(tarn, *arguments, code=0) -> dict:
    done = tarn.command("crawl", "--json", *arguments)
    assert done.code == code, done.text
    return {table["table"]: table for table in json.loads(done.out)["tables"]}


def test_files_in_folders_of_values_are_one_table(lake, weather):
    found = crawl(lake, weather.parent)
    assert {name: (table["what"], table["files_added"]) for name, table in found.items()} == {"external.weather": ("new", 3)}
    assert lake.query("SELECT * FROM external.weather ORDER BY day") == [
        {"day": "2025-12-31", "degrees": -3, "rain": None, "year": 2025, "month": 12},
        {"day": "2026-01-01", "degrees": 5_000_000_000, "rain": "0.25", "year": 2026, "month": 1},
        {"day": "2026-01-02", "degrees": None, "rain": None, "year": 2026, "month": 1},
        {"day": "2026-11-27", "degrees": 7, "rain": None, "year": 2026, "month": None}]
    # A folder that a filter leaves out is not opened; columns of the folders need no column of the files.
    outcome = lake.command("query", "--format", "json", "SELECT month, count(*) AS n FROM external.weather WHERE year = 2025 GROUP BY month")
    assert json.loads(outcome.out) == {"month": 12, "n": 1} and "files 1 of 3," in outcome.err
    assert lake.query("SELECT o.id, w.degrees FROM orders o JOIN external.weather w ON w.day = o.placed") == [{"id": 1, "degrees": 7}]
    assert lake.query("SELECT count(*) AS n FROM external.weather WHERE month IS NULL") == [{"n": 1}]


def test_the_next_crawl_tells_what_changed(lake, weather):
    crawl(lake, weather)
    assert crawl(lake)["external.weather"]["what"] == "same"
    write(weather / "year=2026/month=2/a.parquet", day=pa.array([DAY]), degrees=pa.array([1]), wind=pa.array([2.5]))
    write(weather / "year=2026/month=1/a.parquet", day=pa.array([DAY]), degrees=pa.array([9]))
    (weather / "year=2025/month=12/a.parquet").unlink()
    # Until then the files of the last crawl are asked for.
    assert lake.try_query("SELECT * FROM external.weather").code == 1
    changed = crawl(lake)["external.weather"]
    assert {key: changed[key] for key in ("what", "files_added", "files_changed", "files_removed", "columns_added")} == {
        "what": "changed", "files_added": 1, "files_changed": 1, "files_removed": 1, "columns_added": ["wind"]}
    assert lake.query("SELECT degrees, rain, wind FROM external.weather ORDER BY degrees") == [
        {"degrees": 1, "rain": None, "wind": 2.5}, {"degrees": 7, "rain": None, "wind": None}, {"degrees": 9, "rain": None, "wind": None}]
    shutil.rmtree(weather)
    weather.mkdir()
    assert crawl(lake)["external.weather"]["what"] == "gone"
    assert lake.try_query("SELECT * FROM external.weather").code == 1


def test_a_hudi_table_of_others_is_read_as_its_writer_has_it_now(lake, source, worker, tmp_path):
    lake.wait_caught_up()
    other = tmp_path / "theirs" / "sales"
    shutil.copytree(lake.lake / "silver" / "orders", other)
    found = crawl(lake, tmp_path / "theirs")
    assert found["external.sales"]["what"] == "new"
    assert lake.query("SELECT id, tenant_id FROM external.sales ORDER BY id") == lake.query("SELECT id, tenant_id FROM orders ORDER BY id")
    source.execute("INSERT INTO orders VALUES (3, 1, NULL)")
    lake.wait_caught_up()
    shutil.rmtree(other)
    shutil.copytree(lake.lake / "silver" / "orders", other)
    assert lake.value("SELECT count(*) FROM external.sales") == 3


def test_only_who_is_granted_it_sees_a_table_of_others(lake, weather, tmp_path):
    write(tmp_path / "data/secret/tenant_id=1/a.parquet", v=pa.array([1]))
    crawl(lake, tmp_path / "data")
    assert lake.value("SELECT count(*) FROM external.weather", principal="analyst") == 4
    for principal, table in (("other", "weather"), ("analyst", "secret"), ("other", "secret")):
        refused = lake.try_query(f"SELECT * FROM external.{table}", principal=principal)
        assert refused.code == 1 and "does not exist" in refused.err, (principal, table, refused.text)


@pytest.mark.parametrize("files,reason", [
    ({"a.parquet": {"v": pa.array([1])}, "b.parquet": {"v": pa.array(["x"])}}, "the column 'v' is int64 in 'a.parquet' and text in 'b.parquet'"),
    ({"y=1/a.parquet": {"v": pa.array([1])}, "z=1/b.parquet": {"v": pa.array([1])}}, "'z=1/b.parquet' is in folders by (z) and others are in folders by (y)"),
    ({"a.parquet": {"v": pa.array([1])}, "more/b.parquet": {"v": pa.array([1])}}, "'more/b.parquet' is in a folder that is no COLUMN=VALUE"),
    ({"a.parquet": {"v": pa.array([[1]])}}, "its files have no column of a type that the lake has"),
    ({"a.parquet": None}, "a.parquet")],
    ids=["types", "folders", "mixed", "nested", "damaged"])
def test_what_cannot_be_one_table_is_refused_with_the_reason_and_the_rest_is_found(lake, tmp_path, files, reason):
    for name, columns in files.items():
        if columns is None:
            (tmp_path / "data/odd").mkdir(parents=True)
            (tmp_path / "data/odd" / name).write_bytes(b"PAR1 is not enough")
        else:
            write(tmp_path / "data/odd" / name, **columns)
    write(tmp_path / "data/good/a.parquet", v=pa.array([1]))
    found = crawl(lake, tmp_path / "data", code=3)
    assert found["external.odd"]["what"] == "refused" and reason in found["external.odd"]["reason"]
    assert found["external.good"]["what"] == "new"
    assert lake.value("SELECT v FROM external.good") == 1


def test_names_meet_and_are_forgotten(lake, tmp_path):
    for folder in ("a/daily", "b/daily", "c/2026 sales"):
        write(tmp_path / "data" / folder / "x.parquet", v=pa.array([folder]))
    assert set(crawl(lake, tmp_path / "data")) == {"external.daily", "external.b_daily", "external._2026_sales"}
    assert lake.value("SELECT v FROM external.b_daily") == "b/daily"
    assert "is forgotten" in lake.must("crawl", "--forget", "external.daily")
    assert lake.try_query("SELECT * FROM external.daily").code == 1
    assert lake.command("crawl", "--forget", "daily").code == 1
    described = lake.must("describe", "external.b_daily")
    assert "1 rows" in described and "VARCHAR" in described


def test_folders_that_are_none_and_the_lake_itself_are_refused(lake, tmp_path):
    missing = lake.command("crawl", tmp_path / "nothing")
    assert missing.code == 1 and f"there is no folder '{tmp_path}/nothing'" in missing.err
    ours = lake.command("crawl", lake.lake / "silver")
    assert ours.code == 2 and "is in the lake" in ours.err
    assert "nothing was crawled yet: name a folder" in lake.must("crawl")
    (tmp_path / "empty").mkdir()
    assert "there are no tables" in lake.must("crawl", tmp_path / "empty")


def test_a_past_time_is_refused_for_files_without_a_history(lake, weather):
    crawl(lake, weather)
    refused = lake.try_query("SELECT * FROM external.weather", as_of="2036-01-01 00:00")
    assert refused.code == 1 and "has no history: no AS OF, please" in refused.err
