#pragma once

#include <mutex>
#include <unordered_map>

#include "engine/arrow_rows.h"
#include "hudi/scan_plan.h"

namespace tarn::engine {

/// Rows in memory as one more file of a scan, so that projection, filters, late materialisation and pruning
/// work on them as on Parquet.
class HotReader : public duckdb::BaseFileReader {
 public:
  HotReader(duckdb::ClientContext& context, duckdb::OpenFileInfo file, const hudi::HotRows& hot);

  void AddVirtualColumn(duckdb::column_t column) override;
  bool TryInitializeScan(duckdb::ClientContext& context, duckdb::GlobalTableFunctionState& global,
                         duckdb::LocalTableFunctionState& local) override;
  duckdb::AsyncResult Scan(duckdb::ClientContext& context, duckdb::GlobalTableFunctionState& global,
                           duckdb::LocalTableFunctionState& local, duckdb::DataChunk& out) override;
  std::string GetReaderType() const override { return "Hot"; }

 private:
  // One thread's part. The local state that DuckDB hands around is Parquet's, so these are kept beside it.
  struct Part {
    idx_t position = 0;
    idx_t end = 0;
    std::unique_ptr<ArrowRows::Cursor> cursor;
    std::vector<std::pair<idx_t, duckdb::unique_ptr<duckdb::TableFilterState>>> filter_states;
  };

  Part& PartOf(duckdb::LocalTableFunctionState& local);
  duckdb::vector<duckdb::column_t> CursorColumns();
  void FillRowNumbers(idx_t first, duckdb::DataChunk& out);
  /// Takes out the rows that a newer change replaced. `first`: the chunk's first row.
  void SkipDeleted(idx_t first, duckdb::DataChunk& out) const;
  void ApplyFilters(duckdb::ClientContext& context, Part& part, duckdb::DataChunk& out);

  ArrowRows rows_;
  std::shared_ptr<const hudi::PositionBitmap> deleted_;
  idx_t table_columns_;
  std::mutex mutex_;
  idx_t next_ = 0;
  std::unordered_map<duckdb::LocalTableFunctionState*, std::unique_ptr<Part>> parts_;
};

}  // namespace tarn::engine
