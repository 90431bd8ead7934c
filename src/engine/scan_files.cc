#include "engine/scan_files.h"

#include <arrow/record_batch.h>

#include <functional>
#include <numeric>
#include <utility>

namespace tarn::engine {
namespace {

using ExpressionPtr = duckdb::unique_ptr<duckdb::Expression>;

bool IsFalseOrNull(duckdb::ClientContext& context, const duckdb::Expression& expression) {
  if (!expression.IsFoldable()) return false;
  duckdb::Value value;
  if (!duckdb::ExpressionExecutor::TryEvaluateScalar(context, expression, value)) return false;
  if (value.IsNull()) return true;
  return value.type().id() == duckdb::LogicalTypeId::BOOLEAN && !value.GetValue<bool>();
}

// A filter with the partition's values in place of its columns; null when it reads anything else.
class PartitionSubstitution {
 public:
  PartitionSubstitution(const LakeScan& scan, const duckdb::MultiFilePushdownInfo& info, size_t partition)
      : scan_(scan), info_(info), partition_(partition) {}

  ExpressionPtr Apply(const duckdb::Expression& filter) {
    auto copy = filter.Copy();
    Visit(copy);
    return complete_ ? std::move(copy) : nullptr;
  }

 private:
  void Visit(ExpressionPtr& expression) {
    if (expression->GetExpressionClass() == duckdb::ExpressionClass::BOUND_COLUMN_REF) {
      const duckdb::Value* value = ValueOf(expression->Cast<duckdb::BoundColumnRefExpression>());
      if (value == nullptr) {
        complete_ = false;
      } else {
        expression = duckdb::make_uniq<duckdb::BoundConstantExpression>(*value);
      }
      return;
    }
    duckdb::ExpressionIterator::EnumerateChildren(*expression,
                                                  [this](ExpressionPtr& child) { Visit(child); });
  }

  const duckdb::Value* ValueOf(const duckdb::BoundColumnRefExpression& column) const {
    const auto& binding = column.binding;
    const bool is_ours = column.depth == 0 && binding.table_index == info_.table_index &&
                         binding.column_index < info_.column_ids.size();
    if (!is_ours) return nullptr;
    const auto field = scan_.PartitionField(info_.column_ids[binding.column_index]);
    const duckdb::Value* value = field ? scan_.PartitionValue(partition_, *field) : nullptr;
    return value != nullptr && value->type() == column.return_type ? value : nullptr;
  }

  const LakeScan& scan_;
  const duckdb::MultiFilePushdownInfo& info_;
  size_t partition_;
  bool complete_ = true;
};

}  // namespace

ScanFiles::ScanFiles(std::shared_ptr<LakeScan> scan, std::vector<size_t> selected)
    : scan_(std::move(scan)), selected_(std::move(selected)) {}

duckdb::unique_ptr<ScanFiles> ScanFiles::All(std::shared_ptr<LakeScan> scan) {
  std::vector<size_t> all(scan->units().size());
  std::iota(all.begin(), all.end(), size_t{0});
  return duckdb::make_uniq<ScanFiles>(std::move(scan), std::move(all));
}

duckdb::unique_ptr<duckdb::MultiFileList> ScanFiles::Without(
    const std::vector<bool>& dropped_partitions) const {
  std::vector<size_t> kept;
  for (const size_t unit : selected_) {
    if (!dropped_partitions[scan_->units()[unit].partition]) kept.push_back(unit);
  }
  if (kept.size() == selected_.size()) return nullptr;
  return duckdb::make_uniq<ScanFiles>(scan_, std::move(kept));
}

duckdb::unique_ptr<duckdb::MultiFileList> ScanFiles::ComplexFilterPushdown(
    duckdb::ClientContext& context, const duckdb::MultiFileOptions&, duckdb::MultiFilePushdownInfo& info,
    duckdb::vector<ExpressionPtr>& filters) const {
  std::vector<bool> dropped(scan_->partitions());
  for (const auto& filter : filters) {
    if (filter->IsVolatile()) continue;
    for (size_t partition = 0; partition < dropped.size(); ++partition) {
      if (dropped[partition]) continue;
      const auto predicate = PartitionSubstitution(*scan_, info, partition).Apply(*filter);
      if (predicate != nullptr && IsFalseOrNull(context, *predicate)) dropped[partition] = true;
    }
  }
  return Without(dropped);
}

duckdb::unique_ptr<duckdb::MultiFileList> ScanFiles::DynamicFilterPushdown(
    duckdb::ClientContext& context, const duckdb::MultiFileOptions&, const duckdb::vector<std::string>&,
    const duckdb::vector<duckdb::LogicalType>&, const duckdb::vector<duckdb::column_t>& column_ids,
    duckdb::TableFilterSet& filters) const {
  std::vector<bool> dropped(scan_->partitions());
  for (auto& [index, filter] : filters.filters) {
    const auto field = scan_->PartitionField(column_ids[index]);
    if (!field) continue;
    for (size_t partition = 0; partition < dropped.size(); ++partition) {
      const duckdb::Value* value = scan_->PartitionValue(partition, *field);
      if (dropped[partition] || value == nullptr) continue;
      const duckdb::BoundConstantExpression constant(*value);
      dropped[partition] = IsFalseOrNull(context, *filter->ToExpression(constant));
    }
  }
  return Without(dropped);
}

duckdb::OpenFileInfo ScanFiles::GetFile(idx_t i) const {
  duckdb::OpenFileInfo info;
  if (i >= selected_.size()) return info;
  const ScanUnit& unit = scan_->units()[selected_[i]];
  info.path = unit.handle;
  info.extended_info = duckdb::make_shared_ptr<duckdb::ExtendedOpenFileInfo>();
  auto& options = info.extended_info->options;
  options[kCapabilityOption] = duckdb::Value::UBIGINT(scan_->capability());
  // Content never changes under a handle: DuckDB's caches may trust these without opening the file.
  options["last_modified"] = duckdb::Value::TIMESTAMP(duckdb::timestamp_t(0));
  options["etag"] = duckdb::Value("immutable");
  if (unit.file != nullptr && unit.file->deleted != nullptr)
    options["has_deletes"] = duckdb::Value::BOOLEAN(true);
  return info;
}

duckdb::vector<duckdb::OpenFileInfo> ScanFiles::GetAllFiles() const {
  duckdb::vector<duckdb::OpenFileInfo> files;
  for (idx_t i = 0; i < selected_.size(); ++i) files.push_back(GetFile(i));
  return files;
}

duckdb::FileExpandResult ScanFiles::GetExpandResult() const {
  // Never SINGLE_FILE: the reader would then use one thread only, and the file's own statistics.
  return selected_.empty() ? duckdb::FileExpandResult::NO_FILES : duckdb::FileExpandResult::MULTIPLE_FILES;
}

duckdb::unique_ptr<duckdb::NodeStatistics> ScanFiles::GetCardinality(duckdb::ClientContext&) const {
  idx_t rows = 0;
  for (const size_t i : selected_) {
    const ScanUnit& unit = scan_->units()[i];
    rows += static_cast<idx_t>(unit.file != nullptr ? unit.file->rows : unit.hot->rows->num_rows());
  }
  return duckdb::make_uniq<duckdb::NodeStatistics>(rows);  // An estimate: deleted rows are counted in.
}

duckdb::unique_ptr<duckdb::MultiFileList> ScanFiles::Copy() const {
  return duckdb::make_uniq<ScanFiles>(scan_, selected_);
}

}  // namespace tarn::engine
