"""Every fault point of the program, and how the sweep gets there. scripts/check_fault_points.py compares with src/."""

from __future__ import annotations

from dataclasses import dataclass

# Where a case begins: without a lake; with one that follows already, whose instants are three hours old, that was compacted
# several times and is near to archiving.
FRESH, OLD = "fresh", "old"
NEVER, ALWAYS = (False, False), (True, True)


@dataclass(frozen=True)
class Way:
    first: str = OLD
    later: str = OLD
    # A crash that must come before, at this point: for what only a recovery visits.
    after: str | None = None
    # At which visit the later crash is. Where one run has one visit at most: 1, and the whole way is gone twice.
    visit: int = 3
    # Whether steps of the stream are staged and committed later, on the way to the first and to the later crash; or each
    # is committed at once.
    staged: tuple[bool, bool] = (False, True)
    # Whether a table is to be copied again on the way to the crash.
    copies: bool = False
    # Whether every transaction comes in many pieces.
    pieces: bool = False
    # Whether the slot is dropped before.
    drops_slot: bool = False
    # Not `tarn run` but `tarn hudi` with this command for a table outside of lakes.
    command: str | None = None
    # Whether it is `tarn quarantine retry` that dies, of a table all of whose rows were refused until then.
    returns: bool = False
    # Whether days of Bronze are archived, and small files removed two days later: each start is two days after the one before.
    archives: bool = False


# Of the tables that a step commits side by side, the first may have nothing to write.
THIRD_COMMIT = "hudi.commit.before_complete:3"
COPY = Way(FRESH, FRESH)
CLUSTER = Way(FRESH, FRESH, command="cluster", visit=1)
SAVE, RESTORE = Way(FRESH, FRESH, command="savepoint", visit=1), Way(FRESH, FRESH, command="restore", visit=1)
COMMIT = Way(FRESH, OLD)  # Of a first copy, of a step of the stream.

WAYS: dict[str, Way] = {
    # First copy.
    "hudi.create.before_properties": COPY,
    "hudi.create.after_properties": COPY,
    "bronze.load.before_progress": COPY,
    "bronze.load.after_progress": COPY,
    "bronze.load.before_manifest": COPY,
    "bronze.load.after_manifest": COPY,
    "first_load.between_layers": COPY,
    "silver.load.between_tables": COPY,
    # A copy beside the stream.
    "copy.after_publications": Way(copies=True, visit=1),
    "copy.before_manifest": Way(copies=True, visit=1),
    "silver.take_copy.before_changes": Way(copies=True, visit=1),
    # Rows that come back from quarantine.
    "silver.return.between_tables": Way(FRESH, FRESH, returns=True, visit=1),
    "silver.return.before_publish": Way(FRESH, FRESH, returns=True, visit=1),
    # What a lake notes of itself, and tarn makes on the source.
    "lake.identity.after_write": Way(FRESH, drops_slot=True, visit=1),
    "silver.registry.after_write": COPY,
    "source.setup.before_publications": Way(FRESH, visit=1),
    "source.setup.after_publications": Way(FRESH, visit=1),
    "source.slot.after_create": Way(FRESH, drops_slot=True, visit=1),
    # A break in the stream: the slot was dropped.
    "source.break.before_manifest": Way(drops_slot=True, visit=1),
    "source.break.before_identity": Way(drops_slot=True, visit=1),
    # Before the source is told of a position that no manifest has.
    "source.confirmed.before_note": Way(visit=1),
    "source.confirmed.after_note": Way(visit=1),
    # A step of the stream.
    "bronze.flush.before_files": Way(),
    "bronze.flush.between_closes": Way(),
    "bronze.flush.before_intent": Way(),
    "bronze.flush.after_intent": Way(),
    "bronze.flush.between_files": Way(),
    "bronze.flush.before_manifest": Way(),
    "bronze.flush.after_manifest": Way(),
    # The archive of closed days.
    "bronze.archive.before_manifest": Way(archives=True, visit=1),
    "bronze.archive.after_manifest": Way(archives=True, visit=1),
    "bronze.archive.between_removals": Way(archives=True, after="bronze.archive.after_manifest", visit=1),
    "runner.between_layers": Way(staged=NEVER),
    "runner.before_staged_commit": Way(staged=ALWAYS),
    "silver.apply.between_tables": Way(),
    "silver.spooled.between_tables": Way(pieces=True, staged=NEVER, visit=1),
    "hudi.spooled.before_commit": Way(pieces=True, staged=NEVER, visit=1),
    "silver.apply.before_run": Way(staged=NEVER),
    "lake_version.before_publish": COMMIT,
    "lake_version.after_publish": COMMIT,
    # A commit of a table.
    "hudi.commit.after_positions": COMMIT,
    "hudi.commit.after_partitions": COMMIT,
    "hudi.commit.after_logs": COMMIT,
    "hudi.commit.after_bases": COMMIT,
    "hudi.commit.before_requested": COMMIT,
    "hudi.commit.after_requested": COMMIT,
    "hudi.commit.after_inflight": COMMIT,
    "hudi.commit.before_complete": COMMIT,
    "hudi.commit.after_complete": COMMIT,
    # Services.
    "hudi.compaction.after_requested": Way(),
    "hudi.compaction.after_inflight": Way(),
    "hudi.compaction.before_complete": Way(),
    "hudi.compaction.after_complete": Way(),
    "hudi.clean.before_requested": Way(),
    "hudi.clean.after_requested": Way(),
    "hudi.clean.after_inflight": Way(),
    "hudi.clean.after_files": Way(),
    "hudi.clean.before_complete": Way(),
    "hudi.clean.after_complete": Way(),
    "hudi.archive.before_file": Way(),
    "hudi.archive.after_file": Way(),
    "hudi.archive.after_instant": Way(),
    # Of tables outside of lakes.
    "hudi.savepoint.before_inflight": SAVE,
    "hudi.savepoint.after_inflight": SAVE,
    "hudi.savepoint.after_complete": SAVE,
    "hudi.savepoint.after_removed": Way(FRESH, FRESH, command="delete", visit=1),
    "hudi.shared.after_heartbeat": CLUSTER,
    "hudi.shared.after_lock": CLUSTER,
    "hudi.restore.before_requested": RESTORE,
    "hudi.restore.after_requested": RESTORE,
    "hudi.restore.after_inflight": RESTORE,
    "hudi.restore.after_unpublished": Way(FRESH, FRESH, command="restore"),
    "hudi.restore.after_files": Way(FRESH, FRESH, command="restore"),
    "hudi.restore.after_instant": Way(FRESH, FRESH, command="restore"),
    "hudi.restore.before_complete": RESTORE,
    "hudi.restore.after_complete": RESTORE,
    # Recovery itself.
    "hudi.rollback.after_requested": Way(after=THIRD_COMMIT, visit=1),
    "hudi.rollback.after_inflight": Way(after=THIRD_COMMIT, visit=1),
    "hudi.rollback.after_files": Way(after=THIRD_COMMIT, visit=1),
    "hudi.rollback.after_instant": Way(after=THIRD_COMMIT, visit=2),
    "hudi.rollback.after_complete": Way(after=THIRD_COMMIT, visit=1),
    "hudi.recovery.after_service": Way(after="hudi.clean.after_inflight", visit=1),
}
