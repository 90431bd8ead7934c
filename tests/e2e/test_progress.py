"""How far copies are: per table, on `tarn status` and in its JSON, while they go on."""

from __future__ import annotations

import re
import threading

import pytest

from support.cluster import wait_for

ROWS = 12_000


@pytest.fixture
def slow(source, worker):
    """Two tables of some 24 MB, of which 8 MB a second are copied; one was never analysed."""
    for table in ("counted", "uncounted"):
        source.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, body text); ALTER TABLE {table} SET (autovacuum_enabled = false)")
        source.execute(f"INSERT INTO {table} SELECT g, repeat(md5(g::text), 60) FROM generate_series(1, {ROWS}) g")
    source.execute("ANALYZE counted")
    return worker.tarn(source, source={"copy_mb_per_s": 8}, silver={"copy_workers": 1})


def test_first_copy(slow):
    slow.start(wait=False)
    seen: dict[str, list[dict]] = {"counted": [], "uncounted": []}
    text = ""

    def watch() -> bool:
        nonlocal text
        status = slow.status()
        if not status:
            return False
        for name, table in status["copy"].get("tables", {}).items():
            seen[name].append(table)
            if not text and table["rows"] and not table["done"]:
                text = slow.must("status")
        return status["phase"] == "streaming"
    wait_for(watch, 60, "the copy", every=0.02)
    for name, looks in seen.items():
        under_way = [table for table in looks if 0 < table["rows"] < ROWS and not table["done"]]
        assert len({table["rows"] for table in under_way}) > 1, looks
        assert all(table["estimated_rows"] == (ROWS if name == "counted" else None) for table in looks)
        assert all(0 <= a["bytes"] <= b["bytes"] for a, b in zip(looks, looks[1:]))
        for table in under_way:
            part, whole = ("rows", "estimated_rows") if name == "counted" else ("bytes", "size_bytes")
            share = min(table[part] / table[whole], 1)
            assert table["seconds_left"] > 0
            assert table["seconds_left"] == pytest.approx(table["seconds"] * (1 - share) / share)
        assert looks[-1]["done"] and looks[-1]["rows"] == ROWS and looks[-1]["seconds_left"] == 0
    assert re.search(r"first copy: \d of 2 tables, \d+ rows", text), text
    assert re.search(r"(counted|uncounted) +\d+( of about \d+)? rows, [\d.]+ .?B of [\d.]+ .?B on the source's disk, about \d+ s left", text), text
    assert "waits for its turn" in text or "done in" in text, text


def test_copy_beside_the_stream(slow):
    slow.start().wait_caught_up()
    resync = threading.Thread(target=slow.command, args=("resync", "counted"))
    resync.start()
    wait_for(lambda: slow.status()["copies"]["rows"] > 100, 60, "the copy", every=0.02)
    copies = slow.status()["copies"]
    assert copies["copying"] == "counted" and copies["estimated_rows"] == ROWS and copies["bytes"] > 0 and copies["seconds_left"] > 0
    assert re.search(r"\d+ of about 12000 rows, .* on the source's disk, about \d+ s left", slow.must("status"))
    resync.join()
    assert slow.status()["copies"]["rows"] == 0
