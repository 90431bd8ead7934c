#pragma once

#include <memory>
#include <string>

#include "engine/lake_scan.h"
#include "engine/scan_files.h"

namespace tarn::engine {

/// What a scan's table function carries from its catalog entry to its reader.
struct ScanFunctionInfo : duckdb::TableFunctionInfo {
  explicit ScanFunctionInfo(std::shared_ptr<LakeScan> lake_scan) : scan(std::move(lake_scan)) {}
  std::shared_ptr<LakeScan> scan;
};

/// DuckDB's multi-file reader over a LakeScan: its columns, its files, its deleted rows.
class ScanReader : public duckdb::MultiFileReader {
 public:
  explicit ScanReader(std::shared_ptr<LakeScan> scan) : scan_(std::move(scan)) {
    function_name = "tarn_scan";
  }
  /// For TableFunction::get_multi_file_reader.
  static duckdb::unique_ptr<duckdb::MultiFileReader> Make(const duckdb::TableFunction& function);

  duckdb::shared_ptr<duckdb::MultiFileList> CreateFileList(duckdb::ClientContext& context,
                                                           const duckdb::vector<std::string>& paths,
                                                           const duckdb::FileGlobInput& glob_input) override;
  bool Bind(duckdb::MultiFileOptions& options, duckdb::MultiFileList& files,
            duckdb::vector<duckdb::LogicalType>& types, duckdb::vector<std::string>& names,
            duckdb::MultiFileReaderBindData& bind_data) override;
  void FinalizeBind(duckdb::MultiFileReaderData& reader_data, const duckdb::MultiFileOptions& options,
                    const duckdb::MultiFileReaderBindData& bind_data,
                    const duckdb::vector<duckdb::MultiFileColumnDefinition>& global_columns,
                    const duckdb::vector<duckdb::ColumnIndex>& global_column_ids,
                    duckdb::ClientContext& context,
                    duckdb::optional_ptr<duckdb::MultiFileReaderGlobalState> global_state) override;
  using duckdb::MultiFileReader::CreateReader;
  duckdb::shared_ptr<duckdb::BaseFileReader> CreateReader(
      duckdb::ClientContext& context, duckdb::GlobalTableFunctionState& state,
      const duckdb::OpenFileInfo& file, idx_t file_index,
      const duckdb::MultiFileBindData& bind_data) override;
  duckdb::TablePartitionInfo GetPartitionInfo(duckdb::ClientContext& context,
                                              const duckdb::MultiFileReaderBindData& bind_data,
                                              duckdb::TableFunctionPartitionInput& input) override;
  duckdb::unique_ptr<duckdb::MultiFileReader> Copy() const override;

 private:
  /// Gives a file's partition columns the values of its folder; NULL where the name says so.
  void AddFolderValues(size_t partition, const duckdb::vector<duckdb::ColumnIndex>& global_column_ids,
                       duckdb::MultiFileReaderData* reader_data) const;
  size_t UnitOf(const std::string& handle) const;

  std::shared_ptr<LakeScan> scan_;
};

}  // namespace tarn::engine
