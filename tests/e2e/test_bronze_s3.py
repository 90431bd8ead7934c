"""Bronze in an object store: from the first copy to remove, what `check` proves, whose Bronze it is."""

from __future__ import annotations

import json
import os
import shutil

import duckdb
from pyarrow import parquet

from support.certificates import Authority
from support.cluster import wait_for
from support.history import SILVER, History
from support.object_store import ObjectStore

COMPLETE, WRONG, USAGE, FINDINGS = 0, 1, 2, 3
LAYERS = [f"{layer}.{table}" for table in SILVER for layer in ("silver", "quarantine")]


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
            tarn.bronze_verified()
            tarn.start()
        tarn.must("resync", "customer")
    tarn.wait_caught_up()
    tarn.verify()
    queried = {table: tarn.value(f"SELECT count(*) FROM bronze.{table}") for table in SILVER}
    assert tarn.stop() == 0
    report = tarn.bronze_verified()
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
    history.take_steps(10)
    tarn.wait_caught_up()
    tarn.verify()
    assert "removed" in (tarn.stop(), tarn.must("remove"))[1]
    assert set(files) <= set(store.keys(bucket)), "remove leaves Bronze"


def test_encrypted_by_a_key_whatever_the_size(source, make_tarn, proxy):
    """What makes an object asks for the key: small ones, and large ones that are sent in parts. S3 takes it with no other request."""
    source.execute("CREATE TABLE t (tenant_id int, id int PRIMARY KEY, body text)")
    source.execute("INSERT INTO t SELECT 1, g, string_agg(md5((g * 1000 + i)::text), '') FROM generate_series(1, 600) g, generate_series(1, 1000) i "
                   "GROUP BY g")
    tarn = make_tarn({"sse": "aws:kms", "kms_key_id": "alias/lake"}).start()
    source.execute("INSERT INTO t VALUES (1, 0, 'small')")
    tarn.wait_caught_up()
    assert tarn.stop() == 0
    asked = {"begins in parts": 0, "small": 0, "other": 0}
    for method, path, headers in proxy.headers:
        begins = method == "POST" and path.split("?")[-1].rstrip("=") == "uploads"
        kind = "begins in parts" if begins else "small" if method == "PUT" and "partNumber" not in path else "other"
        asked[kind] += 1
        told = (headers.get("x-amz-server-side-encryption"), headers.get("x-amz-server-side-encryption-aws-kms-key-id"))
        assert told == ((None, None) if kind == "other" else ("aws:kms", "alias/lake")), (method, path)
    assert min(asked.values()) > 0, asked


def test_a_lake_whose_folder_is_lost(source, make_tarn, seed):
    """`run` does not take another lake's Bronze over; `rebuild` does, and it goes on."""
    history = History(source, seed).create()
    tarn = make_tarn().start()
    history.take_steps(30)
    tarn.wait_caught_up()
    before = {table: tarn.table_rows(table) for table in LAYERS}
    assert tarn.stop() == 0
    tarn.lake.rename(tarn.lake.with_name("lost"))
    refused = tarn.command("run")
    assert refused.code == WRONG and "another lake's" in refused.err and "tarn rebuild" in refused.err, refused.text
    tarn.must("rebuild")
    assert {table: tarn.table_rows(table) for table in LAYERS} == before
    tarn.bronze_verified()
    tarn.start()
    history.take_steps(10)
    tarn.wait_caught_up()
    tarn.verify()
    assert tarn.stop() == 0
    assert tarn.bronze_verified()["warnings"] == []
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
