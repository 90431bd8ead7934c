"""What people get wrong: each has a message that says what to do, the right exit code, and nothing half-made."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from support.cluster import Cluster, free_port, wait_for

FAILED, USAGE, DIFFERENCE = 1, 2, 3


@pytest.fixture
def tarn(source, worker):
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'v' FROM generate_series(1, 10) g")
    return worker.tarn(source)


def refuses(tarn, *command, code: int, words: list[str]):
    """The command ends by itself with the code, one message that holds the words, and no answer."""
    outcome = tarn.command(*command, timeout=60)
    assert outcome.code == code, outcome.text
    message = next(line for line in outcome.err.splitlines() if line.startswith("tarn: "))
    for word in words:
        assert word in outcome.err, (word, outcome.text)
    assert "exception" not in message.lower() and "terminate called" not in outcome.text
    return outcome


def test_source_unreachable(tarn):
    """No server there: check and run say which address, at once."""
    port = free_port()
    tarn.sections["source"].update(host="127.0.0.1", port=port)
    tarn.write_config()
    for command in ("check", "run"):
        refuses(tarn, command, code=FAILED, words=["127.0.0.1", str(port)])
    tarn.sections["source"]["host"] = "no-such-host.invalid"
    tarn.write_config()
    refuses(tarn, "check", code=FAILED, words=["no-such-host.invalid"])


def test_wrong_password(worker, session_folder):
    """A role with a password: wrong, missing file, then right from the environment and from the file; never shown."""
    server = Cluster(session_folder / "scram", auth="scram-sha-256", wal_level="replica").create()
    try:
        source = worker.database(server)
        source.execute("CREATE ROLE follower LOGIN REPLICATION PASSWORD 'correct horse'; CREATE TABLE t (id int PRIMARY KEY); "
                       "GRANT SELECT ON t TO follower")
        source.execute(f'GRANT CREATE ON DATABASE "{source.name}" TO follower; ALTER TABLE t OWNER TO follower')
        tarn = worker.tarn(source, source={"host": "127.0.0.1", "user": "follower", "password_file": "secret"})
        refuses(tarn, "check", code=USAGE, words=["password_file", "secret"])
        (tarn.folder / "secret").write_text("battery staple\n")
        for command in ("check", "run"):
            outcome = refuses(tarn, command, code=FAILED, words=["password authentication failed", "follower"])
            assert "battery staple" not in outcome.text
        # With the right one, the next thing that is wrong shows: this server's wal_level.
        for setting in ("environment", "file"):
            tarn.environment = {"TARN_SOURCE_PASSWORD": "correct horse"} if setting == "environment" else {}
            if setting == "file":
                (tarn.folder / "secret").write_text("correct horse\n")
            check = tarn.command("check")
            assert check.code == DIFFERENCE, check.text
            assert "wal_level is 'replica'" in check.out and "ALTER SYSTEM SET wal_level = logical" in check.out
        refuses(tarn, "run", code=FAILED, words=["wal_level"])
        findings = json.loads(tarn.command("check", "--json").out)
        assert findings["ok"] is False and {"severity", "what", "fix"} <= set(findings["findings"][0])
        server.execute("ALTER SYSTEM SET wal_level = logical")
        server.restart()
        source.reconnect()
        assert tarn.command("check").code == 0
        tarn.start()
        tarn.verify()
        tarn.close()
    finally:
        server.destroy()
        worker.databases.remove(source)


def test_missing_rights(source, worker):
    """A role that may not replicate, or not read: check names the GRANT."""
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    role = source.name + "_role"
    source.execute(f"CREATE ROLE {role} LOGIN")
    tarn = worker.tarn(source, source={"user": role})
    check = tarn.command("check")
    assert check.code == DIFFERENCE
    for words in ("may not replicate", "REPLICATION", "may not read", "GRANT SELECT"):
        assert words in check.out
    refuses(tarn, "run", code=FAILED, words=["replication role"])
    source.execute(f"DROP ROLE {role}")


def test_generated_columns_are_named(source, worker):
    """What the stream has no values of: check says so, and of which table."""
    source.execute("CREATE TABLE t (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED, "
                   "\"Sum\" int GENERATED ALWAYS AS (a + id) STORED); CREATE TABLE u (id int PRIMARY KEY)")
    told = worker.tarn(source).command("check").out
    assert '"public"."t" the lake will not have what is generated: twice, "Sum"' in told and '"public"."u"' not in told


def test_publication_lacks_a_table(tarn):
    """Somebody takes a followed table out of the publication: check says that its changes are gone, run copies it again."""
    source, name = tarn.database, tarn.sections["source"]["publication"]
    source.execute("CREATE TABLE u (id int PRIMARY KEY)")
    tarn.start().wait_caught_up()
    assert tarn.stop() == 0
    source.execute(f"ALTER PUBLICATION {name} DROP TABLE t")
    source.execute("INSERT INTO t VALUES (100, 'unseen'); CREATE TABLE fresh (id int PRIMARY KEY); INSERT INTO fresh VALUES (1)")
    check = tarn.command("check")
    assert check.code == 0 and 'no publication has "public"."t"' in check.out and "copies it again" in check.out, check.out
    assert "fresh" not in check.out
    assert tarn.value("SELECT count(*) FROM t") == 10
    tarn.start()
    source.execute("INSERT INTO t VALUES (101, 'seen')")
    wait_for(lambda: tarn.try_query("SELECT count(*) AS n FROM t").out == '{"n":12}\n', 60, "the new copy")
    tarn.wait_caught_up()
    assert len(tarn.verify()) == 3


@pytest.mark.parametrize("how,words", [
    ("SET (publish = 'insert, delete')", ["leaves out: update, truncate", "SET (publish = 'insert, update, delete, truncate'"]),
    ("SET TABLE t WHERE (id < 5)", ["leaves out rows", '"public"."t"']),
    ("SET TABLE t (id)", ["leaves out columns", '"public"."t"'])])
def test_publication_leaves_something_out(tarn, how, words):
    """A publication that somebody else made or changed: what it keeps back is named with the statement that mends it."""
    name = tarn.sections["source"]["publication"]
    tarn.database.execute(f"CREATE PUBLICATION {name} FOR TABLE t WITH (publish_via_partition_root = true)")
    tarn.database.execute(f"ALTER PUBLICATION {name} {how}")
    check = tarn.command("check")
    assert check.code == DIFFERENCE and all(word in check.out for word in words), check.out
    refuses(tarn, "run", code=FAILED, words=words)
    assert not tarn.database.execute("SELECT 1 FROM pg_replication_slots WHERE database = current_database()")


def test_publication_of_somebody_else(source, worker):
    """A role that owns nothing works with publications made for it, and says what its owner must do when they lack a table."""
    source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    role = source.name + "_role"
    source.execute(f"CREATE ROLE {role} LOGIN REPLICATION; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    tarn = worker.tarn(source, source={"user": role})
    name = tarn.sections["source"]["publication"]
    check = tarn.command("check")
    assert check.code == DIFFERENCE and "may not make publications" in check.out, check.out
    for made, publish in ((name, "insert, update, delete, truncate"), (f"{name}_append", "insert, truncate")):
        source.execute(f"CREATE PUBLICATION {made} WITH (publish = '{publish}', publish_via_partition_root = true)")
    refuses(tarn, "run", code=FAILED, words=[f'ALTER PUBLICATION "{name}" ADD TABLE "public"."t"', "owner"])
    assert f'ALTER PUBLICATION "{name}" ADD TABLE "public"."t"' in tarn.command("check").out
    source.execute(f"ALTER PUBLICATION {name} ADD TABLE t")
    check = tarn.command("check")
    assert check.code == 0, check.out
    tarn.start()
    source.execute("INSERT INTO t VALUES (2)")
    tarn.wait_caught_up()
    tarn.verify()
    tarn.close()
    source.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_missing_table(tarn):
    """An include pattern that names a table that is not there; patterns that select nothing."""
    tarn.sections["tables"]["include"] = ["public.t", "public.typo"]
    tarn.write_config()
    for command in ("check", "run"):
        refuses(tarn, command, code=USAGE, words=["public.typo"])
    tarn.sections["tables"]["include"] = ["nowhere.*"]
    tarn.write_config()
    check = tarn.command("check")
    assert check.code == DIFFERENCE and "select no table" in check.out


def test_lake_folder(tarn):
    """A lake that cannot be made (its parent is a file), one that cannot be written."""
    (tarn.folder / "file").write_text("")
    tarn.sections["lake"]["path"] = "file/lake"
    tarn.write_config()
    refuses(tarn, "run", code=FAILED, words=["file/lake"])
    for command in (["query", "SELECT 1"], ["tables"]):
        refuses(tarn, *command, code=FAILED, words=["file/lake"])
    if os.geteuid() == 0:
        folder = tarn.folder / "read-only"
        folder.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", folder], capture_output=True, text=True)
        if mounted.returncode != 0:
            pytest.skip(f"no read-only folder for root here: {mounted.stderr.strip()}")
        try:
            tarn.sections["lake"]["path"] = str(folder / "lake")
            tarn.write_config()
            refuses(tarn, "run", code=FAILED, words=[str(folder), "ead-only"])
        finally:
            subprocess.run(["umount", folder], check=True)
    else:
        (tarn.folder / "read-only").mkdir(mode=0o555)
        tarn.sections["lake"]["path"] = "read-only/lake"
        tarn.write_config()
        check = tarn.command("check")
        assert check.code == DIFFERENCE and "cannot be written" in check.out
        refuses(tarn, "run", code=FAILED, words=["read-only"])


def test_tenant_column_typo(tarn):
    """A tenant column that no table has would leave every principal without rows: check says so."""
    tarn.sections["tenants"] = {"column": "tenent_id"}
    tarn.write_config()
    check = tarn.command("check")
    assert check.code == DIFFERENCE and "'tenent_id'" in check.out and "[tenants] column" in check.out, check.out


def test_newer_lake(tarn):
    """A lake that a newer tarn wrote is neither written nor read."""
    tarn.start()
    assert tarn.stop() == 0
    path = tarn.lake / "_tarn/lake.json"
    identity = json.loads(path.read_text())
    path.write_text(json.dumps({**identity, "format": identity["format"] + 1}))
    before = sorted(p.name for p in tarn.lake.rglob("*.parquet"))
    for command in (["run"], ["query", "SELECT count(*) FROM t"], ["tables"], ["rebuild"]):
        refuses(tarn, *command, code=FAILED, words=["newer tarn"])
    assert sorted(p.name for p in tarn.lake.rglob("*.parquet")) == before
    path.write_text(json.dumps(identity))
    tarn.start()
    tarn.verify()


def test_another_source(tarn, worker, session_folder):
    """A lake is not continued from another server."""
    tarn.start()
    assert tarn.stop() == 0
    server = Cluster(session_folder / "other").create()
    try:
        server.execute(f'CREATE DATABASE "{tarn.database.name}"')
        server.execute("CREATE TABLE t (id int PRIMARY KEY, v text)", database=tarn.database.name)
        tarn.sections["source"].update(host=str(server.folder), port=server.port)
        tarn.write_config()
        refuses(tarn, "run", code=FAILED, words=["follows the server", "another lake"])
    finally:
        server.destroy()


def test_two_runs(tarn, worker):
    """Two tarns on one lake, or on one slot: the second says who is there and ends; the first goes on."""
    tarn.start()
    refuses(tarn, "run", code=FAILED, words=["another tarn", str(tarn.process.pid)])
    names = tarn.sections["source"]["slot"]
    other = worker.tarn(tarn.database, source={"slot": names, "publication": names})
    refuses(other, "run", code=FAILED, words=[names, "in use"])
    tarn.database.execute("INSERT INTO t VALUES (100, 'on')")
    tarn.wait_caught_up()
    tarn.verify()


def test_lost_slot(tarn):
    """A slot that somebody dropped is told, not papered over: the past stays readable, and all tables are copied again."""
    tarn.start().wait_caught_up()
    assert tarn.stop() == 0
    tarn.database.execute("INSERT INTO t VALUES (100, 'unseen')")
    slot = tarn.sections["source"]["slot"]
    tarn.database.execute("SELECT pg_drop_replication_slot(%s)", (slot,))
    assert tarn.value("SELECT count(*) FROM t") == 10
    tarn.start()
    assert f"the slot '{slot}' was missing on the source, so that changes since are not known" in tarn.log_tail()
    wait_for(lambda: tarn.try_query("SELECT count(*) AS n FROM t").out == '{"n":11}\n', 60, "the new copy")
    tarn.wait_caught_up()
    tarn.verify()


@pytest.mark.parametrize("section,values,words", [
    ("source", {"databse": "x"}, ["'databse'", "[source]", "'database'"]),
    ("silver", {"commit_intervall_ms": 5}, ["'commit_intervall_ms'", "'commit_interval_ms'"]),
    ("lake", {"time_travel_hours": "many"}, ["time_travel_hours", "whole number"]),
    ("lake", {"time_travel_hours": 0}, ["time_travel_hours", "1 or more"]),
    ("tables", {"include": "public.*"}, ["include", "list"]),
    ("tabels", {"include": 1}, ["'tabels'", "'tables'"])])
def test_config_typos(tarn, section, values, words):
    """A key, section or value that is not known: file, line and the nearest that is."""
    tarn.sections.setdefault(section, {}).update(values)
    tarn.write_config()
    for command in ("check", "run", "status"):
        refuses(tarn, command, code=USAGE, words=["tarn.toml:", *words])


def test_config_missing_or_broken(tarn):
    path = tarn.folder / "tarn.toml"
    text = path.read_text()
    path.write_text(text.replace("[source]", "[source"))
    refuses(tarn, "check", code=USAGE, words=["tarn.toml:1"])
    path.write_text("[tables]\n")
    refuses(tarn, "check", code=USAGE, words=["[source] is missing"])
    path.unlink()
    refuses(tarn, "check", code=USAGE, words=["tarn init", "--config"])


SQL_ERRORS = [
    ("SELECT nme FROM t", ["nme", "line 1, column 8", "^"]),
    ("SELECT *\nFROM t\nWHERE id = = 1", ["line 3, column"]),
    ("SELECT * FROM tt", ["tt", "line 1, column 15"]),
    ("SELECT CAST(v AS INT) FROM t", ["'v'"]),
    ("", ["statement"]), ("SELECT 1; SELECT 2", ["one statement"])]


def test_sql_errors(tarn):
    """An error of SQL's names its place; nothing is on standard output. The same while tarn runs and without it."""
    tarn.start().wait_caught_up()
    for running in (True, False):
        if not running:
            assert tarn.stop() == 0
        for sql, words in SQL_ERRORS:
            outcome = tarn.try_query(sql)
            assert outcome.code == FAILED and outcome.out == "", outcome.text
            for word in words:
                assert word in outcome.err, (running, outcome.err)


def test_row_too_large(tarn):
    """A row that the socket cannot carry is an error that says so; the next statement is answered."""
    tarn.start().wait_caught_up()
    outcome = tarn.try_query("SELECT repeat('x', 270000000) AS v")
    assert outcome.code == FAILED and outcome.out == "" and "one row of the answer has 257 MB" in outcome.err, outcome.text[-300:]
    assert tarn.value("SELECT count(*) FROM t") == 10


def test_wrong_arguments(tarn):
    """Usage errors have their own code and say what there is."""
    for arguments in (["fly"], [], ["query"], ["query", "--format", "xml", "SELECT 1"], ["run", "--forever"], ["run", "--until", "soon"]):
        outcome = tarn.command(*arguments)
        assert outcome.code == USAGE, (arguments, outcome.text)
    help_text = tarn.command("--help").out
    for command in ("init", "check", "run", "status", "tables", "query", "verify", "test", "bronze", "rebuild", "remove"):
        assert f"  {command} " in help_text
        outcome = tarn.command(command, "--help")
        assert outcome.code == 0 and f"Example: tarn {command}" in outcome.out, outcome.text
    # Without a running tarn: status and verify say so, a query says that there is no lake.
    for command in (["status"], ["verify"]):
        refuses(tarn, *command, code=FAILED, words=["tarn run"])
    refuses(tarn, "query", "SELECT 1", code=FAILED, words=["tarn run"])
