"""Where the Gold tests get their numbers from.

TARN_TEST_DSN    the shop's database
TARN_TEST_AS_OF  the present that the models are computed for (default: now)
TARN_TEST_DEFECTS  the list that seed_all --defects wrote
TARN_BIN, TARN_CONFIG  ask that tarn; without them the models run in DuckDB, straight on the source's rows

The source must be quiet while the tests run, and a tarn must have caught up with it.
"""

import datetime
import json
import os
import subprocess

import psycopg
import pytest

from lake_stand_in import StandInLake, silver_models
from source_facts import Facts


STILL_THERE = {
    "negative_stock": "stock < 0",
    "malformed_email": "true",
    "missing_unit_price": "unit_price IS NULL",
    "end_before_start": "ended_at < started_at",
    "duplicate_external_id":
        "EXISTS (SELECT 1 FROM orders o WHERE o.tenant_id = x.tenant_id AND o.external_id = x.external_id AND o.id < x.id)",
}


class TarnLake:
    """The same questions, asked of a tarn through its command line."""

    def __init__(self, binary, config):
        self._command = [binary, "-c", config, "query", "--format", "json"]

    def rows(self, sql):
        done = subprocess.run([*self._command, sql], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{sql}: {done.stderr}"
        return [json.loads(line) for line in done.stdout.splitlines() if line.strip()]

    def gold(self, name):
        return self.rows(f"SELECT * FROM gold.{name}")

    def check(self, sql):
        return self.rows(sql)

    def checks(self):
        """Outcome of `tarn test`; wrong rows of planted defects are no failure."""
        done = subprocess.run([*self._command[:3], "test", "--json"], capture_output=True, text=True, check=False)
        assert done.returncode in (0, 3), done.stdout + done.stderr
        return json.loads(done.stdout)["checks"]

    def unit_tests(self):
        done = subprocess.run([*self._command[:3], "test", "--unit", "--json"], capture_output=True, text=True, check=False)
        assert done.returncode in (0, 3), done.stdout + done.stderr
        return json.loads(done.stdout)["tests"]

    def refused(self, table):
        rows = self.rows(f"SELECT * FROM quarantine.{table}")
        return {(str(row["id"]), row["_rule"]) for row in rows}


class StandIn(StandInLake):
    def check(self, sql):
        return self.rows(sql)


@pytest.fixture(scope="session")
def source():
    if "TARN_TEST_DSN" not in os.environ:
        pytest.skip("TARN_TEST_DSN is not set: the connection string of a seeded shop")
    with psycopg.connect(os.environ["TARN_TEST_DSN"], autocommit=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


@pytest.fixture(scope="session")
def as_of():
    given = os.environ.get("TARN_TEST_AS_OF")
    moment = datetime.datetime.fromisoformat(given) if given else datetime.datetime.now(datetime.timezone.utc)
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)


@pytest.fixture(scope="session")
def uses_tarn():
    return "TARN_BIN" in os.environ and "TARN_CONFIG" in os.environ


@pytest.fixture(scope="session")
def lake(source, as_of, uses_tarn):
    if uses_tarn:
        return TarnLake(os.environ["TARN_BIN"], os.environ["TARN_CONFIG"])
    return StandIn(source, as_of)


@pytest.fixture(scope="session")
def gold(lake):
    return lake.gold


@pytest.fixture(scope="session")
def facts(source, as_of):
    return Facts(source, as_of)


@pytest.fixture(scope="session")
def defects(source):
    """{(table, defect): {id, ...}} of what was planted and still stands: live traffic may mend a row or delete it."""
    path = os.environ.get("TARN_TEST_DEFECTS")
    if not path:
        pytest.skip("TARN_TEST_DEFECTS is not set: the file that seed_all --defects wrote")
    planted = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            flaw = json.loads(line)
            planted.setdefault((flaw["table"], flaw["defect"]), set()).add(flaw["id"])
    return {
        (table, defect): {str(row) for row, in source.execute(
            f"SELECT id FROM {table} x WHERE id = ANY(%s) AND {STILL_THERE[defect]}", [list(rows)])}
        for (table, defect), rows in planted.items()
    }


@pytest.fixture(scope="session")
def models():
    return silver_models()
