#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "bronze/change_log.h"
#include "catalog/lake_version.h"
#include "catalog/table_registry.h"
#include "pipeline/options.h"
#include "pipeline/silver_table.h"
#include "pipeline/tail.h"

namespace tarn::pipeline {

/// What must be applied to bring Silver from one position to the next.
struct SilverStep {
  std::vector<bronze::TableRows> events;
  SourcePosition position;  ///< Of the newest transaction inside.
  int64_t commit_micros = 0;
  int64_t rows = 0;
  bool open = false;  ///< More of the same transaction follows: nothing is published yet.
};

/// All tables of Silver, which move together: a step is staged in memory, where readers see it at once, and
/// later committed with others; or it is applied, which ends with a published lake version. Threads: one
/// writer, which applies several tables at once on threads that it joins; Counts and PinTail from any.
class SilverLayer : public TailSource {
 public:
  static Result<std::unique_ptr<SilverLayer>> Open(storage::Storage* storage,
                                                   const catalog::LakeLayout& layout,
                                                   const PipelineOptions& options, const Clock* clock,
                                                   catalog::LakeVersions* versions);

  InstantClock* instants() { return &instants_; }
  /// What models/silver says of a table; null when it says nothing. Threads: any.
  std::shared_ptr<const SilverModel> ModelOf(const std::string& lake_name) const;
  catalog::TableRegistry& registry() { return registry_; }
  SilverTable* Find(const std::string& lake_name);

  /// Adds a table, or opens it when the lake has it; it is a member once the source position passes its
  /// start.
  Status AddTable(const catalog::RegisteredTable& table);
  /// Ends a first copy that went to the table itself: it has what was before `lsn`. Threads: several tables'
  /// at once, before anything else is done with them.
  Status FinishLoad(const std::string& name, int64_t lsn);
  /// Forgets a table that no version of the lake has; its files are the caller's. SaveRegistry makes it last.
  void RemoveTable(const std::string& name);
  Status SaveRegistry();
  /// Lets held tables try again, unless only a newer copy helps: the position from which Bronze must be read
  /// for them, or position() without any.
  SourcePosition ReleaseHeld();

  /// Tables whose rows were made by another SELECT than models/silver has now. They take no changes until
  /// TakeCopy.
  const std::set<std::string>& outdated() const { return outdated_; }

  /// Marks a table as to be copied again, and durably so; `hold`: what it has cannot be relied on.
  Status MarkCopyAgain(const std::string& name, const std::string& reason, bool hold);
  /// Has tables copied again that hold a part of what will come once more, and have no key.
  Status MarkHalfApplied();
  /// Tables that must be copied again, with the reason.
  std::map<std::string, std::string> WantedCopies() const;
  /// Tables that are copied for the first time, with what statements that name them are told. True when they
  /// are others than before.
  bool SetComing(std::map<std::string, std::string> coming);
  /// What the source's storage of tables, by lake name, is now, durably.
  Status NoteStorages(const std::vector<std::pair<std::string, std::string>>& storages);
  /// Rises whenever the registry is written.
  int64_t registry_changes() const { return registry_changes_; }
  /// The newest position of this epoch at which a copy is ahead of the lake's version, so that its table is
  /// no member yet; none when all are. Bronze may lack what other tables have up to there.
  std::optional<SourcePosition> AwaitedCopy(int64_t epoch) const;
  /// Replaces the table's content by a copy (its batches come from `read`), or makes the table; a member from
  /// the copy's position on. Nothing may be staged. The changes since must follow. Errors: kUnsupported and
  /// kInvalidArgument when the copy cannot take the place; then the table is held.
  using CopyRows = std::function<Status(std::shared_ptr<arrow::RecordBatch>)>;
  Status TakeCopy(const catalog::RegisteredTable& table, const SourcePosition& position,
                  const std::function<Status(const CopyRows&)>& read);

  /// Applies what is newer than each table's own position (a step may come again after a crash), then
  /// publishes. A table that cannot follow is held with the reason; the others go on. Steps of a transaction
  /// that goes on are kept aside, and become one commit of each table with its last one; so is a step that is
  /// more than one commit can hold otherwise. Without Silver's files (PipelineOptions::with_silver) this and
  /// Stage only follow the tables' shapes, and versions are published without tables.
  Status Apply(const SilverStep& step);
  /// Shows the step to readers at once and keeps it for the next commit. False, and nothing done, when it
  /// cannot be staged (a truncation, a new shape, part of a transaction, a table that must be held): then
  /// CommitStaged and Apply. Errors leave the layer unusable until DropStaged.
  Result<bool> Stage(const SilverStep& step);
  bool has_staged() const { return staged_.has_value(); }
  /// Whether a transaction has begun of which more must follow.
  bool has_spooled() const { return spooling_; }
  int64_t staged_bytes() const;
  /// Commits what is staged and publishes it. Bronze must hold all of it.
  Status CommitStaged();
  /// Forgets what is staged or kept aside: it comes again.
  Status DropStaged();
  Result<std::shared_ptr<const TailState>> PinTail() override;

  /// Judges rows of a table's quarantine again by its model as the folder has it now, which holds for what
  /// comes from here on, too, and commits and publishes what enters Silver: rows that are good now. Nothing
  /// may be staged. `rule`: only rows that this rule refused; empty: all. Errors: kInvalidArgument names a
  /// table or rule that is not known, and what is wrong with a model; kUnavailable when the table is held;
  /// nothing has changed then.
  Result<ReturnedRows> ReturnRows(const std::string& name, const std::string& rule,
                                  const ReturnReporter& report, const CancelToken& cancel);
  /// Ends returns that were cut off.
  Status FinishReturns(const CancelToken& cancel);

  /// A version at the tables' common position without changes: after a first copy.
  Status Publish(const SourcePosition& position, int64_t commit_micros);

  /// Compaction, cleaning, archiving of the next table in turn: a bounded step, between two commits, with
  /// nothing staged.
  Status RunServices();
  size_t table_count() const { return tables_.size(); }
  Status Close();

  /// Tables that changed since the last call, for Gold.
  std::vector<std::string> TakeTouched();
  /// Position of the newest step applied.
  const SourcePosition& position() const { return position_; }
  std::map<std::string, std::shared_ptr<const SilverCounts>> Counts() const;

 private:
  SilverLayer(storage::Storage* storage, catalog::LakeLayout layout, const PipelineOptions& options,
              const Clock* clock, catalog::LakeVersions* versions)
      : storage_(storage),
        layout_(std::move(layout)),
        options_(options),
        clock_(clock),
        versions_(versions),
        instants_(clock) {}
  using TableEvents = std::map<std::string, std::vector<const bronze::TableRows*>>;
  /// By table, without those that are none of ours or held.
  TableEvents EventsByTable(const SilverStep& step) const;
  Status ApplyTable(const std::string& name, const std::vector<const bronze::TableRows*>& events,
                    int64_t lsn);
  /// Whether the step asks for no more of any table than one commit can hold: no truncation, no new shape in
  /// its midst.
  bool IsOneCommitEach(const TableEvents& by_table) const;
  void ForgetStaged();  ///< Under tail_mutex_.
  /// What a step tells of the tables themselves, in the registry.
  Status FollowShapes(const SilverStep& step);
  Status ApplyPiece(const SilverStep& step);
  Status SpoolTable(const std::string& name, const std::vector<const bronze::TableRows*>& events,
                    int64_t lsn);
  Status CommitSpooled(const SilverStep& step);
  Status MarkHalfApplied(const std::string& name);
  bool CanStage(const std::string& name, const std::vector<const bronze::TableRows*>& events) const;
  /// Holds the table when it cannot follow; any other error is given back.
  Status HoldOrFail(const std::string& name, const Error& error);
  /// The same, and forgets what is kept aside of it.
  Status HoldSpooledOrFail(const std::string& name, const Error& error);
  Status WriteRegistry();
  Status CommitReturn(const std::string& name, const std::string& rule);
  /// SaveRegistry when a table has other columns than the registry says.
  Status SaveReshaped();
  Status LoadCopy(SilverTable& table, int64_t lsn, const std::function<Status(const CopyRows&)>& read);

  storage::Storage* storage_;
  catalog::LakeLayout layout_;
  const PipelineOptions& options_;
  const Clock* clock_;
  catalog::LakeVersions* versions_;
  InstantClock instants_;
  mutable std::mutex models_mutex_;
  std::map<std::string, std::shared_ptr<const SilverModel>> models_;  ///< Under models_mutex_.
  catalog::TableRegistry registry_;
  std::map<std::string, std::unique_ptr<SilverTable>> tables_;
  std::map<std::string, int64_t> applied_;  ///< Ordering value up to which each table is complete.
  std::map<std::string, bool> touched_;
  std::set<std::string> outdated_;
  std::map<std::string, std::string> coming_;
  int64_t registry_changes_ = 0;
  std::string served_;  ///< Table that was served last.
  SourcePosition position_;
  bool spooling_ = false;
  mutable std::mutex counts_mutex_;
  std::map<std::string, std::shared_ptr<SilverCounts>> counts_;  ///< Of tables_; they outlive a table.

  /// Where the staged changes end.
  struct Staged {
    SourcePosition position;
    int64_t commit_micros = 0;
  };
  std::mutex tail_mutex_;  ///< Guards what follows, and the tables' staged changes against PinTail.
  std::optional<Staged> staged_;
  std::optional<catalog::LakeVersion> base_;
  std::shared_ptr<const TailState> tail_;  ///< Null after a change.
};

}  // namespace tarn::pipeline
