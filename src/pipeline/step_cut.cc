#include "pipeline/step_cut.h"

#include <arrow/api.h>

#include <algorithm>
#include <limits>

namespace tarn::pipeline {
namespace {

/// The rows of a batch that are newer than `after`; batches are in commit order.
std::shared_ptr<arrow::RecordBatch> NewerRows(const std::shared_ptr<arrow::RecordBatch>& rows,
                                              const schema::ChangePosition& after) {
  const auto& lsn = static_cast<const arrow::Int64Array&>(*rows->GetColumnByName(std::string(schema::kLsn)));
  const auto& ordinal =
      static_cast<const arrow::Int64Array&>(*rows->GetColumnByName(std::string(schema::kOrdinal)));
  int64_t first = 0;
  while (first < lsn.length() && schema::ChangePosition{lsn.Value(first), ordinal.Value(first)} <= after)
    first++;
  return first == 0 ? rows : rows->Slice(first);
}

/// The rows of a step that are newer than `after`, cut where the table's shape changes.
std::vector<ShapeRun> RunsAfter(const std::vector<const bronze::TableRows*>& events,
                                const schema::ChangePosition& after) {
  std::vector<ShapeRun> runs;
  for (const bronze::TableRows* event : events) {
    if (event->rows == nullptr) continue;
    auto rows = NewerRows(event->rows, after);
    if (rows->num_rows() == 0) continue;
    if (runs.empty() || runs.back().shape->columns != event->table->columns)
      runs.push_back({event->table, {}});
    runs.back().batches.push_back(std::move(rows));
  }
  return runs;
}

}  // namespace

schema::ChangePosition EndOf(int64_t lsn) { return {lsn, std::numeric_limits<int64_t>::max()}; }

Result<StepCut> CutOf(const std::vector<const bronze::TableRows*>& events,
                      const schema::ChangePosition& after) {
  schema::ChangePosition from = after;
  for (const bronze::TableRows* event : events) {
    if (event->rows != nullptr) continue;
    if (!event->copy_again.empty() && event->at > after)
      return MakeError(ErrorCode::kUnsupported, "{}", event->copy_again);
    if (event->copy_again.empty()) from = std::max(from, event->at);
  }
  return StepCut{from, RunsAfter(events, from)};
}

}  // namespace tarn::pipeline
