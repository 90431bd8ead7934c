"""src/storage's S3 client against a real S3 server, straight and through a proxy that fails."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest

from support.object_store import BUSY, CUT, DROP, ENVIRONMENT, FAIL, LOSE, PASS, FlakyProxy, ObjectStore
from support.tarn import tarn_binary

PROGRAM = Path(tarn_binary()).parent / "s3_storage_test"
TESTS = [line.strip() for line in
         subprocess.run([PROGRAM, "--gtest_list_tests"], text=True, capture_output=True, check=True).stdout.splitlines()
         if line.startswith("  ")]
FLAWED = [test for test in TESTS if test not in ("NobodyAnsweringIsUnavailableAfterSomePatience",
                                                 "MoreThanAPageOfKeysIsListedAndRemoved")]


@pytest.fixture(scope="module")
def store(session_folder):
    server = ObjectStore(session_folder)
    server.bucket("storage-tests")
    yield server
    server.close()


def run(test: str, endpoint: str):
    done = subprocess.run([PROGRAM, f"--gtest_filter=S3StorageTest.{test}"], text=True, capture_output=True, timeout=300,
                          env={**os.environ, **ENVIRONMENT, "TARN_TEST_S3_ENDPOINT": endpoint,
                               "TARN_TEST_S3_BUCKET": "storage-tests"})
    assert done.returncode == 0 and "[  PASSED  ] 1 test." in done.stdout, done.stdout[-6000:] + done.stderr[-2000:]


@pytest.fixture
def proxy(store):
    made = FlakyProxy(store.port)
    yield made
    made.close()


@pytest.mark.parametrize("test", TESTS)
def test_all_is_well(store, proxy, test):
    run(test, proxy.endpoint)
    assert store.keys("storage-tests") == [] and store.uploads("storage-tests") == []


@pytest.mark.parametrize("test", FLAWED)
def test_what_fails_now_and_then_changes_no_outcome(store, proxy, seed, test):
    """Connections that are closed before or after the store did what was asked, or within its answer, 500, 503."""
    rng = random.Random(f"{seed} {test}")
    proxy.fate = lambda method, path: rng.choice([DROP, LOSE, CUT, BUSY, FAIL]) if rng.random() < 0.3 else PASS
    run(test, proxy.endpoint)
    assert len({kind for _, _, kind in proxy.requests}) > 1 or len(proxy.requests) < 20
    assert store.keys("storage-tests") == []
    for upload in store.s3.list_multipart_uploads(Bucket="storage-tests").get("Uploads", []):
        # An abort is tried once: what it leaves is for the writer's next start.
        store.s3.abort_multipart_upload(Bucket="storage-tests", Key=upload["Key"], UploadId=upload["UploadId"])


def test_a_write_whose_answer_is_lost_is_known_again(store, proxy):
    """The first answer to each conditional write and to each end of an upload is lost: still exactly one writes."""
    lost = set()

    def fate(method, path):
        ends = method == "PUT" and "partNumber" not in path or method == "POST" and "uploadId" in path
        if not ends or path in lost:
            return PASS
        lost.add(path)
        return LOSE
    proxy.fate = fate
    for test in ("PutIfAbsentNeverReplaces", "OfTwoRacersExactlyOneWritesAndTheOtherIsTold", "AStagedFileIsInvisibleUntilPublished"):
        run(test, proxy.endpoint)
    assert len([kind for _, _, kind in proxy.requests if kind == LOSE]) > 20
    assert any("uploadId" in path for path in lost)
