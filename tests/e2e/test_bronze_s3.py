"""Bronze in an object store: a real S3 server (moto), a real PostgreSQL, and a proxy between that fails."""

from __future__ import annotations

import json
import os
import random
import shutil

import duckdb
import pytest
from pyarrow import parquet

from support.certificates import Authority
from support.cluster import wait_for
from support.history import SILVER, History
from support.object_store import BUSY, CUT, DROP, ENVIRONMENT, FAIL, LOSE, PASS, FlakyProxy, ObjectStore
from support.tarn import lsn_value

COMPLETE, WRONG, USAGE, FINDINGS, CRASHED = 0, 1, 2, 3, 137
LAYERS = [f"{layer}.{table}" for table in SILVER for layer in ("silver", "quarantine")]


@pytest.fixture(scope="module")
def store(session_folder):
    server = ObjectStore(session_folder)
    yield server
    server.close()


@pytest.fixture
def proxy(store):
    made = FlakyProxy(store.port)
    yield made
    made.close()


@pytest.fixture
def bucket(store, worker) -> str:
    return store.bucket("lake-" + worker.folder.name.lower().replace("_", "-"))


@pytest.fixture
def make_tarn(source, worker, proxy, bucket):
    def make(s3: dict | None = None, **sections):
        tarn = worker.tarn(source, tenants={"column": "tenant_id"},
                           bronze={"path": f"s3://{bucket}/lake/one", "flush_interval_ms": 50, **sections.pop("bronze", {})},
                           s3={"endpoint": proxy.endpoint, **(s3 or {})}, **sections)
        tarn.environment = dict(ENVIRONMENT)
        return tarn
    return make


def verified(tarn, code: int = COMPLETE) -> dict:
    outcome = tarn.command("bronze", "verify", "--json")
    assert outcome.code == code, outcome.text
    return json.loads(outcome.out)


def make_steps(history: History, count: int):
    for _ in range(count):
        history.step()


def test_a_life(source, make_tarn, store, bucket, seed, worker):
    """First copy, changes, kill -9 several times, a second copy: the chain is complete, nothing of Bronze is in the folder,
    all is encrypted as asked, others read the files, and Silver comes back from the objects alone."""
    history = History(source, seed).create()
    tarn = make_tarn({"sse": "AES256"}).start()
    with history:
        for _ in range(4):
            steps = history.steps + 15
            wait_for(lambda: history.steps >= steps, 30, "the writer")
            tarn.kill()
            verified(tarn)
            tarn.start()
        tarn.must("resync", "customer")
    tarn.wait_caught_up()
    tarn.verify()
    queried = {table: tarn.value(f"SELECT count(*) FROM bronze.{table}") for table in SILVER}
    assert tarn.stop() == 0
    report = verified(tarn)
    assert report["warnings"] == [] and report["copies"] == 5

    keys = store.keys(bucket)
    files = [key for key in keys if key.endswith(".parquet")]
    assert len(files) == report["files"] and all(key.startswith("lake/one/") for key in keys)
    assert not (tarn.lake / "bronze").exists() and not (tarn.lake / "_tarn/bronze").exists()
    for key in keys:
        assert store.s3.head_object(Bucket=bucket, Key=key)["ServerSideEncryption"] == "AES256", key
    folder = worker.folder / "downloaded"
    folder.mkdir()
    rows = 0
    for number, key in enumerate(files):
        (folder / f"{number}.parquet").write_bytes(store.read(bucket, key))
        rows += parquet.read_metadata(folder / f"{number}.parquet").num_rows
    assert rows == report["rows"] == sum(queried.values())
    assert duckdb.sql(f"SELECT count(*) FROM read_parquet('{folder}/*.parquet', union_by_name = true)").fetchone() == (rows,)

    assert {table: tarn.value(f"SELECT count(*) FROM bronze.{table}") for table in SILVER} == queried, "without a running one"
    before = {table: tarn.table_rows(table) for table in LAYERS}
    tarn.must("rebuild")
    assert {table: tarn.table_rows(table) for table in LAYERS} == before
    tarn.start()
    make_steps(history, 10)
    tarn.wait_caught_up()
    tarn.verify()
    assert "removed" in (tarn.stop(), tarn.must("remove"))[1]
    assert set(files) <= set(store.keys(bucket)), "remove leaves Bronze"


@pytest.mark.parametrize("point", ["bronze.load.before_manifest", "bronze.load.after_manifest", "bronze.flush.before_files",
                                   "bronze.flush.between_files:2", "bronze.flush.before_manifest:2", "bronze.flush.after_manifest"])
def test_a_crash_at_each_step(source, make_tarn, seed, point):
    """No change is lost or there twice, no file of nobody stays."""
    history = History(source, seed).create()
    tarn = make_tarn(silver={"commit_interval_ms": 100})
    tarn.start(wait=False, environment={"TARN_FAULT": point})
    with history:
        assert tarn.wait_exit(60) == CRASHED, tarn.log_tail()
        tarn.start()
        verified(tarn)
    tarn.wait_caught_up()
    tarn.verify()
    assert tarn.stop() == 0
    assert verified(tarn)["warnings"] == []


@pytest.mark.parametrize("retry_seconds", [60, 1], ids=["within_patience", "beyond_patience"])
def test_the_store_is_away_for_a_while(source, make_tarn, proxy, seed, retry_seconds):
    """Nothing is confirmed to the source meanwhile, tarn says why and goes on by itself."""
    history = History(source, seed).create()
    tarn = make_tarn({"retry_seconds": retry_seconds}).start()
    make_steps(history, 10)
    tarn.wait_caught_up()

    def confirmed() -> int:
        slot = tarn.sections["source"]["slot"]
        return lsn_value(source.value("SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = %s", (slot,)))
    proxy.fate = lambda method, path: DROP
    make_steps(history, 30)
    mark = lsn_value(source.mark())
    said = "the object store " + proxy.endpoint + " does not answer"
    wait_for(lambda: said in tarn.log.read_text(), 30, "the message", every=0.1)
    if retry_seconds == 1:
        wait_for(lambda: tarn.log.read_text().count("trying again in") >= 3, 60, "further attempts", every=0.1)
    make_steps(history, 30)
    assert confirmed() < mark and tarn.is_running()
    assert tarn.log.read_text().count(said) < 20, "once in a while"
    proxy.fate = lambda method, path: PASS
    tarn.wait_caught_up()
    assert confirmed() >= mark
    tarn.verify()
    assert tarn.stop() == 0
    assert verified(tarn)["warnings"] == []


def test_stop_while_the_store_is_away(source, make_tarn, proxy, seed):
    """Ctrl-C does not wait for the store; the next start loses nothing."""
    history = History(source, seed).create()
    tarn = make_tarn({"retry_seconds": 600}).start()
    proxy.fate = lambda method, path: DROP
    make_steps(history, 10)
    wait_for(lambda: "does not answer" in tarn.log.read_text(), 30, "the message", every=0.1)
    assert tarn.stop(seconds=20) == 0, tarn.log_tail()
    proxy.fate = lambda method, path: PASS
    tarn.start().wait_caught_up()
    tarn.verify()
    assert tarn.stop() == 0
    assert verified(tarn)["warnings"] == []


def test_answers_that_are_lost_and_other_failures(source, make_tarn, proxy, seed):
    """A tenth of all requests fails in every way, over kills and a second copy; some beyond the patience."""
    rng = random.Random(seed)
    history = History(source, seed).create()
    tarn = make_tarn({"retry_seconds": 2})
    tarn.start()
    proxy.fate = lambda method, path: rng.choice([DROP, LOSE, CUT, BUSY, FAIL]) if rng.random() < 0.1 else PASS
    with history:
        for turn in range(3):
            steps = history.steps + 20
            wait_for(lambda: history.steps >= steps, 30, "the writer")
            if turn == 1:
                tarn.must("resync", "item")
            tarn.kill()
            proxy.fate, flawed = (lambda method, path: PASS), proxy.fate
            tarn.start()
            proxy.fate = flawed
    proxy.fate = lambda method, path: PASS
    tarn.wait_caught_up()
    tarn.verify()
    assert tarn.stop() == 0
    assert verified(tarn)["warnings"] == []
    assert len({kind for _, _, kind in proxy.requests}) >= 3, "nothing failed"


def test_the_answers_to_manifests_are_lost(source, make_tarn, proxy, seed):
    """Beyond all patience: the manifest is there, though tarn was never told; it counts, and once."""
    history = History(source, seed).create()
    tarn = make_tarn({"retry_seconds": 1}).start()
    lost = []

    def fate(method, path):
        if method not in ("PUT", "HEAD") or "/changes/" not in path or len(lost) >= 12:
            return PASS
        lost.append(path)
        return LOSE
    proxy.fate = fate
    with history:
        wait_for(lambda: len(lost) >= 12, 60, "lost answers", every=0.1)
    tarn.wait_caught_up()
    tarn.verify()
    assert "trying again in" in tarn.log.read_text()
    assert tarn.stop() == 0
    assert verified(tarn)["warnings"] == []


def test_an_upload_that_was_cut_off_is_removed(source, make_tarn, proxy, store, bucket):
    """A file of several parts; tarn dies before its end."""
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    source.execute("INSERT INTO t SELECT g, (SELECT string_agg(md5(random()::text || g || i), '') FROM generate_series(1, 40) i) "
                   "FROM generate_series(1, 24000) g")
    tarn = make_tarn(silver={"copy_workers": 1})
    proxy.fate = lambda method, path: DROP if "partNumber=2" in path else PASS
    tarn.start(wait=False)
    wait_for(lambda: any(fate == DROP for _, _, fate in proxy.requests), 60, "the second part")
    tarn.kill()
    assert len(store.uploads(bucket)) == 1
    proxy.fate = lambda method, path: PASS
    tarn.start()
    assert store.uploads(bucket) == []
    tarn.verify()
    assert tarn.stop() == 0
    report = verified(tarn)
    assert report["warnings"] == [] and report["bytes"] > 10_000_000


def test_a_lake_whose_folder_is_lost(source, make_tarn, seed):
    """`run` does not take another lake's Bronze over; `rebuild` does, and it goes on."""
    history = History(source, seed).create()
    tarn = make_tarn().start()
    make_steps(history, 30)
    tarn.wait_caught_up()
    before = {table: tarn.table_rows(table) for table in LAYERS}
    assert tarn.stop() == 0
    tarn.lake.rename(tarn.lake.with_name("lost"))
    refused = tarn.command("run")
    assert refused.code == WRONG and "another lake's" in refused.err and "tarn rebuild" in refused.err, refused.text
    tarn.must("rebuild")
    assert {table: tarn.table_rows(table) for table in LAYERS} == before
    verified(tarn)
    tarn.start()
    make_steps(history, 10)
    tarn.wait_caught_up()
    tarn.verify()
    assert tarn.stop() == 0
    assert verified(tarn)["warnings"] == []
    shutil.rmtree(tarn.lake)
    tarn.lake.with_name("lost").rename(tarn.lake)
    found = tarn.command("run")
    assert found.code == WRONG and "another lake's" in found.err, "it was found again, but is not the one that goes on"


def test_one_place_is_one_lakes(source, make_tarn):
    """Another lake is refused, and so is a lake that moves."""
    source.execute("CREATE TABLE t (id int PRIMARY KEY, tenant_id int); INSERT INTO t VALUES (1, 1)")
    tarn, other = make_tarn().start(), make_tarn()
    refused = other.command("run")
    assert refused.code == WRONG and "another lake's" in refused.err, refused.text
    assert tarn.stop() == 0
    tarn.sections["bronze"]["path"] += "/elsewhere"
    tarn.write_config()
    moved = tarn.command("run")
    assert moved.code == WRONG and "has its Bronze at" in moved.err, moved.text
    del tarn.sections["bronze"]["path"], tarn.sections["s3"]
    tarn.write_config()
    home = tarn.command("run")
    assert home.code == WRONG and "not in its folder" in home.err, home.text


def findings(tarn, environment: dict | None = None) -> list[str]:
    outcome = tarn.command("check", "--json", environment=environment)
    assert outcome.code in (COMPLETE, FINDINGS), outcome.text
    return [finding["what"] for finding in json.loads(outcome.out)["findings"] if finding["severity"] == "error"]


def test_check_proves_the_store(source, make_tarn, proxy, store, bucket):
    source.execute("CREATE TABLE t (id int PRIMARY KEY, tenant_id int); INSERT INTO t VALUES (1, 1)")
    tarn = make_tarn()
    assert findings(tarn) == [] and store.keys(bucket) == []
    assert {method for method, _, _ in proxy.requests} == {"PUT", "GET", "HEAD", "DELETE"}

    what, = findings(tarn, {"AWS_SECRET_ACCESS_KEY": ""})
    assert "no AWS_SECRET_ACCESS_KEY" in what
    what, = findings(tarn, {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""})
    assert "set AWS_ACCESS_KEY_ID" in what and "/nonexistent" in what

    proxy.withheld = {"if-none-match"}
    what, = findings(tarn)
    assert "writes over what is there" in what and store.keys(bucket) == []
    refused = tarn.command("run")
    assert refused.code == WRONG and "If-None-Match" in refused.err, refused.text
    proxy.withheld = set()
    # Nothing is in the lake yet: its Bronze may still be somewhere else.

    tarn.sections["bronze"]["path"] = "s3://no-such-bucket/lake"
    tarn.write_config()
    what, = findings(tarn)
    assert "there is no bucket 'no-such-bucket'" in what
    refused = tarn.command("run")
    assert refused.code == USAGE and "there is no bucket 'no-such-bucket'" in refused.err, refused.text


def test_tls_is_verified(source, make_tarn, worker):
    """A certificate of a CA that nobody knows is refused until [s3] ca_file names it."""
    source.execute("CREATE TABLE t (id int PRIMARY KEY, tenant_id int); INSERT INTO t VALUES (1, 1)")
    authority = Authority(worker.folder / "ca")
    server = ObjectStore(worker.folder, tls=authority.issue("store", "localhost"))
    try:
        server.bucket("secure")
        tarn = make_tarn({"endpoint": server.endpoint}, bronze={"path": "s3://secure/lake"})
        what, = findings(tarn)
        assert "is not trusted" in what and "ca_file" in what
        tarn.sections["s3"]["ca_file"] = os.path.relpath(authority.ca, tarn.folder)
        tarn.write_config()
        assert findings(tarn) == []
        tarn.start()
        tarn.verify()
        assert tarn.stop() == 0
    finally:
        server.close()
