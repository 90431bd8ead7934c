#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "hudi/scan_plan.h"
#include "hudi/slice.h"

namespace tarn::hudi {

/// What a plan says of one partition, kept from one plan to the next: when only log files were added since,
/// only those are merged. Threads: one.
class PartitionView {
 public:
  /// Brings the view to `as_of` (empty: the newest). `schema`: the plan's.
  Status Refresh(const SliceContext& context, const std::string& partition, PartitionFiles& files,
                 const std::set<std::string>& replaced_groups, const std::string& as_of,
                 const std::shared_ptr<arrow::Schema>& schema);
  void AddTo(ScanPlan* plan) const;
  /// Whether the partition was there, with rows or without.
  bool has_groups() const { return !groups_.empty(); }

 private:
  struct Group {
    std::string base_name;
    std::vector<std::string> logs;  ///< Merged already.
    bool whole = true;  ///< Every block of them counted, so that later refreshes need not look again.
    Roaring replaced;
    ScanFile file;
    bool has_file = false;
  };
  bool CanContinue(const std::map<std::string, Slice>& slices,
                   const std::shared_ptr<arrow::Schema>& schema) const;
  Status ReadGroup(const SliceContext& context, const std::string& partition, const std::string& file_id,
                   const Slice& slice, const std::string& as_of);

  std::vector<std::string> values_;
  std::unique_ptr<LogMerge> merge_;
  std::map<std::string, Group> groups_;
  std::shared_ptr<arrow::RecordBatch> hot_;
  int64_t log_files_ = 0, log_bytes_ = 0;
};

}  // namespace tarn::hudi
