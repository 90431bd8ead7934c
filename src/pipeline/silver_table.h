#pragma once

#include <arrow/type_fwd.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "catalog/lake_layout.h"
#include "catalog/table_registry.h"
#include "cdc/source_catalog.h"
#include "hudi/spooled_changes.h"
#include "hudi/staged_changes.h"
#include "hudi/table.h"
#include "pipeline/change_reducer.h"
#include "pipeline/equal_rows.h"
#include "pipeline/instant_clock.h"
#include "pipeline/row_rules.h"
#include "pipeline/silver_model.h"

namespace tarn::pipeline {

/// Counts since the process started. Threads: any.
struct SilverCounts {
  std::atomic<int64_t> inserted{0}, updated{0}, deleted{0}, refused{0}, warnings{0}, commits{0};
};

/// What became of rows that were judged again.
struct ReturnedRows {
  int64_t entered = 0;  ///< They are in Silver now, and no more in quarantine.
  int64_t stayed = 0;   ///< They still break a rule, which may be another one than before.
};
/// Called now and then with how many rows were judged.
using ReturnReporter = std::function<void(int64_t rows)>;

/// The commit LSN that a Hudi commit of ours brings its table to, in its extraMetadata.
inline constexpr const char* kLsnProperty = "tarn.lsn";

/// One table of Silver and its quarantine. Silver's columns: those of its SilverShape, then _lsn (and
/// _ordinal when append-only, _row when keyless, _month when partitioned by month). Quarantine's: the
/// source's, the same of ours, then _rule, _reason, _bad, _refused_op and, where a key may be refused,
/// _refused_key, which is part of its identity. Threads: one writer; counts from any.
class SilverTable {
 public:
  /// Opens the two tables, or makes them when there are none yet.
  static Result<std::unique_ptr<SilverTable>> Open(storage::Storage* storage,
                                                   const catalog::LakeLayout& layout,
                                                   const catalog::RegisteredTable& table,
                                                   std::shared_ptr<const SilverModel> model,
                                                   InstantClock* clock, std::shared_ptr<SilverCounts> counts);

  const catalog::RegisteredTable& registered() const { return registered_; }
  /// Ordering value of the newest change inside; 0 when the table has no commit.
  Result<int64_t> AppliedLsn() const;

  /// First copy: Load side by side, FinishLoad when all is there. Rows are of schema::ChangeSchema.
  Status BeginLoad(const std::string& instant, int workers);
  Status Load(int worker, const std::shared_ptr<arrow::RecordBatch>& rows);
  Status FinishLoad(int64_t lsn);
  /// Forgets a load that did not come to its end, which would keep all other writes out.
  void DropLoad();
  /// Begins to replace the whole content by a newer copy with the columns of `shape`: Load and FinishLoad
  /// follow. Columns that the source has no more stay, without values. Errors: kUnsupported when its key or
  /// its partitions would be others, which a Hudi table cannot change.
  Status BeginReload(const std::string& instant, const schema::TableSchema& shape);

  /// What one Silver commit would write to the table and its quarantine.
  struct Changes {
    hudi::ChangeSet silver;
    hudi::ChangeSet quarantine;
    bool in_quarantine = false;  ///< Whether quarantine has a part in it.
    int64_t refused = 0, warnings = 0;
  };
  /// Reduces batches that are in commit order, all of the table's present shape, and judges what is left;
  /// staged changes count as present.
  Result<Changes> Prepare(const schema::TableSchema& shape,
                          const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches);
  /// Adds prepared changes to what waits for the next commit and is shown to readers meanwhile.
  Status Stage(const Changes& changes);
  bool has_staged() const { return !staged_silver_->empty() || !staged_quarantine_->empty(); }
  int64_t staged_bytes() const { return staged_silver_->bytes() + staged_quarantine_->bytes(); }
  int64_t staged_rows() const { return staged_silver_->rows() + staged_quarantine_->rows(); }
  hudi::StagedChanges& staged_silver() { return *staged_silver_; }
  hudi::StagedChanges& staged_quarantine() { return *staged_quarantine_; }
  /// Commits them; `lsn` is where the table stands then. They stay staged until DropStaged, which readers may
  /// need.
  Status CommitStaged(int64_t lsn);
  void DropStaged();

  /// A transaction that comes in pieces: its changes are kept aside, in files, where only what follows them
  /// sees them, until CommitSpooled makes one commit of all. `lsn`: where the table stands meanwhile. Nothing
  /// may be staged.
  Status Spool(const std::shared_ptr<const schema::TableSchema>& shape,
               const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches, int64_t lsn);
  Status SpoolTruncation(const schema::ChangePosition& at);
  /// What is not behind this is gone with a truncation that was spooled.
  const schema::ChangePosition& spooled_from() const { return spooled_from_; }
  bool has_spooled() const { return spooled_silver_ != nullptr; }
  Status CommitSpooled(int64_t lsn);
  /// Forgets it. True when the table had taken columns from it, and must be opened again.
  bool DropSpooled();

  /// Applies batches that are in commit order, all of one shape, in one commit; nothing may be staged. `lsn`
  /// is where the table stands then.
  Status Apply(const std::shared_ptr<const schema::TableSchema>& shape,
               const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches, int64_t lsn);
  /// Whether a keyless table's quarantine has a step that Silver lacks: applied again, its rows would be
  /// counted twice, so that only a newer copy helps. A key, or a position, makes that harmless for others.
  bool IsHalfApplied() const { return cdc::IsKeyless(registered_.source) && unfinished_; }

  /// From here on rows are judged by this model. Errors: as RowRules::Make; then nothing has changed.
  Status SetModel(std::shared_ptr<const SilverModel> model);
  /// Judges what stands in quarantine (of `rule` alone, unless empty) and keeps aside what follows, for
  /// CommitReturned; nothing may be staged or spooled. `again`: Silver may have rows of a return that was cut
  /// off, which go where they are refused. Errors: kInvalidArgument when a rule says stop.
  Result<ReturnedRows> JudgeQuarantine(const std::string& rule, bool again, const ReturnReporter& report,
                                       const CancelToken& cancel);
  /// Whether the judgement leaves anything to commit.
  bool has_returned() const {
    return has_spooled() && !(spooled_quarantine_->empty() && spooled_silver_->empty());
  }
  /// Silver first: cut off in between, a row is in both tables, and in none never.
  Status CommitReturned();

  /// Compaction, cleaning, archiving of both tables, each a bounded step; nothing may be staged. True when
  /// anything was compacted.
  Result<bool> RunServices(const hudi::ServiceOptions& options, bool compact_everything);
  Status Close();

  /// What Apply would store for these rows of the source: for verification.
  Result<RuledRows> Judge(const std::shared_ptr<arrow::RecordBatch>& rows) { return rules_[0]->Apply(rows); }
  /// Silver's rows for accepted changes; columns of the table.
  Result<std::shared_ptr<arrow::RecordBatch>> SilverRows(const arrow::RecordBatch& changes) const;
  Result<std::shared_ptr<arrow::RecordBatch>> QuarantineRows(const RuledRows& ruled) const;

 private:
  SilverTable() = default;
  std::shared_ptr<arrow::Array> SourceColumn(const arrow::RecordBatch& changes,
                                             const arrow::Field& field) const;
  Status AddColumns(const schema::TableSchema& shape, int64_t lsn);
  /// Columns that quarantine, or Silver, must get for changes of this shape. Errors: kUnsupported.
  Result<arrow::FieldVector> AddedToSource(const schema::TableSchema& shape, bool has_select) const;
  Result<arrow::FieldVector> AddedToSilver(const SilverShape& shape) const;
  Result<BaseRows> LookUpBase(const arrow::RecordBatch& identities);
  Status BeginSpool();
  Status Write(const Changes& changes, int64_t lsn);
  void Count(const hudi::CommitResult& done);
  void Count(const Changes& changes);
  hudi::CommitProperties Properties(int64_t lsn) const;
  Status NoteHalfApplied();
  /// Errors: as RowRules::Make; kInvalidArgument when a partition column would not be there.
  Result<std::unique_ptr<RowRules>> MakeRules(const catalog::RegisteredTable& table) const;
  /// Rows of quarantine as the changes that they came as.
  std::shared_ptr<arrow::RecordBatch> ChangesOf(const arrow::RecordBatch& refused) const;
  Status JudgeAgain(const arrow::RecordBatch& rows, bool again, ReturnedRows& counts);

  catalog::RegisteredTable registered_;
  std::shared_ptr<arrow::Schema> silver_schema_, quarantine_schema_;
  std::unique_ptr<hudi::Table> silver_, quarantine_;
  std::unique_ptr<hudi::StagedChanges> staged_silver_, staged_quarantine_;
  std::unique_ptr<hudi::SpooledChanges> spooled_silver_, spooled_quarantine_;  ///< Null when nothing is.
  size_t columns_before_spool_ = 0;
  schema::ChangePosition spooled_from_;
  std::vector<std::unique_ptr<RowRules>> rules_;  ///< One a worker of a load; the first serves the stream.
  std::shared_ptr<const SilverModel> model_;      ///< Null: none.
  storage::Storage* storage_ = nullptr;
  std::string quarantine_path_;
  InstantClock* clock_ = nullptr;
  std::shared_ptr<SilverCounts> counts_;
  bool quarantine_has_rows_ = false;  ///< It may hold rows, so good images must be looked for in it.
  bool unfinished_ = false;           ///< Quarantine has a commit that Silver lacks.
  std::mutex load_mutex_;
  EqualRows loaded_rows_;
  std::unique_ptr<hudi::BulkWriter> silver_load_, quarantine_load_;
};

}  // namespace tarn::pipeline
