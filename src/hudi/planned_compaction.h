#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "hudi/timeline.h"
#include "storage/storage.h"

namespace tarn::hudi {

/// A compaction that another writer planned and nobody made yet. From its instant on, logs of its file groups
/// are named by it, so that it must be made as it was planned: readers know these logs by the plan, and later
/// by the base files that it promises.
struct PlannedCompaction {
  struct Operation {
    std::string partition, file_id;
    std::string base_file;          ///< Bare names; empty for a group of logs alone.
    std::vector<std::string> logs;  ///< In merge order.
  };
  std::string instant;
  std::vector<Operation> operations;
  bool is_begun = false;  ///< Somebody is at it.
};

/// Errors: kCorrupt names the plan.
Result<PlannedCompaction> ReadCompactionPlan(const storage::Storage& storage, const std::string& base_path,
                                             const std::string& instant);

}  // namespace tarn::hudi
