#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "hudi/commit_metadata.h"
#include "hudi/partition_view.h"
#include "hudi/table.h"

namespace tarn::hudi {

/// See TableReader. What is kept: the timeline's parsed commits, the file view, and the newest plan's
/// partitions.
class TimelineTableReader : public TableReader {
 public:
  TimelineTableReader(const storage::Storage* storage, std::string base_path, std::string sidecar_folder);
  Status Start();
  Result<std::shared_ptr<const ScanPlan>> PlanSnapshot(const std::string& as_of) override;
  Result<std::shared_ptr<const ScanPlan>> Plan(const std::string& as_of, TableView view) override;
  Result<std::shared_ptr<const ScanPlan>> PlanUntil(const std::string& completion, TableView view) override;
  Result<std::vector<Commit>> CommitsBetween(const std::string& begin, const std::string& end) override;
  Result<std::shared_ptr<const ScanPlan>> PlanGroup(const std::string& completion, bool before,
                                                    const std::string& partition,
                                                    const std::string& file_id) override;
  Result<std::vector<std::string>> Instants() override;
  const TableOptions& options() const override { return options_; }

 private:
  Status Refresh();
  /// Null when the table has no state of that time. kNotFound: a file went between listing and reading.
  Result<std::shared_ptr<const ScanPlan>> RefreshAndPlan(const std::string& as_of, TableView view);
  Status Reload(Timeline timeline);
  Status ReadCommit(const std::string& instant, bool list_files);
  Result<CommitMetadata> Metadata(const std::string& instant) const;
  void ChooseRanks();
  /// kNotFound when changes since `begin` cannot be told any more.
  Status CheckKeptSince(const std::string& begin) const;
  Status LoadHorizon();
  /// Whether cleaning took of the state of then. What a savepoint keeps is there whenever it was.
  bool IsCleanedAway(const std::string& as_of) const {
    return as_of < horizon_ && !timeline_.savepoints.contains(as_of);
  }
  /// Whether a clean began, or ended, since the timeline was read.
  Result<bool> IsCleaned() const;
  Result<std::shared_ptr<arrow::Schema>> SchemaAsOf(const std::string& as_of) const;
  std::set<std::string> ReplacedGroups(const std::string& as_of) const;
  Result<std::shared_ptr<const ScanPlan>> MakePlan(const std::string& as_of, TableView table_view,
                                                   std::map<std::string, PartitionView>* views);
  SliceContext Context(TableView view);
  TimelineLayout layout() const { return options_.version < 8 ? TimelineLayout::kOne : TimelineLayout::kTwo; }

  const storage::Storage* storage_;
  const std::string base_path_, sidecar_folder_;
  TableOptions options_;
  MergeRules rules_;
  std::mutex mutex_;  ///< Guards all below.
  LogCache logs_;
  Timeline timeline_;
  bool loaded_ = false;
  FileView files_;
  std::map<std::string, std::shared_ptr<arrow::Schema>> schemas_;         ///< By commit that has one.
  std::map<std::string, std::shared_ptr<arrow::Schema>> parsed_schemas_;  ///< By JSON text.
  std::map<std::string, std::set<std::string>> replaced_;                 ///< By replacecommit.
  std::set<std::string> touched_;  ///< Partitions to look at again for the newest plan.
  std::string horizon_;            ///< Oldest instant that cleaning kept; empty: all.
  std::string horizon_service_;    ///< The newest clean or restore when it was read.
  std::map<std::string, PartitionView> views_;
  std::shared_ptr<arrow::Schema> views_schema_;
  std::shared_ptr<const ScanPlan> newest_plan_;
};

}  // namespace tarn::hudi
