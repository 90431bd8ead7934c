#include "pipeline/key_numbers.h"

#include <arrow/api.h>

#include <bit>
#include <functional>

namespace tarn::pipeline {
namespace {

constexpr uint32_t kFree = UINT32_MAX;

/// Appends a value's bytes so that different values give different text.
void AppendKeyPart(const arrow::Array& column, int64_t row, std::string& out) {
  if (column.IsNull(row)) {
    out += '\0';
    return;
  }
  out += '\1';
  switch (column.type_id()) {
    case arrow::Type::INT64: {
      const int64_t value = static_cast<const arrow::Int64Array&>(column).Value(row);
      out.append(reinterpret_cast<const char*>(&value), sizeof value);
      return;
    }
    case arrow::Type::INT32: {
      const int32_t value = static_cast<const arrow::Int32Array&>(column).Value(row);
      out.append(reinterpret_cast<const char*>(&value), sizeof value);
      return;
    }
    case arrow::Type::STRING:
    case arrow::Type::BINARY: {
      const auto value = static_cast<const arrow::BinaryArray&>(column).GetView(row);
      const auto size = static_cast<uint32_t>(value.size());
      out.append(reinterpret_cast<const char*>(&size), sizeof size);
      out.append(value);
      return;
    }
    default: {
      const std::string value = column.GetScalar(row).ValueOrDie()->ToString();
      const auto size = static_cast<uint32_t>(value.size());
      out.append(reinterpret_cast<const char*>(&size), sizeof size);
      out += value;
    }
  }
}

}  // namespace

KeyNumbers::KeyNumbers(int64_t keys) : slots_(std::bit_ceil(static_cast<size_t>(keys) * 2 + 2), kFree) {
  begins_.reserve(static_cast<size_t>(keys) + 1);
  begins_.push_back(0);
}

uint32_t KeyNumbers::Of(const arrow::ArrayVector& columns, int64_t row) {
  const size_t begin = bytes_.size();
  for (const auto& column : columns) AppendKeyPart(*column, row, bytes_);
  const auto key = std::string_view(bytes_).substr(begin);
  const size_t mask = slots_.size() - 1;
  size_t at = std::hash<std::string_view>()(key) & mask;
  for (; slots_[at] != kFree; at = (at + 1) & mask) {
    if (KeyAt(slots_[at]) != key) continue;
    bytes_.resize(begin);
    return slots_[at];
  }
  slots_[at] = static_cast<uint32_t>(begins_.size() - 1);
  begins_.push_back(bytes_.size());
  return slots_[at];
}

}  // namespace tarn::pipeline
