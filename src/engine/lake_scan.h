#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/duckdb_headers.h"
#include "engine/lake.h"
#include "engine/session.h"
#include "govern/decision.h"

namespace tarn::engine {

/// One file, or one partition's rows in memory, that a scan may read.
struct ScanUnit {
  std::string handle;  ///< What DuckDB knows it by: tells nothing of path, table or tenant.
  const hudi::ScanFile* file = nullptr;
  const hudi::HotRows* hot = nullptr;  ///< Exactly one of the two is set.
  size_t partition = 0;
  std::atomic<bool> opened{false};

  int64_t size_bytes() const { return file != nullptr ? file->size_bytes : hot->size_bytes; }
};

/// What one table of one version is for one principal: the capability that the session's file system honours.
/// Rows of other tenants are not in it. Immutable but for the marks of what was opened. Threads: any.
class LakeScan {
 public:
  /// Keeps of the plan what `access` leaves. Throws what DuckDB throws for column types it does not have.
  LakeScan(duckdb::ClientContext& context, TableName table, std::shared_ptr<LakeVersion> version,
           std::shared_ptr<const hudi::ScanPlan> plan, govern::Access access, const std::string& tenant);

  uint64_t capability() const { return capability_; }
  const TableName& table() const { return table_; }
  /// Columns of the partition are not in the files.
  bool partitions_are_folders() const { return plan_->partitions_are_folders; }
  bool is_partitioned() const { return !plan_->partition_fields.empty(); }
  std::string DisplayName() const { return table_.schema + "." + table_.name; }
  const duckdb::vector<std::string>& names() const { return names_; }
  const duckdb::vector<duckdb::LogicalType>& types() const { return types_; }
  const arrow::Schema& schema() const { return *plan_->schema; }

  std::vector<ScanUnit>& units() { return units_; }
  const std::vector<ScanUnit>& units() const { return units_; }
  /// Position of a handle in units(); empty for handles of others.
  std::optional<size_t> Find(const std::string& handle) const;

  size_t partitions() const { return partitions_.size(); }
  /// Index in the partition's values of a column; empty when it is no partition column.
  std::optional<size_t> PartitionField(duckdb::column_t column) const;
  /// Null pointer where the folder's name does not tell the value.
  const duckdb::Value* PartitionValue(size_t partition, size_t field) const;

  idx_t RowEstimate() const { return row_estimate_; }
  void AddStatistics(ScanStatistics* statistics) const;

 private:
  size_t AddPartition(duckdb::ClientContext& context, const std::vector<std::string>& texts);

  struct Partition {
    std::vector<std::optional<duckdb::Value>> values;
  };

  uint64_t capability_;
  TableName table_;
  std::shared_ptr<LakeVersion> version_;  // Keeps the files of the plan from being cleaned away.
  std::shared_ptr<const hudi::ScanPlan> plan_;
  duckdb::vector<std::string> names_;
  duckdb::vector<duckdb::LogicalType> types_;
  std::vector<std::optional<duckdb::column_t>> partition_columns_;  // Per field of the plan.
  std::vector<Partition> partitions_;
  std::unordered_map<std::string, size_t> partition_index_;
  std::vector<ScanUnit> units_;
  std::unordered_map<std::string, size_t> by_handle_;
  idx_t row_estimate_ = 0;
};

/// The scans that a session's plans can name. Threads: any.
class ScanRegistry {
 public:
  void Add(const std::shared_ptr<LakeScan>& scan);
  /// Null when no live scan has that capability.
  std::shared_ptr<LakeScan> Find(uint64_t capability) const;

 private:
  mutable std::mutex mutex_;
  std::unordered_map<uint64_t, std::weak_ptr<LakeScan>> scans_;
};

/// A stable name for a path that only this process can make: DuckDB's caches know files by it.
std::string HandleOf(const std::string& path);

}  // namespace tarn::engine
