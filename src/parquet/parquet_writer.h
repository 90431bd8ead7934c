#pragma once

#include <arrow/io/interfaces.h>
#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "base/error.h"

namespace tarn::parquet {

struct WriterOptions {
  int64_t row_group_rows = 128 * 1024;
  /// Columns that are unique by nature: written without a dictionary and without statistics.
  std::set<std::string> unique_columns;
  /// Columns by which no reader is expected to pass over row groups: without statistics where they are of
  /// text and mostly distinct, which is where statistics cost something.
  std::set<std::string> unpruned_columns;
};

/// Writes one Parquet file that every Hudi reader accepts: Zstandard level 1, decimals as
/// FIXED_LEN_BYTE_ARRAY of minimal width, timestamps as INT64 microseconds, dates and times of all years in
/// the one calendar, and a footer that tells Spark so. Whether a column gets a
/// dictionary is decided by the first batch: those with few different values do. Memory: one row group,
/// compressed. Threads: one.
class FileWriter {
 public:
  /// `stream` must outlive the writer, which does not close it. A column of dictionary<int32, utf8> is stored
  /// as plain text, the dictionary only spares the work.
  static Result<std::unique_ptr<FileWriter>> Open(arrow::io::OutputStream* stream,
                                                  std::shared_ptr<arrow::Schema> schema,
                                                  WriterOptions options);
  virtual ~FileWriter() = default;
  /// Rows of the schema given to Open.
  virtual Status Write(const arrow::RecordBatch& rows) = 0;
  /// A key and value for the footer; before Close.
  virtual Status AddMetadata(const std::string& key, const std::string& value) = 0;
  /// Writes the footer. Durability: none; the stream's owner publishes.
  virtual Status Close() = 0;
  virtual int64_t rows() const = 0;
  /// The next rows begin a row group of their own, when the present one has `least` rows or more: so rows
  /// that do not belong together do not share its statistics.
  virtual void EndRowGroup(int64_t least) = 0;
  /// Bytes written so far, and those still buffered, roughly.
  virtual int64_t bytes() const = 0;
};

}  // namespace tarn::parquet
