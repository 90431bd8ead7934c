#pragma once

#include <memory>
#include <vector>

#include "bronze/change_log.h"

namespace tarn::pipeline {

/// Rows of one shape, which one commit takes.
struct ShapeRun {
  std::shared_ptr<const schema::TableSchema> shape;
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
};

/// What a step does to one table.
struct StepCut {
  schema::ChangePosition from;  ///< Of the last truncation, which comes first of all; else where it began.
  std::vector<ShapeRun> runs;   ///< The rows behind it, cut where the table's shape changes.
};

/// Of a table's events those that are newer than `after`. What was before the last truncation among them is
/// gone at its end, so it is not written at all. kUnsupported when the table must be copied again.
Result<StepCut> CutOf(const std::vector<const bronze::TableRows*>& events,
                      const schema::ChangePosition& after);

/// Everything of the transactions up to an ordering value.
schema::ChangePosition EndOf(int64_t lsn);

}  // namespace tarn::pipeline
