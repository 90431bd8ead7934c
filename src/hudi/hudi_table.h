#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "hudi/base_file_writer.h"
#include "hudi/commit_metadata.h"
#include "hudi/decoded_log.h"
#include "hudi/file_view.h"
#include "hudi/heartbeat.h"
#include "hudi/key_index.h"
#include "hudi/log_block.h"
#include "hudi/planned_compaction.h"
#include "hudi/record_key.h"
#include "hudi/restore_plan.h"
#include "hudi/savepoint.h"
#include "hudi/slice.h"
#include "hudi/spooled_changes.h"
#include "hudi/staged_changes.h"
#include "hudi/table.h"
#include "hudi/table_lock.h"
#include "hudi/timeline.h"

namespace tarn::hudi {

/// A file group as the writer knows it: its newest slice.
struct WriterGroup {
  uint32_t partition = 0;  ///< Index of its partition.
  std::string file_id;
  BaseFile base;
  std::vector<LogFile> logs;
  int64_t log_bytes = 0;
  std::string planned = {};  ///< Instant of another writer's plan to compact it; empty when there is none.
  bool is_planned() const { return planned > base.instant; }
  /// What new logs are named by.
  const std::string& log_instant() const { return is_planned() ? planned : base.instant; }
  int64_t total_bytes() const { return base.size_bytes + log_bytes; }
};

/// A log file that a commit will publish, with its positions.
struct NewLog {
  uint32_t group = 0;
  LogFile file;
  std::string path, bytes;
  std::unique_ptr<storage::StagedFile> staged;  ///< Has the bytes instead, when they were too many to wait.
  std::string sidecar_path, sidecar_bytes;
};

/// A base file that a commit will publish. `group`: its ordinal, or kNewGroup.
struct NewBase {
  static constexpr uint32_t kNewGroup = UINT32_MAX;
  uint32_t group = kNewGroup;
  std::unique_ptr<BaseFileWriter> file;
};

/// Everything one commit publishes.
struct CommitContent {
  std::string instant;
  std::string compaction_plan;  ///< Avro container; not empty makes it a compaction.
  bool is_planned = false;      ///< A compaction whose plan is there already.
  bool is_compaction() const { return is_planned || !compaction_plan.empty(); }
  CommitMetadata metadata;
  std::vector<NewLog> logs;
  std::vector<NewBase> bases;
  std::string clustering_plan;  ///< Avro container; not empty makes it a clustering.
  bool is_clustering() const { return !clustering_plan.empty(); }
  /// Of a shared table, what must hold when it completes: nobody else inserted these identities,
  std::vector<Hash128> fresh;
  std::set<std::string> whole_partitions;  ///< wrote anything to these partitions,
  bool is_whole_table = false;             ///< or to any.
  bool is_taken = false;  ///< Another writer has the instant: what is there of it is not ours.
};

/// See Table. The file groups and the key index are those of the newest commit.
class HudiTable : public Table {
 public:
  HudiTable(storage::Storage* storage, std::string base_path, std::optional<SharingOptions> sharing);
  static Status WriteNewTable(storage::Storage& storage, const std::string& base_path,
                              const TableOptions& options);
  /// Reads the table's state and rolls failed commits back.
  Status Start(const std::string& sidecar_folder);

  const TableOptions& options() const override { return options_; }
  std::string LastInstant() const override { return last_commit_; }
  Result<std::optional<std::string>> LastProperty(const std::string& key) const override;
  Result<std::unique_ptr<BulkWriter>> BeginBulkInsert(const std::string& instant) override;
  Result<std::unique_ptr<BulkWriter>> BeginReload(const std::string& instant,
                                                  std::shared_ptr<arrow::Schema> schema) override;
  Result<CommitResult> Upsert(const std::string& instant, const ChangeSet& changes,
                              const CommitProperties& properties) override;
  Result<CommitResult> ReplacePartitions(const std::string& instant,
                                         const std::vector<std::string>& partitions,
                                         const std::vector<std::shared_ptr<arrow::RecordBatch>>& rows,
                                         const CommitProperties& properties) override;
  Result<CommitResult> Truncate(const std::string& instant, const CommitProperties& properties) override {
    return ReplacePartitions(instant, Partitions(), {}, properties);
  }
  std::vector<std::string> Partitions() const override;
  Status EvolveSchema(std::shared_ptr<arrow::Schema> schema) override;
  Result<Lookup> LookupRows(const arrow::RecordBatch& identities) override;
  Result<std::optional<CommitResult>> Compact(const std::string& instant, const ServiceOptions& options,
                                              const CommitProperties& properties, bool everything) override;
  Result<std::optional<CommitResult>> Cluster(const std::string& instant, const ServiceOptions& options,
                                              const CommitProperties& properties) override;
  Result<int64_t> Clean(const std::string& instant, const ServiceOptions& options) override;
  /// What a clean takes away: files by partition, which no reader at or after `retained` needs.
  struct CleanPlan {
    std::string instant, retained, last_commit;
    std::map<std::string, std::vector<std::string>> files;
  };
  Result<int64_t> Archive(const std::string& now_instant, const ServiceOptions& options) override;
  Result<Savepoint> CreateSavepoint(const std::string& instant, const std::string& user,
                                    const std::string& comment) override;
  Status DeleteSavepoint(const std::string& instant) override;
  Result<std::vector<Savepoint>> ListSavepoints() const override;
  Result<RestoreResult> Restore(const std::string& instant, const std::string& savepoint) override;
  std::unique_ptr<StagedChanges> Stage() const override;
  Result<std::unique_ptr<SpooledChanges>> Spool() override;
  Status Settle() override;
  Status Refresh() override;
  Status Close() override;

 private:
  friend class HudiBulkWriter;
  friend class HudiStagedChanges;
  friend class HudiSpooledChanges;
  friend class SpooledCommit;

  // Opening and recovery (hudi_table.cc, recovery.cc).
  Status LoadState();
  Status LoadSchema(const Timeline& timeline);
  Status UseSchema(std::shared_ptr<arrow::Schema> schema);
  Status Recover();
  /// Goes on with cleans and restores, forgets rollbacks and savepoints that did not come about.
  Status RecoverServices();
  Status RollBack(const PendingAction& failed);
  /// What Spark's writers keep of an instant: names of their files, and a sign of life.
  Status RemoveMarkers(const std::string& instant);
  Status LoadIndex();
  Status RebuildIndex();
  Status IndexGroup(uint32_t ordinal);
  std::string GroupList() const;
  std::string IndexFolder() const { return options_.sidecar_folder + "/keys"; }
  std::string SpoolFolder() const { return options_.sidecar_folder + "/spool"; }

  // Cleaning (clean.cc).
  Result<int64_t> FinishClean(const CleanPlan& plan);
  /// Below which instant there is nothing to clean, as long as the savepoints are these.
  struct NextClean {
    std::string retained;  ///< Empty: not known.
    std::set<std::string> savepoints;
  };
  /// Finishes a clean that was cut off.
  Status GoOnCleaning(const PendingAction& pending);
  Status RemoveFiles(const std::string& partition, const std::vector<std::string>& names);

  // Restoring (restore.cc).
  /// `newer`: the files that go, by instant.
  Result<RestoreResult> FinishRestore(const RestorePlan& plan,
                                      const std::map<std::string, FilesByPartition>& newer);
  /// Finishes a restore that was cut off.
  Status GoOnRestoring(const PendingAction& pending);
  /// Removes what is left of an instant but its data.
  Status RemovePending(const std::string& instant);

  // Committing (commit.cc).
  Status NeedIndex() const;  ///< kUnsupported for a table that cannot take single changes.
  Status Begin(const std::string& instant);
  Status Publish(CommitContent& content);
  Result<CommitResult> Complete(CommitContent& content, const CommitProperties& properties);
  /// Completes the metadata.
  void Describe(CommitContent& content, const CommitProperties& properties) const;
  static CommitResult ResultOf(const CommitContent& content);
  std::string ActionOf(const CommitContent& content) const;
  /// Puts a state file of the commit: "requested", "inflight" or "".
  Status PutState(const CommitContent& content, const char* state, const std::string& bytes);
  Status Announce(const CommitContent& content);
  Status PublishData(CommitContent& content);
  Status PutCompleted(const CommitContent& content);

  // Sharing with other writers (shared_commit.cc, shared_recovery.cc).
  Status PublishShared(CommitContent& content);
  /// After a commit of a shared table: reads what others committed before it.
  void CatchUp();
  Status AnnounceShared(CommitContent& content);
  Status PublishAlive(CommitContent& content, const Heartbeat& heartbeat);
  Status CompleteAlive(CommitContent& content, const Heartbeat& heartbeat);
  /// Under the lock, kConflict when another writer's commit since the state was read meets this one.
  Status CheckConflicts(const Timeline& timeline, const CommitContent& content);
  /// The table's lock, for a shared one; null for another.
  Result<std::unique_ptr<TableLock>> LockIfShared(int64_t lease_micros) const;
  /// The same for a service.
  Result<std::unique_ptr<TableLock>> LockForService() const;
  Status RecoverShared();
  Result<bool> IsAlive(const PendingAction& pending) const;
  /// What no living writer goes on with.
  Result<std::vector<PendingAction>> AbandonedIn(const Timeline& timeline) const;
  /// Takes logs that only commits which are under way have written out of the groups.
  Status DropUnfinishedLogs(const Timeline& timeline);
  void Apply(CommitContent& content);
  uint32_t PartitionIndex(const std::string& path);
  Result<std::unique_ptr<BaseFileWriter>> OpenBase(const std::string& partition, const std::string& file_id,
                                                   const std::string& instant, int ordinal);
  WriteStat BaseStat(const BaseFileWriter& file, const std::string& prev_commit) const;
  SliceContext Context(const Timeline* timeline);
  Slice SliceOf(const WriterGroup& group) const;
  std::string HoodiePath(const std::string& name) const { return base_path_ + "/.hoodie/" + name; }
  std::string FolderOf(uint32_t partition) const;

  // Upserts (upsert.cc).
  struct GroupChange {
    std::vector<int64_t> rows;
    std::vector<DeleteRecord> deletes;
    Roaring replaced;
    int64_t inserts = 0, updates = 0;
  };
  struct UpsertPlan;
  /// Has partitions with very many new rows put them into base files of their own.
  void PlanBulk(const arrow::RecordBatch& rows, const std::vector<uint32_t>& partitions, UpsertPlan* plan);
  Status PlanUpserts(const arrow::RecordBatch& rows, UpsertPlan* plan);
  Status PlanDeletes(const arrow::RecordBatch& rows, UpsertPlan* plan);
  void PlanDelete(const RowPlace& place, const std::string* pieces, int64_t ordering, UpsertPlan* plan);
  uint32_t GroupForInserts(uint32_t partition, UpsertPlan* plan);
  Status WriteLogs(const std::string& instant, const UpsertPlan& plan, const arrow::RecordBatch* rows,
                   CommitContent* content);
  Status WriteFirstBases(const std::string& instant, UpsertPlan& plan, const arrow::RecordBatch& rows,
                         CommitContent* content);

  // Compactions that others planned (planned_compaction.cc).
  /// Whether logs stand behind a plan: then readers know them by the plan alone, and it must stay.
  Result<bool> IsWrittenBehind(const std::string& planned) const;
  /// Takes back what was begun of making a planned compaction, but not the plan.
  Status ReturnToPlan(const std::string& planned);
  Status LoadPlans(const Timeline& timeline);
  Result<CommitResult> ExecutePlan(const PlannedCompaction& plan, const CommitProperties& properties);
  /// All of them, oldest first; nullopt when there is none.
  Result<std::optional<CommitResult>> ExecutePlans(const CommitProperties& properties);

  // Compaction, clustering and replacement (compaction.cc, clustering.cc, replace.cc).
  struct KeyedRow {
    Hash128 identity;
    uint32_t position;
  };
  std::vector<uint32_t> ChooseGroups(const ServiceOptions& options, bool everything) const;
  Result<std::string> CompactionPlan(const std::vector<uint32_t>& groups) const;
  /// A slice that becomes a base file, and whose.
  struct SliceWork {
    std::string partition, file_id;
    Slice slice;
    uint32_t group = NewBase::kNewGroup;
  };
  SliceWork WorkOf(uint32_t ordinal) const {
    const WriterGroup& group = groups_[ordinal];
    return {partitions_[group.partition], group.file_id, SliceOf(group), ordinal};
  }
  /// `keys`: where they stand then; null: nobody asks.
  Status CompactSlice(const SliceWork& work, CommitContent* content, std::vector<KeyedRow>* keys);
  /// A new base file of a group, without some of its rows.
  struct Rewrite {
    Roaring gone;                          ///< Positions in the base file that do not count any more,
    std::vector<Hash128> gone_keys;        ///< and keys of rows in logs.
    std::unique_ptr<BaseFileWriter> file;  ///< Made unless given. Not closed: more may follow.
    int64_t rows_before = 0;               ///< Of the old base file.
    int64_t rows_kept = 0;                 ///< Of those.
  };
  /// `placed`: told where each row stands; null: nobody asks.
  Status RewriteSlice(const std::string& instant, const SliceWork& work, int file_ordinal, Rewrite* rewrite,
                      const std::function<void(const Hash128&, uint32_t position)>& placed);
  /// Groups that become one, each of two or more of a partition.
  std::vector<std::vector<uint32_t>> ChooseClusters(const ServiceOptions& options) const;
  Result<std::string> ClusteringPlan(const std::vector<std::vector<uint32_t>>& clusters) const;
  Status WriteCluster(const std::vector<uint32_t>& cluster, CommitContent* content);
  struct Replacement;
  Status ReplacePartition(Replacement* replacement, uint32_t partition);
  Status AppendReplacing(Replacement* replacement, uint32_t partition, size_t batch);
  Status NextReplacingFile(Replacement* replacement, uint32_t partition);
  Status CloseReplacingFile(Replacement* replacement);
  Status ReplaceIndex(Replacement* replacement, const std::vector<uint32_t>& partitions, UpsertPlan* moves);
  /// Whether a group's newest slice has no rows at all.
  Result<bool> IsEmpty(WriterGroup& group);
  Status EraseGroupIdentities(uint32_t ordinal, std::vector<Hash128>* erased);

  storage::Storage* storage_;
  const std::string base_path_;
  TableOptions options_;
  std::string avro_schema_;       ///< Of options_.schema.
  std::string avro_meta_schema_;  ///< The same with _hoodie_ columns.
  KeyFormat keys_;
  KeyIndex index_;
  LogCache logs_;
  std::string last_instant_;  ///< Greatest of any action.
  std::string last_commit_;
  std::string
      horizon_;  ///< Oldest instant that cleaning kept; every commit repeats it, for cleans are archived.
  NextClean next_clean_;
  MergeRules rules_;
  std::vector<PlannedCompaction> plans_;  ///< Oldest first.
  std::vector<WriterGroup> groups_;
  std::unordered_map<std::string, uint32_t> group_index_;  ///< By file id.
  std::vector<std::string> partitions_;
  std::vector<std::vector<uint32_t>> partition_groups_;
  std::vector<bool> partition_present_;  ///< Its metadata file is there.
  std::unordered_map<std::string, uint32_t> partition_index_;
  bool needs_recovery_ = false;  ///< A commit failed half-way; the next one rolls it back first.
  bool has_index_ = false;
  const std::optional<SharingOptions> sharing_;
  /// Of a shared table: completed commits and plans that the state was read with, or that are our own.
  std::set<std::string> known_instants_;
  std::set<std::string> failed_instants_;  ///< Our own that are to be rolled back.
  bool bulk_open_ = false;                 ///< A bulk insert owns the table until it ends.
};

/// Runs `task` for 0..count-1 on a few threads, so that many syncs share the journal; gives the first error.
Status RunTogether(size_t count, const std::function<Status(size_t)>& task);

/// A service may hold a shared table's lock for so many leases of a commit.
inline constexpr int64_t kServiceLeases = 5;

/// The write token of our base files: partition-stage-attempt.
inline constexpr const char* kWriteToken = "0-0-0";

}  // namespace tarn::hudi
