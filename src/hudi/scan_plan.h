#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace tarn::hudi {

/// Set bits are row positions (from 0) that a scan must skip; ceil(rows / 64) words.
using PositionBitmap = std::vector<uint64_t>;
/// Null: no row is deleted.
inline bool IsDeleted(const PositionBitmap* deleted, uint64_t row) {
  return deleted != nullptr && row / 64 < deleted->size() && ((*deleted)[row / 64] >> (row % 64) & 1) != 0;
}

/// A Parquet base file to read, and which of its rows are still current.
struct ScanFile {
  std::string path;  ///< Full path in the store; never changes its content.
  int64_t size_bytes = 0;
  int64_t rows = 0;
  std::vector<std::string> partition;  ///< Values of ScanPlan::partition_fields, in that order, unescaped.
  std::shared_ptr<const PositionBitmap>
      deleted;  ///< Shared with the planner's cache; null when no row is deleted.
};

/// Newest rows that live in log files or in no file yet, already merged: one row a key.
struct HotRows {
  std::vector<std::string> partition;
  std::shared_ptr<arrow::RecordBatch> rows;  ///< Schema of the plan. Shared with the planner's cache.
  int64_t size_bytes = 0;                    ///< Bytes of the log files behind it.
  std::shared_ptr<const PositionBitmap> deleted = nullptr;  ///< Rows to skip; null when none is.
};

/// What one table is, as of one instant: its current rows are those of `files` that are not deleted, and
/// `hot`.
struct ScanPlan {
  std::shared_ptr<arrow::Schema> schema;  ///< Every column, the five _hoodie_ ones first where they exist.
  std::vector<std::string>
      partition_fields;  ///< Names of columns (which the files hold, too); empty when unpartitioned.
  std::vector<ScanFile> files;
  std::vector<HotRows> hot;
  std::string instant;  ///< Newest instant included; empty for an empty table.
  /// When commits completed, where that is not their instant; null: it always is.
  std::shared_ptr<const std::map<std::string, std::string>> completions = nullptr;
  /// Partition columns are in the folders' names alone: ScanFile::partition has their values.
  bool partitions_are_folders = false;
  bool widens_floats_by_text = false;  ///< Floats of older files become doubles as Spark makes them.
  int64_t log_files = 0;
  int64_t log_bytes = 0;
};

}  // namespace tarn::hudi
