#include "pipeline/external_view.h"

#include <arrow/type.h>

#include "base/log.h"

namespace tarn::pipeline {
namespace {

std::shared_ptr<const hudi::ScanPlan> PlanFiles(const catalog::ExternalTable& table) {
  auto plan = std::make_shared<hudi::ScanPlan>();
  plan->schema = table.schema;
  plan->partition_fields = table.partition_fields;
  plan->partitions_are_folders = true;
  for (const auto& [path, file] : table.files)
    plan->files.push_back({table.path + "/" + path, file.size_bytes, file.rows, file.partition, nullptr});
  return plan;
}

}  // namespace

ExternalView::Tables ExternalView::Now() {
  auto text = storage_->Read(catalog::ExternalTables::Path(layout_));
  const std::lock_guard lock(mutex_);
  if (!text) return tables_ = std::make_shared<catalog::ExternalTables>();
  if (*text == text_) return tables_;
  text_ = std::move(*text);
  auto parsed = catalog::ExternalTables::Parse(text_);
  if (!parsed) spdlog::warn("{}", parsed.error().message);
  tables_ =
      std::make_shared<catalog::ExternalTables>(parsed ? std::move(*parsed) : catalog::ExternalTables());
  return tables_;
}

Result<std::shared_ptr<hudi::TableReader>> ExternalView::ReaderOf(const std::string& path) {
  const std::lock_guard lock(mutex_);
  auto& known = readers_[path];
  if (known == nullptr) {
    TARN_ASSIGN(known, hudi::TableReader::Open(storage_, path, ""));
  }
  return known;
}

Result<std::shared_ptr<const hudi::ScanPlan>> ExternalView::Plan(const catalog::ExternalTables& tables,
                                                                 const std::string& name,
                                                                 std::optional<int64_t> as_of_micros) {
  const auto found = tables.tables.find(name);
  if (found == tables.tables.end())
    return MakeError(ErrorCode::kNotFound, "there is no external table '{}'", name);
  const catalog::ExternalTable& table = found->second;
  if (table.kind == catalog::ExternalTable::Kind::kHudi) {
    TARN_ASSIGN(const auto reader, ReaderOf(table.path));
    return reader->PlanSnapshot(as_of_micros ? hudi::FormatInstant(*as_of_micros) : "");
  }
  if (!as_of_micros) return PlanFiles(table);
  return MakeError(ErrorCode::kSql,
                   "external.{} is a folder of Parquet files, which has no history: no AS OF, please", name);
}

}  // namespace tarn::pipeline
