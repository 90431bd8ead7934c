#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "schema/table_schema.h"

namespace tarn::pipeline {

/// One side of one table: how many rows, and a sum over hashes of all their columns that no order changes.
struct TableDigest {
  int64_t rows = 0;
  uint64_t low = 0, high = 0;
  bool operator==(const TableDigest&) const = default;
};

/// A column of the source as a batch of the lake or of a copy has it, in the type that its source type maps
/// to. One that the batch lacks is NULL in all rows: the lake learns of an added one by the first change
/// behind it.
Result<std::shared_ptr<arrow::Array>> SourceColumn(const arrow::RecordBatch& batch,
                                                   const schema::Column& column);

/// Appends each row's value to that row's bytes.
Status AppendColumn(const arrow::Array& column, std::vector<std::string>& rows);

/// Each row's bytes of these columns, by their source types; different rows have different bytes.
Result<std::vector<std::string>> RowBytes(const std::vector<schema::Column>& columns,
                                          const arrow::RecordBatch& batch);

/// Adds the rows of a batch, by the table's source columns and their types.
Status AddRows(const schema::TableSchema& table, const arrow::RecordBatch& batch, TableDigest& digest);

}  // namespace tarn::pipeline
