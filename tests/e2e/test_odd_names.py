"""Names that want quotes, and pgbench: all of tarn's commands on schemas that nobody prepared for it."""

from __future__ import annotations

import subprocess
import time

from support.cluster import as_server_user


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


SCHEMA = 'Odd "schema" of Ours'
TABLES = {
    'My "Table"': '("Op" text, "ID" int PRIMARY KEY, "select" int, "a b" text, "quo""te" text, _lsn text, "ümlaut" text)',
    "order": '("user" int PRIMARY KEY, "from" text, "Timestamp" timestamptz, "commit" numeric(5,1), "_op" text, "op" text)',
    "two keys": '("B" text, a int, c text, PRIMARY KEY (a, "B"))',
    "UPPER": '("x" int, "X" int PRIMARY KEY)',
    "empty one": '(id int PRIMARY KEY, "1st" text, "a-b.c" text, "$x" text)',
    "no key": '("Op" text, v int)',
}


def test_odd_names(source, worker):
    """init, check, run, query, verify on a schema and tables with quotes, spaces, mixed case and reserved words."""
    source.execute(f"CREATE SCHEMA {quoted(SCHEMA)}")
    names = {name: f"{quoted(SCHEMA)}.{quoted(name)}" for name in TABLES}
    for name, columns in TABLES.items():
        source.execute(f"CREATE TABLE {names[name]} {columns}")
    # Two tables of the same name in different schemas, and one whose lake name could be another's.
    source.execute('CREATE TABLE public."order" (id int PRIMARY KEY, v text)')
    source.execute('CREATE TABLE public."two_keys" (id int PRIMARY KEY, v text); CREATE TABLE public."two keys" (id int PRIMARY KEY, w text)')
    source.execute('INSERT INTO public."order" VALUES (1, \'public\'); INSERT INTO two_keys VALUES (1, \'underscore\'); '
                   'INSERT INTO "two keys" VALUES (2, \'space\')')
    fill = {
        'My "Table"': "SELECT 'I', g, g, 'a b', 'q', 'lsn', 'ü' FROM generate_series(1, 20) g",
        "order": "SELECT g, 'f', now(), g, 'x', 'y' FROM generate_series(1, 20) g",
        "two keys": "SELECT 'k:' || g || ',x', g % 3, 'c' FROM generate_series(1, 20) g",
        "UPPER": "SELECT g, -g FROM generate_series(1, 20) g",
        "no key": "SELECT 'U', g FROM generate_series(1, 20) g",
    }
    for name, sql in fill.items():
        source.execute(f"INSERT INTO {names[name]} {sql}")
    tarn = worker.tarn(source, tables={"include": [f"{SCHEMA}.*", "public.*"]})
    made = tarn.command("init", "--source", f"postgresql://postgres@localhost:{source.cluster.port}/{source.name}")
    assert made.code == 2 and "--force" in made.err  # A file is there.
    check = tarn.command("check", "--json")
    assert check.code == 0, check.text
    tarn.start()
    tables = tarn.must("tables")
    assert len(tables.splitlines()) == 1 + len(TABLES) + 3, tables
    mine, order, two_keys, upper, empty, no_key = names.values()
    source.execute(f"""UPDATE {mine} SET "Op" = 'D', "select" = 0 WHERE "ID" > 10""")
    source.execute(f'DELETE FROM {order} WHERE "user" <= 5')
    source.execute(f"""UPDATE {two_keys} SET "B" = "B" || ':' WHERE a = 1""")
    source.execute(f"INSERT INTO {empty} VALUES (1, 'first', 'dash', 'dollar')")
    source.execute(f"UPDATE {upper} SET x = 0")
    source.execute(f"INSERT INTO {no_key} VALUES ('I', 100)")
    tarn.wait_caught_up()
    verified = tarn.verify()
    assert len(verified) == len(TABLES) + 3
    assert all(table["equal"] for table in verified.values())
    lake_names = [row["table_name"] for row in
                  tarn.query("SELECT table_name FROM information_schema.tables WHERE table_schema = 'silver'")]
    assert sorted(lake_names) == sorted(verified)
    my_table, = [name for name in lake_names if "my" in name]
    rows = tarn.query(f"SELECT * FROM silver.{quoted(my_table)}")
    assert len(rows) == 20
    # The source's column "Op" is a column, not the operation.
    values = [list(row.values()) for row in rows]
    assert sum("D" in row for row in values) == 10 and sum("I" in row for row in values) == 10
    assert tarn.value('SELECT v FROM silver."order"') == "public"
    assert tarn.value("SELECT count(*) FROM two_keys") == 1


def test_odd_tenant_column(source, worker):
    """A tenant's principal sees its rows also where the tenant column's name has another form in the lake."""
    source.execute('CREATE TABLE "Sale" (id int PRIMARY KEY, "Org Id" text); INSERT INTO "Sale" VALUES (1, \'a/b\'), (2, \'A=b\'), (3, \'\'), '
                   "(4, NULL), (5, 'a%2Fb'), (6, '..'), (7, '__HIVE_DEFAULT_PARTITION__')")
    tenants = ["a/b", "A=b", "a%2Fb", "..", "a", "__HIVE_DEFAULT_PARTITION__"]
    tarn = worker.tarn(source, tenants={"column": "Org Id"}, principals=[{"name": f"p{i}", "tenant": t} for i, t in enumerate(tenants)])
    tarn.start()
    table, = tarn.query("SELECT table_name AS t FROM information_schema.tables WHERE table_schema = 'silver'")
    seen = [[row["id"] for row in tarn.query(f"SELECT id FROM {quoted(table['t'])} ORDER BY id", principal=f"p{i}")] for i in range(5)]
    assert seen == [[1], [2], [5], [6], []]
    # Where NULL and '' are kept is nobody's.
    assert tarn.try_query(f"SELECT id FROM {quoted(table['t'])}", principal="p5").code == 1
    tarn.verify()


def test_init_writes_a_configuration_that_works(source, worker):
    """The file that `tarn init` writes is taken by check and run as it stands."""
    source.execute("CREATE TABLE t (id int PRIMARY KEY, tenant_id int); INSERT INTO t VALUES (1, 1)")
    tarn = worker.tarn(source)
    slot = tarn.sections["source"]["slot"]
    (tarn.folder / "tarn.toml").unlink()
    made = tarn.must("init", "--source", f"postgresql://postgres@127.0.0.1:{source.cluster.port}/{source.name}",
                     "--tenant-column", "tenant_id", "--lake", "the lake")
    assert "check" in made
    path = tarn.folder / "tarn.toml"
    text = path.read_text()
    assert '"tenant_id"' in text and "the lake" in text
    # One server for all tests, and a slot's name is the server's.
    text = text.replace('slot = "tarn"', f'slot = "{slot}"').replace('publication = "tarn"', f'publication = "{slot}"')
    path.write_text(text)
    assert tarn.command("check").code == 0
    tarn.lake = tarn.folder / "the lake"
    tarn.start()
    tarn.verify()
    assert (tarn.lake / "silver" / "t" / "tenant_id=1").is_dir()
    refused = tarn.command("init", "--force", "--source", "postgresql://u:secret@h/d")
    assert refused.code == 2 and "password" in refused.err and "secret" not in refused.text
    assert path.read_text() == text


INVARIANT = """SELECT (SELECT sum(abalance) FROM pgbench_accounts{0})::BIGINT AS a, (SELECT sum(bbalance) FROM pgbench_branches{0})::BIGINT
  AS b, (SELECT sum(tbalance) FROM pgbench_tellers{0})::BIGINT AS t,
  (SELECT coalesce(sum(delta), 0) FROM pgbench_history{0})::BIGINT AS d"""


def test_pgbench(source, worker):
    """Every query over Silver, now and as of any past time, is at one LSN of all tables while pgbench writes."""
    bench = [str(source.cluster.bin / "pgbench"), "-h", str(source.cluster.folder), "-p", str(source.cluster.port), "-U", "postgres"]
    subprocess.run(as_server_user([*bench, "-i", "-q", "-s", "1", source.name]), check=True, cwd="/",
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    tarn = worker.tarn(source).start()
    running = subprocess.Popen(as_server_user([*bench, "-n", "-c", "3", "-T", "10", "-R", "300", source.name]), cwd="/",
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seen, times = set(), []
    while running.poll() is None:
        row, = tarn.query(INVARIANT.format(""))
        assert row["a"] == row["b"] == row["t"] == row["d"], row
        seen.add(row["d"])
        times.append(source.value("SELECT (now() AT TIME ZONE 'UTC')::text"))
        time.sleep(0.2)  # A pace, not a wait.
    assert running.returncode == 0
    assert len(seen) > 5, "the queries saw no progress"
    tarn.wait_caught_up()
    past = set()
    for when in times[:: max(1, len(times) // 6)]:
        row, = tarn.query(INVARIANT.format(""), as_of=when)
        assert row["a"] == row["b"] == row["t"] == row["d"], (when, row)
        row, = tarn.query(INVARIANT.format(f" FOR TIMESTAMP AS OF '{when}'"))
        assert row["a"] == row["b"] == row["t"] == row["d"], (when, row)
        past.add(row["d"])
    assert len(past) > 3
    row, = tarn.query(INVARIANT.format(""))
    assert row["d"] == source.value("SELECT coalesce(sum(delta), 0) FROM pgbench_history")
    tarn.verify()
