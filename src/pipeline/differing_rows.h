#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "pipeline/row_digest.h"
#include "schema/table_schema.h"

namespace tarn::pipeline {

/// A row that the source and the lake do not have alike.
struct DifferingRow {
  enum class What { kMissing, kExtra, kOther };  ///< In the lake.
  std::string key;  ///< "id=5, tenant_id=1"; of a table without a key all columns.
  What what = What::kOther;
  std::vector<std::string> columns;  ///< With kOther: those that differ, by their names in the lake.
};
std::string_view DifferenceName(DifferingRow::What what);

/// Finds by key which rows two readings of a table, in whatever order, do not have alike: both sides are read
/// once to Count and, behind Choose, once more to Collect. Memory: a megabyte, and the rows of 64 of 65,536
/// parts of the table. Threads: one.
class DifferingRows {
 public:
  static constexpr size_t kMostNamed = 20;
  enum class Side { kSource, kLake };

  explicit DifferingRows(const schema::TableSchema& table);

  Status Count(Side side, const arrow::RecordBatch& batch);
  /// The parts of the table to look into.
  void Choose();
  Status Collect(Side side, const arrow::RecordBatch& batch);
  /// Some of the rows that differ, by key; at least one when any does, kMostNamed at most.
  std::vector<DifferingRow> Rows() const;

 private:
  /// How often a key is there, and the sums of each column's hashes.
  struct Row {
    std::string text;
    int64_t source = 0, lake = 0;
    std::vector<uint64_t> columns;  ///< Zero where both sides have the same.
  };
  std::string TextOf(const arrow::RecordBatch& batch, int64_t row) const;

  const schema::TableSchema& table_;
  std::vector<schema::Column> key_;
  std::vector<uint64_t> parts_;  ///< Of each part: what the source's rows add and the lake's take away.
  std::vector<bool> chosen_;
  std::map<std::string, Row> rows_;  ///< By the key's bytes.
};

}  // namespace tarn::pipeline
