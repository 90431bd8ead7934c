#pragma once

#include <arrow/record_batch.h>

#include <memory>

#include "engine/duckdb_headers.h"

namespace tarn::engine {

/// Names and DuckDB types of a schema. Throws what DuckDB throws for types it does not have.
void DuckdbColumns(duckdb::ClientContext& context, const arrow::Schema& schema,
                   duckdb::vector<std::string>* names, duckdb::vector<duckdb::LogicalType>* types);

/// An Arrow batch that DuckDB reads in place. Immutable; shared by the readers of a scan.
class ArrowRows {
 public:
  ArrowRows(duckdb::ClientContext& context, const arrow::RecordBatch& batch);

  idx_t rows() const { return rows_; }
  const duckdb::vector<std::string>& names() const { return names_; }
  const duckdb::vector<duckdb::LogicalType>& types() const { return types_; }

  /// One thread's way through the batch.
  class Cursor {
   public:
    /// `columns` per output column; COLUMN_IDENTIFIER_ROW_ID leaves that output column to the caller.
    Cursor(duckdb::ClientContext& context, const ArrowRows& rows, duckdb::vector<duckdb::column_t> columns);
    /// Fills `out`, which was Reset, with `count` rows from `offset` (at most a vector's).
    void Read(idx_t offset, idx_t count, duckdb::DataChunk& out);

   private:
    const ArrowRows& rows_;
    duckdb::ArrowScanLocalState state_;
  };

 private:
  duckdb::ArrowTableSchema table_;
  duckdb::shared_ptr<duckdb::ArrowArrayWrapper> array_;
  duckdb::vector<std::string> names_;
  duckdb::vector<duckdb::LogicalType> types_;
  idx_t rows_ = 0;
};

}  // namespace tarn::engine
