#pragma once

#include <memory>
#include <vector>

#include "engine/lake_scan.h"

namespace tarn::engine {

/// The file list that DuckDB's multi-file reader walks: those units of a scan that pruning has left.
class ScanFiles : public duckdb::MultiFileList {
 public:
  ScanFiles(std::shared_ptr<LakeScan> scan, std::vector<size_t> selected);
  static duckdb::unique_ptr<ScanFiles> All(std::shared_ptr<LakeScan> scan);

  const std::shared_ptr<LakeScan>& scan() const { return scan_; }
  const std::vector<size_t>& selected() const { return selected_; }

  duckdb::unique_ptr<duckdb::MultiFileList> ComplexFilterPushdown(
      duckdb::ClientContext& context, const duckdb::MultiFileOptions& options,
      duckdb::MultiFilePushdownInfo& info,
      duckdb::vector<duckdb::unique_ptr<duckdb::Expression>>& filters) const override;
  duckdb::unique_ptr<duckdb::MultiFileList> DynamicFilterPushdown(
      duckdb::ClientContext& context, const duckdb::MultiFileOptions& options,
      const duckdb::vector<std::string>& names, const duckdb::vector<duckdb::LogicalType>& types,
      const duckdb::vector<duckdb::column_t>& column_ids, duckdb::TableFilterSet& filters) const override;
  duckdb::vector<duckdb::OpenFileInfo> GetAllFiles() const override;
  duckdb::FileExpandResult GetExpandResult() const override;
  idx_t GetTotalFileCount() const override { return selected_.size(); }
  duckdb::unique_ptr<duckdb::NodeStatistics> GetCardinality(duckdb::ClientContext& context) const override;
  duckdb::unique_ptr<duckdb::MultiFileList> Copy() const override;

 protected:
  duckdb::OpenFileInfo GetFile(idx_t i) const override;

 private:
  // Null when every unit stays.
  duckdb::unique_ptr<duckdb::MultiFileList> Without(const std::vector<bool>& dropped_partitions) const;

  std::shared_ptr<LakeScan> scan_;
  std::vector<size_t> selected_;  // Indexes of units, ascending.
};

/// Where OpenFileInfo carries the capability of the scan that lists the file. SQL cannot set it.
inline constexpr const char* kCapabilityOption = "tarn_scan";

}  // namespace tarn::engine
