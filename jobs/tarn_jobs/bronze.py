"""Which of Bronze's files hold what is new of a table; docs/formats/bronze.md. Reads manifests only, no rows."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from .lake import Lake, position


@dataclass(frozen=True)
class BronzeFile:
    """`shape`: the table's columns as the file has them."""
    path: str
    shape: dict = field(compare=False)


@dataclass
class TableChanges:
    """What is new of a table: rows from the position `begin` on. `copy`: files of a first copy that takes the place of what was there; `emptied`: the rows before this
    (ordering value, ordinal) are gone, as by a TRUNCATE; `copy_again`: why only a newer copy tells what the table holds."""
    copy: list[BronzeFile] = field(default_factory=list)
    copy_position: int = 0
    begin: int = 0
    changes: list[BronzeFile] = field(default_factory=list)
    emptied: tuple[int, int] | None = None
    copy_again: str = ""

    @property
    def replaces_all(self) -> bool:
        return bool(self.copy_position) or self.emptied is not None

    @property
    def is_empty(self) -> bool:
        return not (self.copy_position or self.changes or self.emptied)


@dataclass(frozen=True)
class Bookmark:
    """How far a target has come: every change before `lsn` is in it, and all of the manifests up to `sequence`."""
    lsn: int = 0
    sequence: int = -1


class Bronze:
    """A lake's Bronze as it is when this is made."""

    def __init__(self, lake: Lake):
        self.lake = lake
        self._flushes: dict[int, dict] = {}
        self._sequences = {int(name.removesuffix(".json")): name for name in lake.files.names(f"{lake.root}/_tarn/bronze/changes")
                           if name.endswith(".json")}
        self._archives = [tuple(map(int, name.removesuffix(".json").split("-"))) + (name,)
                          for name in lake.files.names(f"{lake.root}/_tarn/bronze/archive") if name.endswith(".json")]
        self.last_sequence = max([*self._sequences, *(last for _, last, _ in self._archives)], default=-1)
        newest = self._flush(self.last_sequence) if self.last_sequence >= 0 else None
        self.last_lsn = position(newest["epoch"], newest["last_commit"]) if newest else 0
        self._copies = self._newest_copies()
        # While nothing has changed since the copies there is no flush.
        self.newest_lsn = max([self.last_lsn, *(copy["position"] for copy in self._copies.values())])
        self.newest_micros = max([newest["last_commit_micros"] if newest else 0, *(copy["snapshot_micros"] for copy in self._copies.values())])

    def _flush(self, sequence: int) -> dict | None:
        """With `events` as (table, file path or mark)."""
        if sequence in self._flushes:
            return self._flushes[sequence]
        for first, last, name in self._archives:
            if first <= sequence <= last:
                self._read_archive(name)
                return self._flushes.get(sequence)
        if sequence not in self._sequences:
            return None
        flush = self.lake.json(f"bronze/changes/{self._sequences[sequence]}")
        tables = flush["tables"]
        flush["events"] = [(tables[event["table"]], event.get("file", {}).get("path"), event) for event in flush["events"]]
        self._flushes[sequence] = flush
        return flush

    def _read_archive(self, name: str) -> None:
        archive = self.lake.json(f"bronze/archive/{name}")
        tables, files = archive["tables"], archive["files"]
        for flush in archive["flushes"]:
            flush["events"] = [(tables[event["table"]], None, event) if isinstance(event, dict)
                               else (tables[files[event[0]]["table"]], files[event[0]]["path"], {}) for event in flush["events"]]
            self._flushes[flush["sequence"]] = flush

    def _newest_copies(self) -> dict[str, dict]:
        newest: dict[str, dict] = {}
        folder = f"{self.lake.root}/_tarn/bronze/loads"
        for name in self.lake.files.names(folder):
            if not name.endswith(".json"):
                continue
            load = json.loads(self.lake.files.read(f"{folder}/{name}"))
            if load.get("cut_off"):
                continue
            load["position"] = position(load["epoch"], load["snapshot"])
            load["least"] = min([load["position"], *(position(load["epoch"], file["snapshot"]) for file in load["files"] if "snapshot" in file)])
            table = load["table"]["lake_name"]
            if table not in newest or newest[table]["position"] < load["position"]:
                newest[table] = load
        return newest

    def bookmark_behind(self, new: TableChanges) -> Bookmark:
        """After these were taken in. A copy of several snapshots that the stream has not passed yet is taken once more."""
        if self.last_lsn >= new.copy_position:
            return Bookmark(self.last_lsn, self.last_sequence)
        return Bookmark(new.begin, self.last_sequence)

    def since(self, table: str, bookmark: Bookmark) -> TableChanges:
        """Errors: LookupError when Bronze has no copy of the table, or lacks a flush behind the bookmark."""
        found = TableChanges()
        copy = self._copies.get(table)
        if copy is None and bookmark.sequence < 0:
            raise LookupError(f"Bronze has no complete copy of '{table}' yet")
        from_position, after = bookmark.lsn, bookmark.sequence
        if copy is not None and copy["position"] > bookmark.lsn:
            found.copy = [BronzeFile(f"{self.lake.root}/{file['path']}", copy["table"]) for file in copy["files"]]
            found.copy_position = copy["position"]
            # What the copy read in several snapshots is completed by the changes since the least of them.
            from_position, after = copy["least"], -1
        found.begin = from_position
        paths: dict[str, dict] = {}
        is_gap = False
        for sequence in range(after + 1, self.last_sequence + 1):
            flush = self._flush(sequence)
            if flush is None:
                is_gap = True
                continue
            if is_gap and position(flush["epoch"], flush["after"]) > from_position:
                raise LookupError(f"Bronze lacks flushes before {sequence} that '{table}' needs: `tarn resync` gives a newer copy")
            is_gap = False
            if position(flush["epoch"], flush["last_commit"]) < from_position:
                continue
            for source, path, mark in flush["events"]:
                if source["lake_name"] != table:
                    continue
                if path is not None:
                    paths[f"{self.lake.root}/{path}"] = source
                elif "truncate" in mark and mark["truncate"]["lsn"] >= from_position:
                    found.emptied = (mark["truncate"]["lsn"], mark["truncate"]["ordinal"])
                elif "copy_again" in mark and mark["copy_again"]["lsn"] > found.copy_position:
                    found.copy_again = mark["copy_again"]["reason"]
        found.changes = [BronzeFile(path, shape) for path, shape in paths.items()]
        return found
