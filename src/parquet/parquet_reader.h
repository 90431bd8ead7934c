#pragma once

#include <arrow/io/interfaces.h>
#include <arrow/type_fwd.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace tarn::parquet {

/// Takes a batch and the position in the file of its first row; an error stops the scan.
using BatchSink = std::function<Status(const std::shared_ptr<arrow::RecordBatch>& rows, int64_t first_row)>;

/// Rows of a file one after the other, as somebody asks for them. Memory: a row group, as it is stored, and a
/// batch. Threads: one.
class RowStream {
 public:
  virtual ~RowStream() = default;
  /// Null at the end. Errors: kCorrupt names the file.
  virtual Result<std::shared_ptr<arrow::RecordBatch>> Next() = 0;
};

/// Reads one Parquet file. Threads: one.
class FileReader {
 public:
  /// `name` is for messages. Errors: kCorrupt when the footer cannot be read.
  static Result<std::unique_ptr<FileReader>> Open(std::shared_ptr<arrow::io::RandomAccessFile> file,
                                                  std::string name);
  virtual ~FileReader() = default;
  virtual std::shared_ptr<arrow::Schema> schema() const = 0;
  virtual int64_t rows() const = 0;
  /// A value of the footer's key-value metadata.
  virtual std::optional<std::string> Metadata(const std::string& key) const = 0;
  /// The rows [begin, end) in order, in batches; row groups outside the range are not read. Columns that the
  /// file does not have are left out.
  virtual Status Scan(const std::vector<std::string>& columns, int64_t begin, int64_t end,
                      const BatchSink& sink) = 0;
  /// All columns of the rows from `begin` on, in small batches. The stream keeps the reader.
  static std::unique_ptr<RowStream> Stream(std::shared_ptr<FileReader> reader, int64_t begin);
  /// Exactly the rows at these positions (rising); only their row groups are read. Errors: kInvalidArgument
  /// names a position past the end.
  virtual Result<std::shared_ptr<arrow::RecordBatch>> ReadRows(const std::vector<std::string>& columns,
                                                               const std::vector<int64_t>& positions) = 0;
};

}  // namespace tarn::parquet
