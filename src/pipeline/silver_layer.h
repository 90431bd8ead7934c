#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "bronze/change_log.h"
#include "catalog/lake_version.h"
#include "catalog/table_registry.h"
#include "pipeline/options.h"
#include "pipeline/silver_table.h"

namespace tarn::pipeline {

/// What must be applied to bring Silver from one position to the next.
struct SilverStep {
  std::vector<bronze::TableRows> events;
  int64_t epoch = 0;
  Lsn lsn;  ///< Commit LSN of the newest transaction inside.
  int64_t commit_micros = 0;
  int64_t rows = 0;
  bool open = false;  ///< More of the same transaction follows: nothing is published yet.
};

/// All tables of Silver, which move together: a step ends with a published lake version.
/// Threads: one writer, which applies several tables at once on threads that it joins; Counts from any.
class SilverLayer {
 public:
  static Result<std::unique_ptr<SilverLayer>> Open(storage::Storage* storage,
                                                   const catalog::LakeLayout& layout,
                                                   const PipelineOptions& options, const Clock* clock,
                                                   catalog::LakeVersions* versions);

  InstantClock* instants() { return &instants_; }
  const std::map<std::string, SilverModel>& models() const { return models_; }
  catalog::TableRegistry& registry() { return registry_; }
  SilverTable* Find(const std::string& lake_name);

  /// Adds a table, or opens it when the lake has it; it is a member once the source position passes its
  /// start.
  Status AddTable(const catalog::RegisteredTable& table);
  Status SaveRegistry();
  /// Lets held tables try again: the position from which Bronze must be read for them, or position() without
  /// any.
  Lsn ReleaseHeld();

  /// Applies what is newer than each table's own position (a step may come again after a crash), then
  /// publishes. A table that cannot follow is held with the reason; the others go on.
  Status Apply(const SilverStep& step);
  /// A version at the tables' common position without changes: after a first copy.
  Status Publish(int64_t epoch, Lsn lsn, int64_t commit_micros);

  /// Compaction, cleaning, archiving of the next table in turn: a bounded step, between two commits.
  Status RunServices();
  size_t table_count() const { return tables_.size(); }
  Status Close();

  /// Tables that changed since the last call, for Gold.
  std::vector<std::string> TakeTouched();
  /// Position of the newest step applied.
  Lsn position() const { return position_; }
  std::map<std::string, const SilverCounts*> Counts() const;

 private:
  SilverLayer(storage::Storage* storage, catalog::LakeLayout layout, const PipelineOptions& options,
              const Clock* clock, catalog::LakeVersions* versions)
      : storage_(storage),
        layout_(std::move(layout)),
        options_(options),
        clock_(clock),
        versions_(versions),
        instants_(clock) {}
  using TableWork = std::pair<std::string, std::vector<const bronze::TableRows*>>;
  static constexpr size_t kTablesAtOnce = 4;
  /// True when the table's columns changed.
  Result<bool> ApplyTable(const std::string& name, const std::vector<const bronze::TableRows*>& events,
                          int64_t lsn);
  std::vector<Result<bool>> ApplyTogether(const std::vector<TableWork>& work, int64_t lsn);
  Status Hold(const std::string& name, const Error& reason);

  storage::Storage* storage_;
  catalog::LakeLayout layout_;
  const PipelineOptions& options_;
  const Clock* clock_;
  catalog::LakeVersions* versions_;
  InstantClock instants_;
  std::map<std::string, SilverModel> models_;
  catalog::TableRegistry registry_;
  std::map<std::string, std::unique_ptr<SilverTable>> tables_;
  std::map<std::string, int64_t> applied_;  ///< Ordering value up to which each table is complete.
  std::map<std::string, bool> touched_;
  std::string served_;  ///< Table that was served last.
  Lsn position_;
};

}  // namespace tarn::pipeline
