#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "hudi/scan_plan.h"
#include "storage/storage.h"

namespace tarn::hudi {

enum class TableType { kCopyOnWrite, kMergeOnRead };

/// A table's fixed properties (hoodie.properties). Tables that tarn writes have version 6, timeline layout 1
/// and no metadata table.
struct TableOptions {
  std::string name;      ///< [A-Za-z0-9_]+
  std::string database;  ///< "silver", "gold", "quarantine"; enters the checksum.
  TableType type = TableType::kMergeOnRead;
  /// Columns of the record key. Partitioned tables: the partition columns that belong to the key come first,
  /// and there are two or more (ComplexKeyGenerator); unpartitioned tables use NonpartitionedKeyGenerator.
  std::vector<std::string> key_fields;
  /// Columns that identify a row whatever partition it is in: the source's key. A subset of key_fields.
  std::vector<std::string> identity_fields;
  std::vector<std::string> partition_fields;  ///< Hive style, url-encoded; empty when unpartitioned.
  std::string ordering_field = "_lsn";
  std::shared_ptr<arrow::Schema> schema;  ///< Without the _hoodie_ columns.
  int64_t target_file_bytes = 120 << 20;
  /// Where our own sidecars (row positions, key index) live, outside the table's folder:
  /// `<lake>/_tarn/<database>/<name>`.
  std::string sidecar_folder;
  int version = 6;               ///< hoodie.table.version; tarn writes 6.
  bool has_meta_columns = true;  ///< Rows carry the five _hoodie_ columns.
};

/// What a commit did.
struct CommitResult {
  std::string instant;
  int64_t inserted = 0, updated = 0, deleted = 0;
  int64_t files = 0, bytes = 0;
  std::vector<std::string> touched_partitions;  ///< Partition paths, such as "tenant_id=3/_month=2026-11".
};

/// Key/value pairs for the commit's extraMetadata, such as the LSN range; "schema" is added by the table.
using CommitProperties = std::map<std::string, std::string>;

/// Rows to write. Upserts replace by identity; deletes name identities only.
struct ChangeSet {
  std::shared_ptr<arrow::RecordBatch> upserts;  ///< Table schema; one row an identity; may be null.
  /// Columns identity_fields (in that order, same types) then the ordering field; may be null. An identity
  /// that is in no file is passed over.
  std::shared_ptr<arrow::RecordBatch> deletes;
};

/// Bounds of the services; see architecture.md (Silver).
struct ServiceOptions {
  int64_t retain_micros =
      7LL * 24 * 3600 * 1'000'000;  ///< Time-travel window: slices that it needs are kept.
  int max_log_files = 50;           ///< A slice with more is compacted,
  double max_log_ratio = 0.3;       ///< or one whose logs pass this share of its base,
  int min_log_files = 10;  ///< when there are so many: a small base is not rewritten for each commit.
  int64_t max_log_bytes = 32 << 20;   ///< Also compacted: logs that cost readers so much memory, few or many.
  int max_groups_per_compaction = 8;  ///< File groups of one compaction commit.
  int keep_active_instants = 60;      ///< Archiving starts above twice this and ends here.
  int64_t small_file_bytes = 0;       ///< Clustering takes smaller base files; 0: half of target_file_bytes.
  int max_clusters = 30;              ///< New base files of one clustering, at most.
};

/// How a table is shared with other writers, tarn's or Spark's with optimistic_concurrency_control, LAZY
/// cleaning of failed writes, FileSystemBasedLockProvider and no metadata table. The first two must be the
/// same for all of them, with Spark hoodie.client.heartbeat.interval_in_ms and .tolerable.misses.
struct SharingOptions {
  int64_t heartbeat_micros = 60'000'000;    ///< How often a writer that is committing says that it lives.
  int tolerated_heartbeat_misses = 2;       ///< After so many it counts as dead.
  int64_t lock_wait_micros = 60'000'000;    ///< How long to wait for the table's lock.
  int64_t lock_lease_micros = 120'000'000;  ///< For how long a commit takes it at most; a service 5 times.
  int64_t foreign_lock_expiry_micros = 0;   ///< hoodie.write.lock.filesystem.expire of Spark; 0: never.
  const Clock* clock = &Clock::System();    ///< Outlives the table.
};

/// What keeps a table as it was at one commit: cleaning leaves the files of then, archiving the commit.
struct Savepoint {
  std::string instant;        ///< The commit that is kept.
  std::string user, comment;  ///< Who made it, and why.
  int64_t created_micros = 0;
  std::map<std::string, std::vector<std::string>> files;  ///< Names of base and log files, by partition path.
};

/// What a restore did.
struct RestoreResult {
  std::vector<std::string> rolled_back;  ///< Instants, newest first; empty when none was later.
  int64_t files = 0;                     ///< How many went.
};

class StagedChanges;
class SpooledChanges;

/// Streams a table's whole content in one instant, which appears whole at Finish or not at all.
class BulkWriter {
 public:
  virtual ~BulkWriter() = default;
  /// Rows of the table's schema, in any order of partitions. Memory is bounded whatever the number of rows.
  /// `run`: rows of one run lie together in the files, in their order, so that what is near in the source
  /// stays near; several may go on side by side.
  virtual Status Append(const arrow::RecordBatch& rows, int run = 0) = 0;
  virtual Result<CommitResult> Finish(const CommitProperties& properties) = 0;
};

/// A Hudi table, open for writing. Threads: one writer; PlanSnapshot from any thread, also meanwhile.
class Table {
 public:
  /// Makes an empty table; kAlreadyExists when there is one.
  static Result<std::unique_ptr<Table>> Create(storage::Storage* storage, std::string base_path,
                                               TableOptions options);
  /// Opens for writing: rolls a failed commit back, goes on with a clean or restore that was cut off, loads
  /// or rebuilds the key index. kUnsupported names a table version, layout, metadata table or way of merging
  /// that must not be written.
  /// `sharing`: without it nobody else may write the table. With it commits are optimistic: one that touches
  /// a file group, or inserts a key, that another commit wrote since the state was read fails with kConflict,
  /// which names both, and is rolled back. After any error the state is the newest one: look up again what
  /// the changes depended on, and commit under a new instant. Each writer has a storage with a staging
  /// folder, and a sidecar folder, of its own.
  static Result<std::unique_ptr<Table>> Open(storage::Storage* storage, std::string base_path,
                                             std::string sidecar_folder,
                                             std::optional<SharingOptions> sharing = std::nullopt);
  virtual ~Table() = default;

  /// Reads what others committed, if anything; nothing to do for a table that is not shared. Staged changes
  /// must be dropped before.
  virtual Status Refresh() = 0;

  virtual const TableOptions& options() const = 0;
  /// Newest completed commit, deltacommit or compaction; empty when none.
  virtual std::string LastInstant() const = 0;
  /// extraMetadata of the newest completed commit that has `key`; nullopt when none has.
  virtual Result<std::optional<std::string>> LastProperty(const std::string& key) const = 0;

  /// Begins a first load at `instant` (yyyyMMddHHmmssSSS, greater than any present).
  virtual Result<std::unique_ptr<BulkWriter>> BeginBulkInsert(const std::string& instant) = 0;

  /// Begins to replace the whole content at `instant` by rows of `schema`, which has every column of before
  /// (perhaps of another type) and may have more: new base files of the existing file groups, and new groups,
  /// in one ordinary commit. Readers of earlier instants see what was there, under the schema of then.
  virtual Result<std::unique_ptr<BulkWriter>> BeginReload(const std::string& instant,
                                                          std::shared_ptr<arrow::Schema> schema) = 0;

  /// One deltacommit (merge-on-read): log files for present groups, a base file for a partition's first rows.
  /// A row whose identity is in another partition is deleted there and inserted here, in the same commit.
  /// Durability: on return the commit is complete and survives a crash.
  virtual Result<CommitResult> Upsert(const std::string& instant, const ChangeSet& changes,
                                      const CommitProperties& properties) = 0;

  /// Replaces the whole content of the named partitions (paths; "" when unpartitioned) by `rows` in one
  /// ordinary commit: new base files of the existing file groups, without rows where a group ends empty, and
  /// new groups. Partitions that are not named keep their content. Both table types.
  virtual Result<CommitResult> ReplacePartitions(const std::string& instant,
                                                 const std::vector<std::string>& partitions,
                                                 const std::vector<std::shared_ptr<arrow::RecordBatch>>& rows,
                                                 const CommitProperties& properties) = 0;

  /// Empties the table in one ordinary commit, as ReplacePartitions of all its partitions.
  virtual Result<CommitResult> Truncate(const std::string& instant, const CommitProperties& properties) = 0;
  /// Paths of the partitions that have file groups; "" when unpartitioned.
  virtual std::vector<std::string> Partitions() const = 0;

  /// Adds nullable columns, widens int32 to int64 or float to double, lets a column be null; for what comes.
  virtual Status EvolveSchema(std::shared_ptr<arrow::Schema> schema) = 0;

  /// The newest rows of these identities, in their order; rows that do not exist have `found` false.
  /// `identities`: columns identity_fields.
  struct Lookup {
    std::vector<bool> found;
    std::shared_ptr<arrow::RecordBatch> rows;  ///< Table schema; null in every column where not found.
  };
  virtual Result<Lookup> LookupRows(const arrow::RecordBatch& identities) = 0;

  /// Compacts the groups that ask for it, at most max_groups_per_compaction, into one commit at `instant`
  /// with the properties given; nullopt when none asks. `everything` takes all groups with logs. What another
  /// writer planned, and wrote behind, is made before, at its plan's instant; the result is its when none
  /// asks.
  virtual Result<std::optional<CommitResult>> Compact(const std::string& instant,
                                                      const ServiceOptions& options,
                                                      const CommitProperties& properties,
                                                      bool everything) = 0;
  /// Puts small base files of a partition together into new file groups of up to target_file_bytes, in one
  /// replacecommit at `instant`, logs included; nullopt when no two are small. Rows, their keys and their
  /// commit times stay. Readers of earlier instants find the old groups until cleaning takes them.
  virtual Result<std::optional<CommitResult>> Cluster(const std::string& instant,
                                                      const ServiceOptions& options,
                                                      const CommitProperties& properties) = 0;
  /// Removes slices that no reader inside the window needs; returns how many files went.
  virtual Result<int64_t> Clean(const std::string& instant, const ServiceOptions& options) = 0;
  /// Moves old instants from the active timeline to the archive; returns how many.
  virtual Result<int64_t> Archive(const std::string& now_instant, const ServiceOptions& options) = 0;

  /// Keeps the table as it is at the completed commit `instant`: that state can be read, and restored, until
  /// DeleteSavepoint. Durability: on return it survives a crash. Errors: kNotFound when the active timeline
  /// has no such commit, or cleaning may have taken files of it; kAlreadyExists.
  virtual Result<Savepoint> CreateSavepoint(const std::string& instant, const std::string& user,
                                            const std::string& comment) = 0;
  /// Errors: kNotFound. What was kept by it alone goes with the next clean.
  virtual Status DeleteSavepoint(const std::string& instant) = 0;
  /// Oldest first.
  virtual Result<std::vector<Savepoint>> ListSavepoints() const = 0;
  /// Makes the table what it was at `savepoint`: every later commit is rolled back, newest first, under the
  /// instant `instant`. Staged changes must be dropped before. Once it has begun there is no way back: one
  /// that is cut off is gone on with by the next call or Open, and our readers see the restored state from
  /// its beginning. Errors: kNotFound when there is no such savepoint; kConflict names a later savepoint,
  /// which must be deleted first; kCorrupt names a file of the savepoint that is missing; kUnsupported a log
  /// file that has blocks from before and after. Nothing was done then.
  virtual Result<RestoreResult> Restore(const std::string& instant, const std::string& savepoint) = 0;

  /// Changes to be collected in memory for the next Upsert; empty. The table outlives it.
  virtual std::unique_ptr<StagedChanges> Stage() const = 0;
  /// The same for more changes than memory holds; one at a time. The table outlives it. Errors: kUnsupported
  /// for a table without a key index.
  virtual Result<std::unique_ptr<SpooledChanges>> Spool() = 0;
  /// Rolls back what a failed commit left, so that what is looked up is right; nothing when none failed.
  virtual Status Settle() = 0;

  /// Syncs the key index so that the next Open need not rebuild it.
  virtual Status Close() = 0;
};

/// What a reader wants of a merge-on-read table: the newest rows, or those of the base files alone, which are
/// as old as the newest compaction of each file group.
enum class TableView { kSnapshot, kReadOptimized };

/// Plans reads of one table, of ours or another's making (versions 6, 8 and 9). Caches what is immutable
/// (timeline entries, footers, positions, decoded logs). Threads: any.
class TableReader {
 public:
  static Result<std::unique_ptr<TableReader>> Open(const storage::Storage* storage, std::string base_path,
                                                   std::string sidecar_folder);
  virtual ~TableReader() = default;
  /// The table as of the newest completed instant at or before `as_of` (empty: the newest of all).
  /// Errors: kNotFound when the table did not exist then; kCorrupt names file and offset.
  virtual Result<std::shared_ptr<const ScanPlan>> PlanSnapshot(const std::string& as_of) = 0;
  /// The same of either view.
  virtual Result<std::shared_ptr<const ScanPlan>> Plan(const std::string& as_of, TableView view) = 0;
  /// The table with all that had completed when `completion` passed; under layout 1 commits count as
  /// completed at their instant.
  virtual Result<std::shared_ptr<const ScanPlan>> PlanUntil(const std::string& completion,
                                                            TableView view) = 0;
  /// A commit, and what of the table it touched.
  struct Commit {
    std::string instant, completion;
    std::map<std::string, std::vector<std::string>> groups;  ///< File ids by partition path.
  };
  /// Commits that completed in (begin, end], in that order; empty limits: all whose earlier state is kept.
  /// Compactions and clusterings, which change no row, are not among them. Errors: kNotFound when some that
  /// followed `begin` are archived, or what was before them cleaned away.
  virtual Result<std::vector<Commit>> CommitsBetween(const std::string& begin, const std::string& end) = 0;
  /// One file group alone, as it was when `completion` had passed, or just before.
  virtual Result<std::shared_ptr<const ScanPlan>> PlanGroup(const std::string& completion, bool before,
                                                            const std::string& partition,
                                                            const std::string& file_id) = 0;
  /// Completed instants that changed rows, oldest first, of the active timeline.
  virtual Result<std::vector<std::string>> Instants() = 0;
  virtual const TableOptions& options() const = 0;
};

/// yyyyMMddHHmmssSSS of a time, UTC.
std::string FormatInstant(int64_t micros);
/// The reverse, in microseconds; kInvalidArgument names what is not one.
Result<int64_t> ParseInstant(const std::string& instant);

}  // namespace tarn::hudi
