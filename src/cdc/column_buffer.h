#pragma once

#include <arrow/buffer_builder.h>
#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <string_view>

namespace tarn::cdc {

/// Collects the values of a column of fixed width, of booleans or of bytes, and hands them over as an Arrow
/// array. Like Arrow's own builders, but what is done for each value is a copy into a buffer, and a column
/// without NULLs has no validity. Its bytes of one batch are below 2 GiB. Threads: one.
class ColumnBuffer {
 public:
  explicit ColumnBuffer(std::shared_ptr<arrow::DataType> type);

  int64_t rows() const { return rows_; }

  void AppendNull() { AppendNulls(1); }
  void AppendNulls(int64_t count) {
    if (rows_ == 0) BeginBatch();
    rows_ += count;
    open_nulls_ += count;
  }

  /// `T` is of the type's width: int32_t, int64_t, float, double, or 16 bytes of a decimal.
  template <typename T>
  void Append(T value) {
    Begin(1);
    // Appending fails only for want of memory, which ends the process anyway.
    (void)values_.Append(&value, sizeof(T));
  }
  template <typename T>
  void AppendRepeated(T value, int64_t count) {
    Begin(count);
    (void)values_.Reserve(count * static_cast<int64_t>(sizeof(T)));
    for (int64_t i = 0; i < count; i++) values_.UnsafeAppend(&value, sizeof(T));
  }
  void AppendBool(bool value) {
    Begin(1);
    (void)bits_.Append(value);
  }
  void AppendBytes(std::string_view value) {
    Begin(1);
    (void)ends_.Append(static_cast<int32_t>(values_.length() + static_cast<int64_t>(value.size())));
    (void)values_.Append(value.data(), static_cast<int64_t>(value.size()));
  }
  void AppendBytesRepeated(std::string_view value, int64_t count);

  /// Hands over what was appended and starts again.
  std::shared_ptr<arrow::Array> Finish();

 private:
  /// So many values follow.
  void Begin(int64_t count) {
    if (rows_ == 0) BeginBatch();
    if (open_nulls_ > 0) EndNulls();
    rows_ += count;
    if (nulls_ > 0) (void)valid_.Append(count, true);
  }
  void EndNulls();
  /// Makes room for as much as the last batch had.
  void BeginBatch();

  std::shared_ptr<arrow::DataType> type_;
  int width_ = 0;  ///< Bytes of a value; 0: it is of bytes, or a bit.
  bool is_bits_ = false;
  int64_t rows_ = 0;
  int64_t nulls_ = 0;       ///< Of those that have their places in the buffers.
  int64_t open_nulls_ = 0;  ///< At the end, which have none yet.
  arrow::BufferBuilder values_;
  arrow::TypedBufferBuilder<int32_t> ends_;  ///< Of bytes; behind the beginning of the first value.
  int64_t last_bytes_ = 0, last_rows_ = 0;   ///< Of the last batch.
  arrow::TypedBufferBuilder<bool> bits_;
  arrow::TypedBufferBuilder<bool> valid_;  ///< Once there are NULLs.
};

}  // namespace tarn::cdc
