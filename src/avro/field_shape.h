#pragma once

#include <arrow/type_fwd.h>

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"

namespace tarn::avro {

/// Avro types that a table's column can have.
enum class FieldKind {
  kNone,
  kBool,
  kInt,
  kLong,
  kFloat,
  kDouble,
  kString,
  kBytes,
  kDate,
  kTimestamp,
  kTimestampMillis,
  kLocalTimestamp,
  kLocalTimestampMillis,
  kDecimalFixed,
  kDecimalBytes,
  kArray,
  kMap,
  kRecord
};

/// One field of a record schema, ready for decoding.
struct FieldShape {
  std::string name;
  FieldKind kind = FieldKind::kNone;
  int null_branch = -1;  ///< Index of "null" in the union; -1 when the field is no union.
  int size = 0;          ///< Bytes of a fixed.
  int precision = 0, scale = 0;
  std::vector<FieldShape> children = {};  ///< Fields of a record; the one kind of item of an array or map.
};

/// Fields of a record schema. Errors as SchemaToArrow.
Result<std::vector<FieldShape>> ParseRecordShape(const std::string& json);
std::shared_ptr<arrow::DataType> ArrowTypeOf(const FieldShape& shape);

}  // namespace tarn::avro
