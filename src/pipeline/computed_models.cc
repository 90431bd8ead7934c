#include "pipeline/computed_models.h"

#include <arrow/api.h>
#include <arrow/util/byte_size.h>

#include <algorithm>

#include "pipeline/gold_rows.h"

namespace tarn::pipeline {
namespace {

/// Of one model; a larger one is computed once more for each that reads it.
constexpr int64_t kMostBytes = int64_t{256} << 20;

/// Whether SQL reads back what it gave.
bool IsKept(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::BOOL:
    case arrow::Type::INT32:
    case arrow::Type::INT64:
    case arrow::Type::FLOAT:
    case arrow::Type::DOUBLE:
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
    case arrow::Type::DATE32:
    case arrow::Type::DECIMAL128:
      return true;
    case arrow::Type::TIMESTAMP:
      return !static_cast<const arrow::TimestampType&>(type).timezone().empty();
    default:
      return false;
  }
}

}  // namespace

Status ComputedModels::Keep(const GoldModel& model, bool is_local, const GoldStep& step,
                            const std::string& instant, const std::shared_ptr<arrow::RecordBatch>& rows) {
  results_.erase(model.name);
  const auto& fields = rows->schema()->fields();
  const bool is_kept =
      std::all_of(fields.begin(), fields.end(), [](const auto& field) { return IsKept(*field->type()); });
  if (!is_kept || arrow::util::TotalBufferSize(*rows) > kMostBytes) return {};
  auto plan = std::make_shared<hudi::ScanPlan>();
  plan->schema = rows->schema();
  plan->instant = instant;
  if (!model.partition.empty()) plan->partition_fields = {model.partition};
  TARN_ASSIGN(const auto parts, SplitByPartition(model, rows));
  for (const auto& [path, part] : parts) {
    auto values = model.partition.empty() ? std::vector<std::string>() : hudi::PartitionValues(path);
    plan->hot.push_back({std::move(values), part, 0, nullptr});
  }
  results_[model.name] = {is_local, step, std::move(plan)};
  return {};
}

bool ComputedModels::Has(const std::string& model, const GoldStep& step) const {
  const auto found = results_.find(model);
  if (found == results_.end()) return false;
  const Result& result = found->second;
  const bool is_whole = result.step.kind == GoldStep::Kind::kAll;
  if (step.kind == GoldStep::Kind::kAll) return is_whole;
  return result.is_local &&
         (is_whole || std::includes(result.step.partitions.begin(), result.step.partitions.end(),
                                    step.partitions.begin(), step.partitions.end()));
}

std::vector<std::string> ComputedModels::names() const {
  std::vector<std::string> names;
  for (const auto& [name, result] : results_) names.push_back(name);
  return names;
}

std::shared_ptr<const hudi::ScanPlan> ComputedModels::PlanOf(const std::string& model) const {
  const auto found = results_.find(model);
  return found == results_.end() ? nullptr : found->second.plan;
}

}  // namespace tarn::pipeline
