#include "engine/lake_scan.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <duckdb/common/crypto/md5.hpp>
#include <random>
#include <utility>

#include "engine/arrow_rows.h"

namespace tarn::engine {
namespace {

constexpr std::string_view kDefaultPartition = "__HIVE_DEFAULT_PARTITION__";

uint64_t RandomNumber() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

// Types whose text in a folder's name has one meaning only. Floating point and times are not among them.
bool HasPlainText(const duckdb::LogicalType& type) {
  return type.IsIntegral() || type.id() == duckdb::LogicalTypeId::VARCHAR ||
         type.id() == duckdb::LogicalTypeId::BOOLEAN || type.id() == duckdb::LogicalTypeId::DATE ||
         type.id() == duckdb::LogicalTypeId::DECIMAL;
}

std::optional<duckdb::Value> ParsePartitionValue(const std::string& text, const duckdb::LogicalType& type) {
  // NULL and the empty string share this folder.
  if (text == kDefaultPartition || !HasPlainText(type)) return std::nullopt;
  duckdb::Value value;
  std::string error;
  if (!duckdb::Value(text).DefaultTryCastAs(type, value, &error) || value.IsNull()) return std::nullopt;
  // A text that does not come back the same ("01", " 7") says nothing certain about the column.
  if (type.id() != duckdb::LogicalTypeId::VARCHAR && value.ToString() != text) return std::nullopt;
  return value;
}

}  // namespace

std::string HandleOf(const std::string& path) {
  static const std::string secret = fmt::format("{:016x}{:016x}", RandomNumber(), RandomNumber());
  duckdb::MD5Context digest;
  digest.Add(secret);
  digest.Add(path);
  return "tarn:/file/" + digest.FinishHex();
}

LakeScan::LakeScan(duckdb::ClientContext& context, TableName table, std::shared_ptr<LakeVersion> version,
                   std::shared_ptr<const hudi::ScanPlan> plan, govern::Access access,
                   const std::string& tenant)
    : capability_(RandomNumber()),
      table_(std::move(table)),
      version_(std::move(version)),
      plan_(std::move(plan)) {
  DuckdbColumns(context, *plan_->schema, &names_, &types_);
  for (const std::string& field : plan_->partition_fields) {
    const int index = plan_->schema->GetFieldIndex(field);
    partition_columns_.push_back(index < 0 ? std::nullopt : std::optional<duckdb::column_t>(index));
  }
  const auto is_visible = [&](const std::vector<std::string>& partition) {
    if (access == govern::Access::kAll) return true;
    return access == govern::Access::kTenantPartitions && !tenant.empty() && !partition.empty() &&
           partition.front() == tenant;
  };
  const auto has_rows = [](const hudi::HotRows& hot) {
    return hot.rows != nullptr && hot.rows->num_rows() > 0;
  };

  size_t count = 0;
  for (const auto& file : plan_->files) count += is_visible(file.partition) ? 1 : 0;
  for (const auto& hot : plan_->hot) count += is_visible(hot.partition) && has_rows(hot) ? 1 : 0;
  units_ = std::vector<ScanUnit>(count);

  size_t next = 0;
  for (const auto& file : plan_->files) {
    if (!is_visible(file.partition)) continue;
    ScanUnit& unit = units_[next++];
    unit.file = &file;
    unit.handle = HandleOf(file.path);
    unit.partition = AddPartition(context, file.partition);
    row_estimate_ += static_cast<idx_t>(file.rows);
  }
  for (const auto& hot : plan_->hot) {
    if (!is_visible(hot.partition) || !has_rows(hot)) continue;
    ScanUnit& unit = units_[next];
    unit.hot = &hot;
    unit.handle = fmt::format("tarn:/hot/{:016x}/{}", capability_, next);
    unit.partition = AddPartition(context, hot.partition);
    row_estimate_ += static_cast<idx_t>(hot.rows->num_rows());
    ++next;
  }
  for (size_t i = 0; i < units_.size(); ++i) by_handle_.emplace(units_[i].handle, i);
}

size_t LakeScan::AddPartition(duckdb::ClientContext&, const std::vector<std::string>& texts) {
  std::string key;
  for (const std::string& text : texts) key += fmt::format("{}:{}", text.size(), text);
  const auto [found, is_new] = partition_index_.emplace(key, partitions_.size());
  if (!is_new) return found->second;
  Partition partition;
  for (size_t i = 0; i < partition_columns_.size(); ++i) {
    const bool is_known = i < texts.size() && partition_columns_[i].has_value();
    partition.values.push_back(is_known ? ParsePartitionValue(texts[i], types_[*partition_columns_[i]])
                                        : std::nullopt);
  }
  partitions_.push_back(std::move(partition));
  return found->second;
}

std::optional<size_t> LakeScan::Find(const std::string& handle) const {
  const auto found = by_handle_.find(handle);
  if (found == by_handle_.end()) return std::nullopt;
  return found->second;
}

std::optional<size_t> LakeScan::PartitionField(duckdb::column_t column) const {
  for (size_t i = 0; i < partition_columns_.size(); ++i) {
    if (partition_columns_[i] == column) return i;
  }
  return std::nullopt;
}

const duckdb::Value* LakeScan::PartitionValue(size_t partition, size_t field) const {
  const auto& value = partitions_[partition].values[field];
  return value ? &*value : nullptr;
}

void LakeScan::AddStatistics(ScanStatistics* statistics) const {
  std::vector<bool> partition_read(partitions_.size());
  statistics->tables += 1;
  statistics->partitions_total += static_cast<int64_t>(partitions_.size());
  for (const ScanUnit& unit : units_) {
    const bool opened = unit.opened.load(std::memory_order_relaxed);
    if (opened) partition_read[unit.partition] = true;
    if (unit.file != nullptr) {
      statistics->files_total += 1;
      statistics->bytes_total += unit.file->size_bytes;
      if (!opened) continue;
      statistics->files_read += 1;
      statistics->bytes_read += unit.file->size_bytes;
      statistics->rows_in_files += unit.file->rows;
    } else if (opened) {
      statistics->hot_rows += unit.hot->rows->num_rows();
    }
  }
  statistics->partitions_read += std::count(partition_read.begin(), partition_read.end(), true);
}

void ScanRegistry::Add(const std::shared_ptr<LakeScan>& scan) {
  std::lock_guard lock(mutex_);
  std::erase_if(scans_, [](const auto& entry) { return entry.second.expired(); });
  scans_[scan->capability()] = scan;
}

std::shared_ptr<LakeScan> ScanRegistry::Find(uint64_t capability) const {
  std::lock_guard lock(mutex_);
  const auto found = scans_.find(capability);
  return found == scans_.end() ? nullptr : found->second.lock();
}

}  // namespace tarn::engine
