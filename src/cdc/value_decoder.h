#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "cdc/column_buffer.h"
#include "schema/pg_type.h"

namespace tarn::cdc {

/// Appends a column's values, given in PostgreSQL's text or binary form, to an Arrow column of
/// ArrowType(type). A value that the Arrow type cannot hold exactly (infinity, NaN as decimal, a year
/// outside 1..9999) or that is malformed is not appended: the reason is returned and the caller decides.
/// Threads: one.
class ValueDecoder {
 public:
  explicit ValueDecoder(const schema::PgType& type);

  void AppendNull() { column_.AppendNull(); }
  /// Null on success, else why the value cannot be held (a static text); then nothing was appended.
  const char* AppendText(std::string_view value);
  const char* AppendBinary(std::string_view value);

  /// Hands over what was appended and starts again.
  std::shared_ptr<arrow::Array> Finish() { return column_.Finish(); }

 private:
  schema::PgType type_;
  ColumnBuffer column_;
};

}  // namespace tarn::cdc
