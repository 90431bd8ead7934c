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

void ColumnBuffer::BeginBatch() {
  // Growing and shrinking would copy all of it; batches are of about one size.
  (void)values_.Reserve(last_bytes_ + last_bytes_ / 8);
  if (width_ > 0 || is_bits_) return;
  (void)ends_.Reserve(last_rows_ + 1);
  if (ends_.length() == 0) (void)ends_.Append(0);
}

std::shared_ptr<arrow::Array> ColumnBuffer::Finish() {
  if (rows_ == 0) BeginBatch();
  if (open_nulls_ > 0) EndNulls();
  last_bytes_ = values_.length();
  last_rows_ = rows_;
  const auto finish = [](auto& builder) {
    return *builder.Finish(/*shrink_to_fit=*/2 * builder.length() < builder.capacity());
  };
  std::shared_ptr<arrow::Buffer> valid;
  if (nulls_ > 0) valid = *valid_.Finish();
  valid_.Reset();
  std::vector<std::shared_ptr<arrow::Buffer>> buffers{std::move(valid)};
  if (is_bits_) {
    buffers.push_back(*bits_.Finish());
  } else if (width_ > 0) {
    buffers.push_back(finish(values_));
  } else {
    buffers.push_back(finish(ends_));
    buffers.push_back(finish(values_));
  }
  const int64_t rows = std::exchange(rows_, 0);
  return arrow::MakeArray(arrow::ArrayData::Make(type_, rows, std::move(buffers), std::exchange(nulls_, 0)));
}

}  // namespace tarn::cdc
