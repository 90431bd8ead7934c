#pragma once

#include <arrow/type_fwd.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "hudi/scan_plan.h"
#include "storage/storage.h"

namespace tarn::hudi {

/// Which rows of a plan to read.
struct PlanRows {
  std::vector<std::string> columns = {};  ///< Empty: all of the plan's schema. kNotFound names one it lacks.
  /// Only rows that a commit changed that completed after this instant (by _hoodie_commit_time); empty: all.
  /// Deleted rows are not among them.
  std::string since = {};
};

/// Reads a plan in batches of its schema, or of the columns asked for in their order: columns that a file
/// does not have are null, narrower ones are widened. The first batch has no rows, and tells the columns.
/// Memory: a batch and the plan. Errors: kCorrupt and kUnsupported name the file; the sink's.
Status ReadRows(const storage::Storage& storage, const ScanPlan& plan, const PlanRows& rows,
                const std::function<Status(std::shared_ptr<arrow::RecordBatch>)>& take);

}  // namespace tarn::hudi
