"""Bronze in an object store: a real S3 server (moto) a module, and a proxy before it that can fail a test."""

from __future__ import annotations

import pytest

from support.object_store import ENVIRONMENT, FlakyProxy, ObjectStore


@pytest.fixture(scope="module")
def store(module_folder):
    server = ObjectStore(module_folder)
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
                           bronze={"path": f"s3://{bucket}/lake/one", "flush_interval_ms": 200, **sections.pop("bronze", {})},
                           s3={"endpoint": proxy.endpoint, **(s3 or {})}, **sections)
        tarn.environment = dict(ENVIRONMENT)
        return tarn
    return make
