#include "cdc/column_buffer.h"

#include <arrow/array.h>
#include <arrow/type.h>

namespace tarn::cdc {

ColumnBuffer::ColumnBuffer(std::shared_ptr<arrow::DataType> type) : type_(std::move(type)) {
  is_bits_ = type_->id() == arrow::Type::BOOL;
  const auto* fixed = dynamic_cast<const arrow::FixedWidthType*>(type_.get());
  if (fixed != nullptr && !is_bits_) width_ = fixed->bit_width() / 8;
}

void ColumnBuffer::AppendBytesRepeated(std::string_view value, int64_t count) {
  Begin(count);
  const auto bytes = static_cast<int64_t>(value.size());
  (void)ends_.Reserve(count);
  (void)values_.Reserve(count * bytes);
  for (int64_t i = 0; i < count; i++) {
    values_.UnsafeAppend(value.data(), bytes);
    ends_.UnsafeAppend(static_cast<int32_t>(values_.length()));
  }
}

void ColumnBuffer::EndNulls() {
  const int64_t count = std::exchange(open_nulls_, 0);
  // Until the first NULL there is no validity.
  if (nulls_ == 0) (void)valid_.Append(rows_ - count, true);
  (void)valid_.Append(count, false);
  nulls_ += count;
  if (is_bits_) {
    (void)bits_.Append(count, false);
  } else if (width_ > 0) {
    (void)values_.Append(count * width_, uint8_t{0});
  } else {
    (void)ends_.Append(count, static_cast<int32_t>(values_.length()));
  }
}

std::shared_ptr<arrow::Array> ColumnBuffer::Finish() {
  if (open_nulls_ > 0) EndNulls();
  std::shared_ptr<arrow::Buffer> valid;
  if (nulls_ > 0) valid = *valid_.Finish();
  valid_.Reset();
  std::vector<std::shared_ptr<arrow::Buffer>> buffers{std::move(valid)};
  if (is_bits_) {
    buffers.push_back(*bits_.Finish());
  } else if (width_ > 0) {
    buffers.push_back(*values_.Finish());
  } else {
    // Arrow's offsets begin with the first value's.
    arrow::TypedBufferBuilder<int32_t> offsets;
    (void)offsets.Reserve(rows_ + 1);
    offsets.UnsafeAppend(0);
    offsets.UnsafeAppend(ends_.data(), ends_.length());
    ends_.Reset();
    buffers.push_back(*offsets.Finish());
    buffers.push_back(*values_.Finish());
  }
  const int64_t rows = std::exchange(rows_, 0);
  return arrow::MakeArray(arrow::ArrayData::Make(type_, rows, std::move(buffers), std::exchange(nulls_, 0)));
}

}  // namespace tarn::cdc
