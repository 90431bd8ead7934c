#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "schema/pg_type.h"

namespace tarn::cdc {

/// Appends a column's values, given in PostgreSQL's text or binary form, to an Arrow builder of
/// ArrowType(type). A value that the Arrow type cannot hold exactly (infinity, NaN as decimal, a year
/// outside 1..9999) or that is malformed is not appended: the reason is returned and the caller decides.
/// Threads: one.
class ValueDecoder {
 public:
  explicit ValueDecoder(const schema::PgType& type);
  ~ValueDecoder();
  ValueDecoder(ValueDecoder&&) noexcept;

  void AppendNull();
  /// Null on success, else why the value cannot be held (a static text); then nothing was appended.
  const char* AppendText(std::string_view value);
  const char* AppendBinary(std::string_view value);

  /// Hands over what was appended and starts again.
  std::shared_ptr<arrow::Array> Finish();

 private:
  schema::PgType type_;
  std::unique_ptr<arrow::ArrayBuilder> builder_;
};

}  // namespace tarn::cdc
