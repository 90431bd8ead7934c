"""Which of Bronze's files a run takes, by manifests alone."""

from __future__ import annotations

import json

import pytest

from tarn_jobs.bronze import Bookmark, Bronze
from tarn_jobs.files import LocalFiles
from tarn_jobs.lake import Lake, position

ITEM = {"lake_name": "item", "schema": "public", "table": "item", "append_only": False, "columns": []}
OTHER = {**ITEM, "lake_name": "other"}


class Written:
    """A lake's manifests of Bronze."""

    def __init__(self, root):
        self.root = root

    def _write(self, name: str, content: dict) -> None:
        path = self.root / "_tarn/bronze" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))

    def copy(self, snapshot: str, files: list, number: str = "", **more) -> None:
        self._write(f"loads/item{number}.json", {"table": ITEM, "epoch": 0, "snapshot": snapshot, "snapshot_micros": 77, "files": files, **more})

    @staticmethod
    def head(sequence: int, after: str, last: str) -> dict:
        return {"sequence": sequence, "epoch": 0, "after": after, "last_commit": last, "last_commit_micros": 100 + sequence}

    def flush(self, sequence: int, after: str, last: str, *events) -> None:
        """Each event: a file's name, or a mark."""
        made = [{"table": 0, "file": {"path": event}} if isinstance(event, str) else {"table": 0, **event} for event in events]
        self._write(f"changes/{sequence:012}.json", {**self.head(sequence, after, last), "tables": [ITEM, OTHER], "events": made})

    def bronze(self) -> Bronze:
        return Bronze(Lake(LocalFiles(), str(self.root)))

    def names(self, files) -> list[str]:
        return [file.path.removeprefix(f"{self.root}/") for file in files]


@pytest.fixture
def lake(tmp_path) -> Written:
    written = Written(tmp_path)
    written.copy("0/50", [{"path": "LOAD1"}, {"path": "LOAD2"}])
    return written


def test_positions_rise_with_lsn_and_epoch():
    assert position(0, "0/50") == 0x50 < position(0, "1/0") == 1 << 32 < position(1, "0/0") == 1 << 56


def test_first_load_without_any_flush(lake):
    bronze = lake.bronze()
    new = bronze.since("item", Bookmark())
    assert lake.names(new.copy) == ["LOAD1", "LOAD2"] and new.changes == [] and new.begin == 0x50
    assert bronze.newest_micros == 77 and bronze.newest_lsn == 0x50
    assert bronze.bookmark_behind(new) == Bookmark(0x50, -1)
    lake.flush(0, "0/40", "0/60", "a")  # Has changes from before the copy, too.
    later = lake.bronze().since("item", Bookmark(0x50, -1))
    assert later.copy == [] and lake.names(later.changes) == ["a"] and later.begin == 0x50


def test_flushes_behind_the_copy_and_behind_the_bookmark(lake):
    lake.flush(0, "0/10", "0/40", "old")
    lake.flush(1, "0/40", "0/60", "a", {"table": 1, "file": {"path": "of another"}})
    lake.flush(2, "0/60", "0/70", "b", "c")
    bronze = lake.bronze()
    new = bronze.since("item", Bookmark())
    assert lake.names(new.changes) == ["a", "b", "c"]
    assert bronze.bookmark_behind(new) == Bookmark(0x70, 2)
    assert bronze.since("item", Bookmark(0x70, 2)).is_empty
    assert lake.names(bronze.since("item", Bookmark(0x60, 1)).changes) == ["b", "c"]


def test_truncation_and_newer_copy(lake):
    lake.flush(1, "0/10", "0/60", "a", {"truncate": {"lsn": 0x58, "ordinal": 3}})
    assert lake.bronze().since("item", Bookmark(0x55, 0)).emptied == (0x58, 3)
    assert lake.bronze().since("item", Bookmark(0x60, 1)).is_empty
    lake.copy("0/80", [{"path": "LOAD3", "snapshot": "0/70"}, {"path": "LOAD4"}], ".2")
    lake.copy("0/90", [], ".3", cut_off=True)
    bronze = lake.bronze()
    new = bronze.since("item", Bookmark(0x60, 1))
    assert lake.names(new.copy) == ["LOAD3", "LOAD4"] and (new.begin, new.copy_position, new.emptied) == (0x70, 0x80, None)
    # The stream has not passed the copy's last snapshot: it is taken again.
    assert bronze.since("item", bronze.bookmark_behind(new)).copy_position == 0x80


def test_copy_again_counts_until_there_is_one(lake):
    lake.flush(1, "0/10", "0/60", {"copy_again": {"lsn": 0x60, "ordinal": 0, "reason": "DDL"}})
    assert lake.bronze().since("item", Bookmark(0x50, 0)).copy_again == "DDL"
    lake.copy("0/80", [], ".2")
    assert lake.bronze().since("item", Bookmark(0x50, 0)).copy_again == ""


def test_archived_days_stand_for_their_flushes(lake):
    archive = {"tables": [ITEM], "files": [{"path": "day", "table": 0}], "flushes": [
        {**lake.head(1, "0/10", "0/60"), "events": [[0, 5], {"table": 0, "truncate": {"lsn": 0x5a, "ordinal": 1}}]},
        {**lake.head(2, "0/60", "0/65"), "events": [[0, 2]]}]}
    lake._write("archive/000000000001-000000000002.json", archive)
    lake.flush(3, "0/65", "0/70", "small")
    new = lake.bronze().since("item", Bookmark())
    assert lake.names(new.changes) == ["day", "small"] and new.emptied == (0x5a, 1)


def test_missing_flushes_are_an_error_where_they_are_needed(lake):
    lake.flush(5, "0/60", "0/70", "a")
    with pytest.raises(LookupError, match="flushes before 5"):
        lake.bronze().since("item", Bookmark())
    lake.flush(5, "0/45", "0/70", "a")  # All of it is behind the copy.
    assert lake.names(lake.bronze().since("item", Bookmark()).changes) == ["a"]
    with pytest.raises(LookupError, match="no complete copy of 'nothing'"):
        lake.bronze().since("nothing", Bookmark())
