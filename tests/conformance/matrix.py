"""Which tables tarn writes for other programs to read, what is to happen to them, and who reads what."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass

BUNDLES = ("0.15.0", "1.2.0")
CHANGES = ("add", "widen_int", "widen_float", "make_nullable")
ROWS = ("upsert",) * 5 + ("insert", "delete", "nothing")
# The services of merge-on-read tables, and what happens to writers.
SERVICES = ("compact", "compact_all", "cluster", "clean", "archive", "fail", "reopen")
WHOLE = ("replace", "replace_all", "delete_partition", "truncate", "reload")
LARGE = ("spool", "spool_truncate")
EVERYTHING = ROWS * 2 + SERVICES + WHOLE + LARGE
COW = ("replace",) * 4 + ("cluster", "delete_partition", "truncate", "reload", "replace_all", "clean", "archive", "reopen")


@dataclass(frozen=True)
class Case:
    """One table; a bulk insert or a first insert stands before the steps, which come at random."""
    name: str
    type: str = "mor"
    identities: tuple[str, ...] = ("id",)
    partitions: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()  # Partitions and identities, where it does not say.
    changes: tuple[str, ...] = ()
    steps: tuple[str, ...] = EVERYTHING
    last: tuple[str, ...] = ()
    commits: int = 12
    numbers: int = 300
    target_file_bytes: int = 60_000
    ancient: bool = False
    changed_by_spark: bool = False

    def spec(self, seed: int) -> dict:
        keys = self.keys or self.partitions + self.identities
        # Something must be there for Spark to change.
        last = self.last + (("insert", "upsert") if self.type == "mor" else ("load",)) if self.changed_by_spark else self.last
        return asdict(self) | {"keys": keys, "last": last, "seed": random.Random(f"{seed} {self.name}").randrange(1 << 63)}

    def traits(self) -> set[str]:
        """What of the matrix it is good for."""
        depth = ("none", "one level", "several levels")[min(len(self.partitions), 2)]
        kinds = {"ancient" if self.ancient else "modern", f"{self.type}: changed by Spark" if self.changed_by_spark else ""}
        return {f"{self.type}: {trait}" for trait in (f"partitions {depth}", f"key {'+'.join(self.identities)}", *self.steps, *self.last)} | set(self.changes) | kinds


LEVELS = ("day", "open", "shard")
CASES = (
    Case("mor_flat", changes=("add",), changed_by_spark=True),
    Case("mor_region", partitions=("region",), changes=("widen_int",)),
    Case("mor_levels", partitions=("region", "open"), changes=("make_nullable",)),
    Case("mor_beside_key", partitions=("shard", "day"), keys=("shard", "id"), changes=("widen_float",)),
    Case("mor_text_key", identities=("code",), changes=("add", "widen_float")),
    Case("mor_two_keys", identities=("id", "code"), last=("compact_all",)),
    Case("mor_shard", partitions=("shard",), identities=("code",), changes=("add",)),
    Case("mor_logs", partitions=("region",), steps=ROWS, commits=16),
    Case("mor_compacted", partitions=("shard",), steps=ROWS + ("compact", "compact_all", "nothing"), changed_by_spark=True),
    Case("mor_replaced", partitions=("shard", "open"), steps=("upsert",) * 2 + WHOLE, last=("upsert", "compact_all")),
    Case("mor_spooled", partitions=("region",), steps=("upsert", "delete") + LARGE * 2, numbers=1500, last=("compact_all",)),
    Case("mor_archived", steps=ROWS + ("clean", "archive", "compact_all") * 2, last=("clean", "archive", "upsert"), commits=30),
    Case("mor_rolled_back", partitions=("shard",), steps=("upsert", "fail", "fail", "reopen", "compact", "spool"), commits=14),
    Case("mor_evolved", partitions=("shard",), changes=CHANGES + ("add",), steps=ROWS + ("compact", "reload", "replace"), commits=18, changed_by_spark=True),
    Case("mor_flat_evolved", changes=("make_nullable", "widen_float", "add", "widen_int"), steps=ROWS + ("compact_all", "spool"), commits=16),
    Case("mor_many_groups", partitions=("shard",), target_file_bytes=4000, changed_by_spark=True),
    Case("mor_clustered", partitions=("shard",), target_file_bytes=4000, steps=ROWS + ("cluster",) * 3 + ("clean", "archive", "compact_all"),
         last=("insert", "cluster"), commits=20, changed_by_spark=True),
    Case("mor_ancient", ancient=True, steps=ROWS + ("compact_all", "replace"), changes=("add",)),
    Case("cow_flat", "cow", steps=COW, changed_by_spark=True),
    Case("cow_region", "cow", partitions=("region",), steps=COW, changes=("add",)),
    Case("cow_levels", "cow", partitions=LEVELS, steps=COW, changes=("widen_int", "make_nullable"), numbers=100, changed_by_spark=True),
    Case("cow_text_key", "cow", identities=("code",), steps=COW, changes=("add", "widen_float"), target_file_bytes=8000),
)


def drawn(seed: int) -> list[Case]:
    """Some of the cases, which together have every trait: others with another seed."""
    order = list(CASES)
    random.Random(seed).shuffle(order)
    missing, chosen = set().union(*(case.traits() for case in CASES)), []
    while missing:
        best = max(order, key=lambda case: len(case.traits() & missing))
        chosen.append(best)
        missing -= best.traits()
    return chosen


def for_spark_to_change(cases: list[Case], everything: bool) -> list[Case]:
    """All that Spark is let change, or one of each type."""
    allowed = [case for case in cases if case.changed_by_spark]
    return allowed if everything else list({case.type: case for case in allowed}.values())


@dataclass(frozen=True)
class Exclusion:
    """What a reader cannot do. A view of which it says so is left out; what it reads nevertheless is judged."""
    reader: str
    says: str  # Part of its error; empty when its reads are compared otherwise.
    reason: str


EXCLUSIONS = (
    Exclusion("Spark 0.15.0", "", "columns of text that partition a table come from the folders' names where there are no logs: "
              "null, the empty text and __HIVE_DEFAULT_PARTITION__ are null"),
    Exclusion("Spark 1.2.0", "", "the same in every view; its increments leave the escapes of folders in"),
    Exclusion("Spark 0.15.0 writes", "", "by keys of several columns only where no value has a comma, colon or percent sign, which tarn escapes in keys"),
    Exclusion("Spark 0.15.0 writes", "", "upserts by key only behind a compaction: its indexes look at base files alone"),
    Exclusion("Spark 0.15.0 writes", "", "with hoodie.parquet.writelegacyformat.enabled=true, without which its clustering writes decimals that its next update cannot read"),
    Exclusion("hudi-rs", "partial-update column", "it does not merge logs with base files whose int became a long (or float a double) since"),
    Exclusion("hudi-rs", "is declared as non-nullable but contains null", "it merges logs by the base file's schema, where a column that became nullable "
              "since takes no null; commits of tarn tell the schema of now, and Spark reads by that"),
)


def excluded(reader: str, wrong: list[str]) -> str:
    """The reason why what is wrong is the reader's; empty when it is not."""
    return next((one.reason for one in EXCLUSIONS if one.says and one.reader == reader and any(one.says in line for line in wrong)), "")
