#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace tarn::avro {

/// Encodes rows of one record batch as Avro records in SchemaFromArrow's schema. Threads: one.
class RowEncoder {
 public:
  /// Errors: kUnsupported names the column. The batch must outlive the encoder.
  static Result<RowEncoder> Make(const arrow::RecordBatch& batch);
  /// Appends one record; nulls in a column that is not nullable are written as zero or empty.
  void Append(int64_t row, std::string* out) const;

 private:
  enum class Cell : uint8_t { kBool, kInt, kLong, kFloat, kDouble, kBytes, kDecimal };
  /// A column's buffers, looked up once per batch.
  struct Column {
    Cell cell = Cell::kInt;
    bool nullable = false;
    const uint8_t* validity = nullptr;
    const uint8_t* values = nullptr;
    const int32_t* offsets = nullptr;
    int64_t offset = 0;
    int width = 0;  ///< Bytes of a decimal's fixed.
  };
  std::vector<Column> columns_;
};

/// Decodes Avro records of one writer's schema into a record batch. Threads: one.
class RowDecoder {
 public:
  /// `schema_json`: the schema that the records were written in.
  static Result<std::unique_ptr<RowDecoder>> Make(const std::string& schema_json);
  virtual ~RowDecoder() = default;
  /// Adds one record; kCorrupt when the bytes end early or are too many.
  virtual Status Append(std::string_view record) = 0;
  /// The rows so far, in SchemaToArrow's schema; the decoder is then empty.
  virtual Result<std::shared_ptr<arrow::RecordBatch>> Finish() = 0;
};

}  // namespace tarn::avro
