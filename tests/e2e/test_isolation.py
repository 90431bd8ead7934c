"""A tenant's principal sees its own rows, whatever SQL it writes; what is refused names nothing of the others."""

from __future__ import annotations

import glob
import re

import pytest

from support.worker import Worker

SECRET = "secret-of-"
TENANTS = (1, 2, 3)


GOLD = {
    "notes.sql": "SELECT tenant_id, max(note) AS note, count(*) AS n FROM sale GROUP BY tenant_id",
    "notes.yml": "description: By tenant.\nkey: [tenant_id]\npartition: tenant_id\n",
    # What an author forgot to partition, or what is of all tenants together, is nobody's but the operator's.
    "notes_flat.sql": "SELECT tenant_id, max(note) AS note, count(*) AS n FROM sale GROUP BY tenant_id",
    "notes_flat.yml": "description: The same, in one piece.\nkey: [tenant_id]\n",
    "all_notes.sql": "SELECT 'all' AS what, string_agg(DISTINCT note, ',') AS note, count(*) AS n FROM sale",
    "all_notes.yml": "description: One row.\nkey: [what]\n",
}


@pytest.fixture(scope="module")
def lake(request, module_folder, cluster):
    """Three tenants with rows of every layer; shared by this module's tests, which only read."""
    folder = module_folder / "isolation"
    folder.mkdir(mode=0o755)
    worker = Worker(folder)
    source = worker.database(cluster)
    source.execute("CREATE TABLE sale (id int PRIMARY KEY, tenant_id int NOT NULL, note text, amount numeric(8,2))")
    source.execute("CREATE TABLE visit (tenant_id int, id int, page text, PRIMARY KEY (tenant_id, id))")
    source.execute("CREATE TABLE price (id int PRIMARY KEY, label text)")
    source.execute("CREATE TABLE staff (id int PRIMARY KEY, secret text)")
    source.execute("INSERT INTO sale SELECT g, g %% 3 + 1, %s || (g %% 3 + 1), g FROM generate_series(1, 90) g", (SECRET,))
    source.execute("INSERT INTO visit SELECT g %% 3 + 1, g, %s || (g %% 3 + 1) FROM generate_series(1, 90) g", (SECRET,))
    source.execute("INSERT INTO price VALUES (1, 'shared label'); INSERT INTO staff VALUES (1, 'secret-of-staff')")
    (folder / "models/gold").mkdir(parents=True)
    (folder / "models/silver").mkdir()
    for name, text in GOLD.items():
        (folder / "models/gold" / name).write_text(text)
    tarn = worker.tarn(source, tenants={"column": "tenant_id"}, gold={"models": str(folder / "models")}, principals=[
        {"name": "one", "tenant": "1", "shared": ["silver.price"]}, {"name": "two", "tenant": "2"},
        {"name": "three", "tenant": "3"}, {"name": "nobody", "tenant": "99"}])
    tarn.start()
    source.execute("UPDATE sale SET amount = amount + 0.5 WHERE id % 5 = 0")
    source.execute("INSERT INTO sale VALUES (1001, 1, 'secret-of-1', 'NaN'), (1002, 2, 'secret-of-2', 'NaN')")
    tarn.wait_caught_up()
    before = source.value("SELECT (now() AT TIME ZONE 'UTC')::text")
    source.execute("UPDATE sale SET tenant_id = 3, note = 'secret-of-3' WHERE id = 1")  # Was tenant 2's.
    source.execute("DELETE FROM sale WHERE id = 4")  # Was tenant 2's.
    tarn.wait_gold()
    yield source, tarn, before
    worker.close()


def assert_silent(tarn, outcome, tenant: int, sql: str = ""):
    """Nothing of the other tenants, of unshared tables, of the lake's files, but for what the asker wrote itself."""
    hidden = [f"{SECRET}{other}" for other in (*TENANTS, "staff") if other != tenant]
    hidden += [f"tenant_id={other}" for other in TENANTS if other != tenant] + [str(tarn.lake), "PAR1", "root:x:0"]
    hidden += [path.name for other in TENANTS if other != tenant for path in tarn.lake.glob(f"silver/*/tenant_id={other}/*")]
    for word in hidden:
        assert word not in outcome.text or word in sql, (sql, word, outcome.text)


@pytest.mark.parametrize("tenant,name", [(1, "one"), (2, "two"), (3, "three")])
def test_own_rows_only(lake, tenant, name):
    """Counts, joins, CTEs, subqueries, windows, set operations and prepared conditions see one tenant's rows."""
    source, tarn, _ = lake
    wanted = source.value("SELECT count(*) FROM sale WHERE tenant_id = %s AND amount <> 'NaN'", (tenant,))
    for sql in ("SELECT count(*) FROM sale", "SELECT count(*) FROM silver.sale", 'SELECT count(*) FROM "silver"."sale"',
                "SELECT count(*) FROM sale WHERE tenant_id = tenant_id OR true", "SELECT count(*) FROM (SELECT * FROM sale) s",
                "WITH s AS MATERIALIZED (SELECT * FROM sale) SELECT count(*) FROM s",
                "WITH RECURSIVE s(id) AS (SELECT id FROM sale UNION SELECT id FROM sale) SELECT count(*) FROM s",
                "SELECT count(DISTINCT a.id) FROM sale a LEFT JOIN sale b ON a.id <> b.id",
                "SELECT max(n) FROM (SELECT row_number() OVER () AS n FROM sale)",
                "SELECT (SELECT count(*) FROM sale)", "SELECT count(*) FROM (FROM sale)",
                "SELECT count(*) FROM (SELECT * FROM sale UNION SELECT * FROM sale)"):
        assert tarn.value(sql, principal=name) == wanted, sql
    for table in ("sale", "visit"):
        assert [r["tenant_id"] for r in tarn.query(f"SELECT DISTINCT tenant_id FROM {table}", principal=name)] == [tenant]
    for other in TENANTS:
        rows = tarn.query(f"SELECT count(*) AS n, max(note) AS note, max(amount) AS a FROM sale WHERE tenant_id = {other}", principal=name)
        assert (rows[0]["n"] > 0) == (other == tenant)
    assert_silent(tarn, tarn.try_query("SELECT * FROM sale JOIN visit USING (tenant_id)", principal=name), tenant)


def test_operator_and_nobody(lake):
    """The operator sees all, a tenant without rows none, an unknown principal gets an error that says so."""
    source, tarn, _ = lake
    assert tarn.value("SELECT count(*) FROM sale") == source.value("SELECT count(*) FROM sale WHERE amount <> 'NaN'")
    assert tarn.value("SELECT count(*) FROM sale", principal="nobody") == 0
    unknown = tarn.try_query("SELECT 1", principal="who")
    assert unknown.code == 1 and "no principal 'who'" in unknown.err


def test_shared_tables(lake):
    """A table without a tenant is read by whom it was granted to, and by nobody else."""
    _, tarn, _ = lake
    assert tarn.query("SELECT label FROM price", principal="one") == [{"label": "shared label"}]
    for sql, name in (("SELECT * FROM price", "two"), ("SELECT * FROM staff", "one"), ("SELECT * FROM silver.staff", "two"),
                      ("SELECT * FROM quarantine.sale", "one"), ("SELECT * FROM bronze.sale", "one"),
                      ("SELECT * FROM quarantine.staff", "one"), ("SELECT * FROM bronze.price", "one")):
        outcome = tarn.try_query(sql, principal=name)
        assert outcome.code == 1 and outcome.out == "", (sql, outcome.text)
        assert_silent(tarn, outcome, 0, sql)


def test_gold_tables(lake):
    """Of Gold a tenant sees its partitions of the tables that are split by tenant, and no other table, now or in the past."""
    source, tarn, before = lake
    counts = {tenant: source.value("SELECT count(*) FROM sale WHERE tenant_id = %s AND amount <> 'NaN'", (tenant,)) for tenant in TENANTS}
    assert {row["tenant_id"]: row["n"] for row in tarn.query("SELECT tenant_id, n FROM gold.notes")} == counts
    for tenant, name in ((1, "one"), (2, "two")):
        assert tarn.query("SELECT tenant_id, note, n FROM gold.notes", principal=name) == [{"tenant_id": tenant, "note": f"{SECRET}{tenant}", "n": counts[tenant]}]
        for table in ("notes_flat", "gold.notes_flat", "all_notes", "gold.all_notes"):
            for as_of in (None, before):
                outcome = tarn.try_query(f"SELECT * FROM {table}", principal=name, as_of=as_of)
                assert outcome.code == 1 and outcome.out == "" and "does not exist" in outcome.err, outcome.text
                assert_silent(tarn, outcome, 0)
        shown = tarn.try_query("SHOW TABLES FROM gold", principal=name)
        assert "notes" in shown.out and "flat" not in shown.out and "all_" not in shown.out, shown.out
    assert len(tarn.query("SELECT * FROM all_notes")) == 1


def attacks(tarn) -> list[str]:
    folder = tarn.lake
    base = next(path for path in glob.glob(f"{folder}/silver/sale/tenant_id=2/*.parquet"))
    log = next(iter(glob.glob(f"{folder}/silver/sale/tenant_id=2/.*log*")), base)
    return [
        f"SELECT * FROM read_parquet('{base}')", f"SELECT * FROM '{base}'", f"FROM '{base}'", f'SELECT * FROM "{base}"',
        f"SELECT * FROM parquet_scan('{base}')", f"SELECT * FROM parquet_metadata('{base}')",
        f"SELECT * FROM read_parquet('{folder}/silver/sale/*/*.parquet')", f"SELECT * FROM parquet_schema('{base}')",
        f"SELECT * FROM read_blob('{log}')", f"SELECT * FROM read_text('{folder}/_tarn/tables.json')", f"SELECT * FROM glob('{folder}/**')",
        f"SELECT * FROM read_csv('{folder}/_tarn/tables.json')", f"SELECT * FROM read_json('{folder}/_tarn/lake.json')",
        f"SELECT * FROM sniff_csv('{folder}/_tarn/tables.json')", "SELECT * FROM read_text('/etc/passwd')",
        f"SELECT * FROM read_parquet('tarn:/{base}')", f"SELECT * FROM 'tarn:/{base}'",
        f"COPY sale TO '{folder}/stolen.csv'", f"COPY (SELECT 1) TO '{folder}/stolen.parquet' (FORMAT parquet)", f"COPY sale FROM '{base}'",
        f"EXPORT DATABASE '{folder}/stolen'", f"ATTACH '{folder}/x.db'", "ATTACH ':memory:' AS m", "INSTALL httpfs", "LOAD httpfs",
        "LOAD '/tmp/x.so'", "SET enable_external_access = true", "SET tarn.principal = 'operator'", "RESET ALL", "SET GLOBAL threads = 8",
        "SET temp_directory = '/tmp'", "PRAGMA database_list", "PRAGMA show_tables_expanded", "PRAGMA storage_info('sale')",
        "CREATE TABLE t AS SELECT * FROM sale", "CREATE VIEW v AS SELECT * FROM sale", "CREATE MACRO f() AS TABLE SELECT * FROM sale",
        "CREATE TEMP TABLE t (i int)", "INSERT INTO sale SELECT * FROM sale", "UPDATE sale SET note = 'x'", "DELETE FROM sale",
        "DROP TABLE sale", "ALTER TABLE sale ADD COLUMN x int", "CALL pragma_version()", "CHECKPOINT", "BEGIN", "USE bronze",
        "SELECT stats(note) FROM sale LIMIT 1", "SELECT getenv('HOME')", "SELECT current_setting('temp_directory')",
        "SELECT * FROM duckdb_settings()", "SELECT * FROM duckdb_secrets()", "SELECT * FROM query('SELECT * FROM staff')",
        "SELECT * FROM query_table('staff')", "SELECT * FROM pragma_storage_info('sale')", "SELECT * FROM duckdb_temporary_files()",
        "SELECT * FROM tarn.main.silver.sale", "SELECT * FROM system.main.sale", "SELECT 1; SELECT * FROM staff",
        "EXPLAIN ANALYZE SELECT * FROM staff", "SELECT * FROM sqlite_master", "SELECT * FROM tarn_scan('silver', 'sale')",
        "DETACH lake", "DETACH memory", f"DESCRIBE '{base}'", f"SUMMARIZE '{base}'", f"DESCRIBE SELECT * FROM '{base}'",
        "SELECT json_serialize_plan('SELECT * FROM staff')", "SELECT json_serialize_plan('SELECT * FROM sale', optimize := true)",
        f"SELECT json_serialize_plan('SELECT * FROM read_text(''{folder}/_tarn/tables.json'')', optimize := true)",
        "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT * FROM staff'))",
        "PRAGMA json_execute_serialized_sql('{}')", "SELECT * FROM histogram('staff', 'id')", "SELECT * FROM histogram_values('staff', 'id')",
        "SELECT * FROM duckdb_memory()", "SELECT * FROM duckdb_extensions()", "SELECT * FROM duckdb_external_file_cache()",
        "SELECT * FROM duckdb_prepared_statements()", "SELECT * FROM duckdb_logs()", "SELECT * FROM pg_catalog.pg_settings",
        "SELECT txid_current(), nextval('x')", "SELECT filename FROM sale", "SELECT rowid FROM sale", "SELECT file_row_number FROM sale",
        "SHOW TABLES FROM quarantine", "SHOW TABLES FROM bronze", "SELECT * FROM sale AT (VERSION => 1)",
        "SELECT * FROM sale AT (TIMESTAMP => (SELECT now() FROM staff))", "WITH x AS (DELETE FROM sale RETURNING *) SELECT * FROM x",
        "SELECT * FROM sale WHERE note = (SELECT secret FROM staff)", "SELECT * FROM sale, LATERAL (SELECT * FROM staff)",
        "PREPARE p AS SELECT * FROM staff", "EXECUTE p", "COMMENT ON TABLE sale IS 'x'", "EXPLAIN (FORMAT json) SELECT * FROM staff",
        "EXPLAIN ANALYZE INSERT INTO sale SELECT * FROM sale", "FORCE CHECKPOINT", "UPDATE EXTENSIONS", "SET search_path = 'quarantine'",
        "SET schema = 'bronze'", "SET VARIABLE x = (SELECT 1)", "SET tarn.as_of = (SELECT secret FROM staff)", "IMPORT DATABASE '/tmp'",
    ]


def test_attacks(lake):
    """Files, settings, functions and statements that could reach past the decision: refused, and silent about others."""
    source, tarn, _ = lake
    allowed = []
    for sql in attacks(tarn):
        outcome = tarn.try_query(sql, principal="one")
        assert_silent(tarn, outcome, 1, sql)
        if outcome.code == 0:
            allowed.append(sql)
            assert "staff" not in outcome.out, (sql, outcome.out)
        else:
            assert outcome.code in (1, 2) and outcome.err.startswith("tarn: "), (sql, outcome.text)
            assert not outcome.out, (sql, outcome.out)
    # A list of the session's own tables; a default schema for a session that ends here.
    assert {sql.split("(")[0] for sql in allowed} <= {
        "SELECT * FROM sqlite_master", "USE bronze", "SHOW TABLES FROM quarantine", "SHOW TABLES FROM bronze",
        "SET search_path = 'quarantine'", "SET schema = 'bronze'"}, allowed
    assert not list(tarn.lake.glob("stolen*"))
    assert tarn.value("SELECT count(*) FROM sale") == source.value("SELECT count(*) FROM sale WHERE amount <> 'NaN'")
    tarn.verify()


def test_catalogues_and_plans(lake):
    """information_schema, SHOW, DESCRIBE, SUMMARIZE, EXPLAIN: tables of the principal's only, figures of its rows only."""
    source, tarn, _ = lake
    own = source.value("SELECT count(*) FROM sale WHERE tenant_id = 1 AND amount <> 'NaN'")
    for sql in ("SELECT table_schema || '.' || table_name AS t FROM information_schema.tables",
                "SELECT table_schema || '.' || table_name AS t FROM information_schema.columns",
                "SELECT schema_name || '.' || table_name AS t FROM duckdb_tables() UNION ALL "
                "SELECT schema_name || '.' || view_name AS t FROM duckdb_views() WHERE NOT internal",
                "SELECT schema_name || '.' || table_name AS t FROM duckdb_columns() WHERE NOT internal"):
        names = {row["t"] for row in tarn.query(sql, principal="one")}
        assert not any(word in name for name in names for word in ("staff", "quarantine.", "bronze.")), (sql, names)
    shown = tarn.try_query("SHOW ALL TABLES", principal="one")
    assert shown.code == 0 and "staff" not in shown.out and "sale" in shown.out
    shown = tarn.try_query("SHOW TABLES", principal="one")
    assert shown.code == 0 and "staff" not in shown.out
    assert tarn.try_query("DESCRIBE sale", principal="one").code == 0
    summary = tarn.query("SUMMARIZE sale", principal="one")
    note, = [row for row in summary if row["column_name"] == "note"]
    assert (note["min"], note["max"], int(note["count"])) == ("secret-of-1", "secret-of-1", own)
    for explain in ("EXPLAIN", "EXPLAIN ANALYZE", "EXPLAIN (ANALYZE, FORMAT JSON)"):
        sql = f"{explain} SELECT * FROM sale WHERE note >= 'secret-of-2'"
        outcome = tarn.try_query(sql, principal="one")
        assert outcome.code == 0, outcome.text
        assert_silent(tarn, outcome, 1, sql)
        assert not re.search(r"(?<![\d.])90(?![\d.])", outcome.out), outcome.out


def test_errors_tell_nothing(lake):
    """Errors that depend on values (casts, division) come of the principal's own rows only; a denied table and a missing
    one cannot be told apart."""
    _, tarn, _ = lake
    assert tarn.value("SELECT count(CASE WHEN note = 'secret-of-2' THEN 1 / 0 END) FROM sale", principal="one") == 0
    probe = "SELECT sum(CAST(CASE WHEN note = '{}' THEN note ELSE '1' END AS INT)) FROM sale"
    assert tarn.try_query(probe.format("secret-of-2"), principal="one").code == 0
    outcome = tarn.try_query(probe.format("secret-of-1"), principal="one")
    assert outcome.code == 1 and "secret-of-1" in outcome.err
    denied = tarn.try_query("SELECT * FROM staff", principal="one").err.replace("staff", "X")
    missing = tarn.try_query("SELECT * FROM stuff", principal="one").err.replace("stuff", "X")
    # The guess at what was meant goes by likeness of names, among those that the principal sees.
    assert re.sub('you mean ".*"', "", denied) == re.sub('you mean ".*"', "", missing)


def test_moved_and_past_rows(lake):
    """A row that went to another tenant: its past stays with the old one, its present is the new one's alone."""
    _, tarn, before = lake
    sql = "SELECT id, note FROM sale WHERE id IN (1, 4) ORDER BY id"
    assert tarn.query(sql, principal="two") == []
    assert tarn.query(sql, principal="three") == [{"id": 1, "note": "secret-of-3"}]
    past = [{"id": 1, "note": "secret-of-2"}, {"id": 4, "note": "secret-of-2"}]
    assert tarn.query(sql, principal="two", as_of=before) == past
    assert tarn.query(f"SELECT id, note FROM sale FOR TIMESTAMP AS OF '{before}' WHERE id IN (1, 4) ORDER BY id", principal="two") == past
    for name in ("one", "three"):
        assert tarn.query(sql, principal=name, as_of=before) == []
        assert tarn.query(f"SELECT id FROM sale FOR TIMESTAMP AS OF '{before}' WHERE id IN (1, 4)", principal=name) == []
