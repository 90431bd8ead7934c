"""The way to the source: TLS, passwords, certificates, several hosts, servers that go away, connections that are cut."""

from __future__ import annotations

import itertools
import random
import re
import socket
import threading
import time
from contextlib import closing, contextmanager

import pytest

from support.certificates import Authority
from support.cluster import Cluster, Database, free_port, wait_for
from support.history import History
from support.proxy import CuttingProxy

FAILED, WRONG_CONFIGURATION = 1, 2
PASSWORD = "hush 'hush\\ü"
HBA = """
hostssl all holder 127.0.0.1/32 cert
hostssl all all 127.0.0.1/32 scram-sha-256
"""


@pytest.fixture(scope="module")
def authority(module_folder):
    return Authority(module_folder / "authority")


@pytest.fixture(scope="module")
def server(module_folder, authority):
    """Speaks TLS as localhost and db.example and nothing else over TCP; to `holder` by certificate, to others by password."""
    cluster = Cluster(module_folder / "tls", hba=HBA, **authority.server_settings("localhost", "db.example")).create()
    cluster.execute(f"""CREATE ROLE owner; CREATE ROLE holder LOGIN REPLICATION IN ROLE owner;
                        CREATE ROLE follower LOGIN REPLICATION IN ROLE owner PASSWORD $${PASSWORD}$$""")
    yield cluster
    cluster.destroy()


@pytest.fixture
def shop(worker, server) -> Database:
    """As docs/operations.md says: the follower is a member of the tables' owner."""
    database = worker.database(server)
    database.execute(f'GRANT CREATE ON DATABASE "{database.name}" TO follower, holder')
    database.execute("GRANT CREATE ON SCHEMA public TO owner; SET ROLE owner; CREATE TABLE t (id int PRIMARY KEY, v text); RESET ROLE")
    database.execute("INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 100) g")
    return database


def connect_by(worker, database: Database, connection: str, *, user: str = "follower", host: str = "localhost",
               password: str | None = PASSWORD, **source):
    """A tarn that goes over TCP, with the password in a file."""
    tarn = worker.tarn(database, source={"host": host, "user": user, "connection": connection, **source})
    if password is not None:
        (tarn.folder / "source.password").write_text(password + "\n")
        tarn.sections["source"]["password_file"] = "source.password"
        tarn.write_config()
    return tarn


def connections(database: Database) -> list[tuple[str, bool]]:
    return database.execute("SELECT a.application_name, s.ssl FROM pg_stat_activity a JOIN pg_stat_ssl s USING (pid) "
                            "WHERE a.application_name LIKE 'tarn %%' AND a.datname = current_database()")


def nothing_left(database: Database):
    assert database.execute("SELECT slot_name FROM pg_replication_slots WHERE database = current_database()") == []
    assert database.execute("SELECT pubname FROM pg_publication") == []
    wait_for(lambda: not connections(database), 20, "the end of tarn's connections")


def refused(tarn, *words: str):
    """`check` and `run` end at once, each with one line that has these words; the source is as it was."""
    for command in ("check", "run"):
        outcome = tarn.command(command, timeout=40)
        line = outcome.err.splitlines()[-1]
        assert outcome.code == FAILED and line.startswith("tarn: "), (command, outcome.text)
        assert all(word in line for word in words), (words, line)
    nothing_left(tarn.database)


def follows(tarn):
    """All that connects does, over connections of its kind; afterwards nothing of it is on the source."""
    database = tarn.database
    checked = tarn.must("check")
    assert "error" not in checked, checked
    tarn.start().wait_caught_up()
    database.execute("UPDATE t SET v = 'new' WHERE id <= 10; DELETE FROM t WHERE id > 90; INSERT INTO t VALUES (1000, 'more')")
    tarn.wait_caught_up()
    assert tarn.value("SELECT count(*) FROM t WHERE v IN ('new', 'more')") == 11
    tarn.verify()
    tarn.must("resync", "public.t")
    tarn.wait_caught_up()
    tarn.verify()
    seen = connections(database)
    assert {"tarn stream", "tarn watch"} <= {name for name, _ in seen}, seen
    assert all(ssl for _, ssl in seen), seen
    assert tarn.stop() == 0
    assert "removed slot" in tarn.must("remove")
    nothing_left(database)


@pytest.mark.parametrize("host", ["localhost", "db.example"])
def test_verified_tls(worker, shop, authority, host):
    """The name that is verified need not be one that resolves: hostaddr says where it is."""
    address = "" if host == "localhost" else "hostaddr=127.0.0.1"
    follows(connect_by(worker, shop, f"sslmode=verify-full sslrootcert='{authority.ca}' {address}", host=host))


def test_certificate_of_the_server_that_is_not_right(worker, shop, authority, session_folder):
    other = Authority(session_folder / worker.name())
    for mode in ("verify-ca", "verify-full"):
        refused(connect_by(worker, shop, f"sslmode={mode} sslrootcert='{other.ca}'"), "certificate is not trusted", "sslrootcert")
    # The server has no name that is an address.
    refused(connect_by(worker, shop, f"sslmode=verify-full sslrootcert='{authority.ca}'", host="127.0.0.1"),
            "certificate is for another name", '"127.0.0.1"', "hostaddr")
    refused(connect_by(worker, shop, "sslmode=verify-full sslrootcert=no-such.crt"), "CA", "no-such.crt", "sslrootcert")
    refused(connect_by(worker, shop, "sslmode=disable"), "refuses the login", "no encryption", "pg_hba.conf")


def test_source_without_tls(worker, source, authority):
    refused(connect_by(worker, source, f"sslmode=verify-full sslrootcert='{authority.ca}'", user="postgres"),
            "does not speak TLS", "sslmode")


def everything_written(tarn) -> bytes:
    """All files of the lake and beside it, but the one that has the password; what status and check say."""
    texts = [tarn.command("status").text, tarn.command("status", "--json").text, tarn.command("check", "--json").text]
    files = [path for path in tarn.folder.rglob("*") if path.is_file() and path.name != "source.password"]
    assert any(path.suffix == ".parquet" for path in files) and tarn.log in files
    return "\n".join(texts).encode() + b"".join(path.read_bytes() for path in files)


@pytest.mark.parametrize("where", ["file", "environment"])
def test_password(worker, shop, where):
    """SCRAM. The password is nowhere but where it was put, whatever is logged."""
    tarn = connect_by(worker, shop, "channel_binding=require", password=PASSWORD if where == "file" else None)
    tarn.sections["log"]["level"] = "trace"
    tarn.write_config()
    if where == "environment":
        tarn.environment["TARN_SOURCE_PASSWORD"] = PASSWORD
    tarn.start().wait_caught_up()
    tarn.verify()
    # Errors on the way, too: the server ends the connections, and the catalogue is asked again.
    shop.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'tarn %%' AND datname = current_database()")
    wait_for(lambda: "trying again" in tarn.log_tail(), 20, "the error in the log")
    tarn.wait_caught_up()
    written = everything_written(tarn)
    assert b"trying again" in written and b"hush" not in written
    assert tarn.stop() == 0
    tarn.must("remove")


@pytest.mark.parametrize("password", ["hush, but wrong", "", None], ids=["wrong", "empty", "none"])
def test_wrong_password(worker, shop, server, password):
    """One line, exit code 1, and no trying on: a server may lock the account."""
    before = server.log_text().count("authentication failed")
    tarn = connect_by(worker, shop, "sslmode=require", password=password)
    refused(tarn, "refuses the login", "password_file", "TARN_SOURCE_PASSWORD")
    assert "hush" not in tarn.command("check").text
    assert server.log_text().count("authentication failed") - before == (3 if password else 0)


def test_password_changed_while_running(worker, shop, server):
    """The stream lives on; when it must connect again the process ends and says why."""
    tarn = connect_by(worker, shop, "sslmode=require").start()
    tarn.wait_caught_up()
    try:
        shop.execute("ALTER ROLE follower PASSWORD 'another'")
        shop.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'tarn %%' AND datname = current_database()")
        assert tarn.wait_exit(30) == FAILED
        assert "tarn: the source refuses the login" in tarn.log_tail() and "hush" not in tarn.log_tail()
    finally:
        shop.execute(f"ALTER ROLE follower PASSWORD $${PASSWORD}$$")
    tarn.start().wait_caught_up()
    tarn.verify()


def test_password_in_the_configuration(worker, shop):
    """It would be read by whoever reads tarn.toml: refused, and not repeated."""
    for connection in ("password=hush", "postgresql://x:hush@y/z", "sslpassword=hush", "password='hush"):
        outcome = connect_by(worker, shop, connection, password=None).command("check")
        assert outcome.code == WRONG_CONFIGURATION and "hush" not in outcome.text and "connection" in outcome.text, outcome.text


@pytest.mark.parametrize("key_password", [None, "key hush"], ids=["plain", "protected"])
def test_client_certificate(worker, shop, authority, key_password):
    certificate, key = authority.issue("holder", password=key_password)
    tls = f"sslmode=verify-full sslrootcert='{authority.ca}'"
    tarn = connect_by(worker, shop, f"{tls} sslcert=holder.crt sslkey=holder.key", user="holder", password=None)
    for file in (certificate, key):  # Relative to tarn.toml.
        (tarn.folder / file.name).write_bytes(file.read_bytes())
    own = tarn.folder / key.name
    own.chmod(0o644)
    refused(tarn, "holder.key", "chmod 600")
    own.chmod(0o600)
    if key_password:
        refused(tarn, "key_password_file", "TARN_SOURCE_KEY_PASSWORD")
        (tarn.folder / "key.password").write_text(key_password)
        tarn.sections["source"]["key_password_file"] = "key.password"
        tarn.write_config()
    follows(tarn)
    refused(connect_by(worker, shop, tls, user="holder", password=None), "sslcert and sslkey")
    other, other_key = authority.issue("somebody")
    refused(connect_by(worker, shop, f"{tls} sslcert='{other}' sslkey='{other_key}'", user="holder", password=None), "common name")


@contextmanager
def pair(session_folder, worker):
    """A primary with 300 rows in a database, and a standby of it."""
    folder = session_folder / worker.name()
    primary = Cluster(folder / "a").create()
    database = Database(primary, "shop")
    database.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 300) g")
    standby = primary.standby(folder / "b")
    try:
        wait_for(lambda: standby.execute("SELECT count(*) FROM pg_database WHERE datname = 'shop'")[0][0], 30, "the standby")
        yield primary, standby, database
    finally:
        worker.close()
        database.connection.close()
        for cluster in (standby, primary):
            cluster.destroy()


@pytest.mark.parametrize("attributes", ["", "target_session_attrs=read-write"], ids=["default", "read-write"])
def test_several_hosts(session_folder, worker, attributes):
    """Nobody listens at the first, the second is a standby: the third. It dies while we run, and the standby takes over."""
    with pair(session_folder, worker) as (primary, standby, database):
        def tarn_at(*ports: int):
            return worker.tarn(database, source={"host": ",".join(["127.0.0.1"] * len(ports)), "port": ",".join(map(str, ports)),
                                                 "connection": attributes})
        refused(tarn_at(free_port(), standby.port), "follows a primary")
        tarn = tarn_at(free_port(), standby.port, primary.port).start()
        tarn.wait_caught_up()
        tarn.verify()
        wait_for(lambda: standby.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (database.mark(),))[0][0], 30, "the standby")
        primary.kill()
        wait_for(lambda: "trying again" in tarn.log_tail(), 30, "tarn to notice")
        assert tarn.is_running()
        standby.promote()
        database.connection.close()
        database.cluster = standby
        database.reconnect()
        database.execute("UPDATE t SET v = 'behind' WHERE id <= 10")
        wait_for(lambda: tarn.try_query("SELECT count(*) AS n FROM t WHERE v = 'behind'").out == '{"n":10}\n', 60, "the new primary's rows", every=0.2)
        tarn.wait_caught_up()
        tarn.verify()
        assert "failed over" in tarn.log.read_text()


@contextmanager
def refusing(port: int):
    """Takes connections where the server was, and closes them; counts."""
    count = [0]
    listener = socket.create_server(("127.0.0.1", port))
    listener.settimeout(0.1)
    stop = threading.Event()

    def listen():
        while not stop.is_set():
            try:
                listener.accept()[0].close()
                count[0] += 1
            except TimeoutError:
                pass
    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield count
    finally:
        stop.set()
        thread.join()
        listener.close()


def test_server_that_is_away_for_a_while(session_folder, worker):
    """The waits between attempts grow, and there are no others; the stream goes on when the server is back, and then waits anew."""
    cluster = Cluster(session_folder / worker.name()).create()
    database = Database(cluster, "shop")
    watch_ms = 1000
    try:
        history = History(database, 1).create()
        tarn = worker.tarn(database, source={"host": "127.0.0.1", "watch_interval_ms": watch_ms, "connection": "sslmode=disable"}).start()
        tarn.wait_caught_up()
        for _ in range(2):
            told = tarn.log_bytes()

            def waits() -> list[int]:
                return [int(ms) for ms in re.findall(r"trying again in (\d+) ms", tarn.log.read_text()[told:])]
            cluster.stop()
            with refusing(cluster.port) as count:
                began = time.monotonic()
                wait_for(lambda: len(waits()) >= 4, 40, "four attempts")
                seconds = time.monotonic() - began
                attempts = count[0]
            assert waits()[:4] == [200, 400, 800, 1600]
            watched = seconds * 1000 / watch_ms + 2
            assert 3 <= attempts <= 4 + watched, (attempts, watched)
            assert tarn.status()["phase"] == "reconnecting"
            cluster.start()
            database.reconnect()
            for _ in range(20):
                history.step()
            tarn.wait_caught_up()
            tarn.verify()
        tarn.close()
    finally:
        worker.close()
        database.connection.close()
        cluster.destroy()


def test_connections_cut_anywhere(worker, source, seed):
    """After any number of bytes, again and again, in the midst of messages, logins and copies, while the application writes."""
    rng = random.Random(seed)
    cutting = threading.Event()
    count = itertools.count()

    def bytes_of_next() -> int | None:
        """Of six connections two get through the login (some 450 bytes), or not, and four bring something first: where nothing
        comes of one after another the waits grow, which another test looks at."""
        if not cutting.is_set():
            return None
        return int(2 ** (rng.uniform(0, 14) if next(count) % 6 < 2 else rng.uniform(16, 19)))
    with closing(CuttingProxy(source.cluster.port, bytes_of_next)) as proxy:
        history = History(source, seed, truncates=0).create()
        tarn = worker.tarn(source, source={"host": "127.0.0.1", "port": proxy.port, "connection": "sslmode=disable"}).start()
        with history:
            cutting.set()
            # The connections of before are not cut.
            source.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'tarn %%' AND datname = current_database()")
            wait_for(lambda: proxy.cuts >= 15, 180, "15 cuts")
            tarn.must("resync", "--no-wait", "customer")
            wait_for(lambda: proxy.cuts >= 30 or not tarn.is_running(), 180, "30 cuts")
            assert tarn.is_running(), tarn.log_tail()
            cutting.clear()
        tarn.wait_caught_up()
        tarn.wait_settled()
        tarn.verify()
        tarn.must("bronze", "verify")
        assert tarn.stop() == 0
        tarn.start().wait_caught_up()
        tarn.verify()


def test_a_first_copy_outlives_its_connections(source, worker):
    """Cut twice: the same process goes on with what is there."""
    source.execute("CREATE TABLE large (id int PRIMARY KEY, body text); CREATE TABLE small (id int PRIMARY KEY)")
    source.execute("INSERT INTO large SELECT g, repeat('x', 1000) FROM generate_series(1, 8000) g; INSERT INTO small VALUES (1)")
    tarn = worker.tarn(source, source={"copy_mb_per_s": 2, "copy_save_ms": 0, "copy_range_kb": 512}).start(wait=False)
    for cut in range(1, 3):
        tarn.wait_status(lambda status: status["phase"] == "first copy" and status["copy"]["rows"] > 1000 * cut, what="a part of the copy")
        source.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'tarn copy %%' AND datname = current_database()")
        wait_for(lambda: tarn.log_tail().count("going on with the copy in") >= cut, 60, "the next try")
    tarn.wait_streaming()
    assert "going on with the copy of" in tarn.log_tail(), "it began at the first row"
    source.execute("DELETE FROM large WHERE id % 10 = 0")
    tarn.wait_settled()
    tarn.verify()


def test_a_source_that_never_answered_is_not_waited_for(source, worker):
    tarn = worker.tarn(source, source={"port": free_port()})
    outcome = tarn.command("run")
    assert outcome.code == 1 and "cannot connect to the source" in outcome.err


@pytest.mark.parametrize("spelling", ["uri", "words"])
def test_init(worker, shop, authority, spelling):
    """What `init` writes for several hosts and TLS is a configuration that works."""
    tls = {"sslmode": "verify-full", "sslrootcert": str(authority.ca)}
    ports = (free_port(), shop.cluster.port)
    if spelling == "uri":
        text = (f"postgresql://follower@localhost:{ports[0]},localhost:{ports[1]}/{shop.name}?"
                + "&".join(f"{name}={value}" for name, value in tls.items()))
    else:
        text = (f"host=localhost,localhost port={ports[0]},{ports[1]} user=follower dbname={shop.name} "
                + " ".join(f"{name}='{value}'" for name, value in tls.items()))
    tarn = worker.tarn(shop)
    tarn.environment["TARN_SOURCE_PASSWORD"] = PASSWORD
    for secret in ("password", "sslpassword"):
        leaky = text + ("&" if spelling == "uri" else " ") + f"{secret}=hush"
        outcome = tarn.command("init", "--force", "--source", leaky)
        assert outcome.code == WRONG_CONFIGURATION and "hush" not in outcome.text, outcome.text
    tarn.must("init", "--force", "--source", text)
    written = (tarn.folder / "tarn.toml").read_text()
    assert "verify-full" in written
    # Names of this test's own, as its neighbours use the same server; and not so long waits.
    name = tarn.sections["source"]["slot"]
    for key in ("slot", "publication"):
        written = written.replace(f'{key} = "tarn"', f'{key} = "{name}"')
    (tarn.folder / "tarn.toml").write_text(written.replace("commit_interval_ms = 10000", "commit_interval_ms = 100"))
    follows(tarn)
