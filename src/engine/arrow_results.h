#pragma once

#include <arrow/type_fwd.h>

#include <memory>

#include "base/error.h"
#include "engine/duckdb_headers.h"

namespace tarn::engine {

/// Turns a DuckDB result into Arrow batches. Threads: one at a time.
class ArrowResults {
 public:
  /// Throws what DuckDB throws for types that Arrow does not have.
  explicit ArrowResults(duckdb::unique_ptr<duckdb::QueryResult> result);

  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }
  /// At most `max_rows` rows; null at the end. `error` is set where DuckDB failed.
  std::shared_ptr<arrow::RecordBatch> Next(idx_t max_rows, duckdb::ErrorData* error);

 private:
  duckdb::unique_ptr<duckdb::QueryResult> result_;
  duckdb::ClientProperties properties_;
  std::unordered_map<idx_t, const duckdb::shared_ptr<duckdb::ArrowTypeExtensionData>> extension_types_;
  duckdb::unique_ptr<duckdb::QueryResultChunkScanState> chunks_;
  std::shared_ptr<arrow::Schema> schema_;
};

}  // namespace tarn::engine
