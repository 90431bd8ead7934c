"""What a lake of tarn's says of itself: versions, tables. docs/formats has the files."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

EPOCH_BITS = 56


def position(epoch: int, lsn: str) -> int:
    """The ordering value of an epoch and an LSN as PostgreSQL writes it."""
    high, low = lsn.split("/")
    return (epoch << EPOCH_BITS) + (int(high, 16) << 32) + int(low, 16)


@dataclass(frozen=True)
class Version:
    """All tables, each read as of `instant`, are at the position `lsn`; `commit_micros`: its time on the source."""
    instant: str
    lsn: int
    commit_micros: int
    tables: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A source table as the lake keeps it; names are the lake's."""
    name: str
    folder: str  # Of its Bronze files, below the lake.
    key: tuple[str, ...]
    columns: tuple[str, ...]
    tenant_column: str = ""
    month_of: str = ""
    append_only: bool = False
    source: dict = field(default_factory=dict, compare=False)

    @property
    def is_keyless(self) -> bool:
        """Without a key, but with REPLICA IDENTITY FULL: rows are told apart by their values."""
        return not self.append_only and not self.key


class Lake:
    """`files`: LocalFiles or SparkFiles."""

    def __init__(self, files, root: str):
        self.files, self.root = files, root.rstrip("/")

    def json(self, name: str) -> dict:
        return json.loads(self.files.read(f"{self.root}/_tarn/{name}"))

    def newest_version(self) -> Version:
        """Errors: LookupError when nothing was published yet."""
        names = [name for name in self.files.names(f"{self.root}/_tarn/versions") if name.endswith(".json")]
        if not names:
            raise LookupError(f"{self.root} has no lake version yet: wait until tarn's first copy is done")
        version = self.json(f"versions/{names[-1]}")
        return Version(version["instant"], position(version["epoch"], version["lsn"]), version["commit_micros"], tuple(version["tables"]))

    def tables(self) -> dict[str, Table]:
        """By name; those that were left by their source table are not among them."""
        found = {}
        for entry in self.json("tables.json")["tables"]:
            if entry.get("left"):
                continue
            table = table_of(entry["source"], entry["tenant_column"], entry["month_of"])
            found[table.name] = table
        return found


def table_of(source: dict, tenant_column: str = "", month_of: str = "") -> Table:
    columns = source["columns"]
    folder = f"bronze/{source['schema']}/{source['lake_name'] if source.get('named') else source['table']}"
    return Table(source["lake_name"], folder, tuple(c["lake_name"] for c in columns if c["is_key"]),
                 tuple(c["lake_name"] for c in columns), tenant_column, month_of, source["append_only"], source)
