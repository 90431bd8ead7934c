#include "parquet/text_dictionary.h"

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/builder.h>
#include <arrow/type.h>
#include <arrow/util/bitmap_ops.h>

#include <cstring>

#include "parquet/constant_text.h"

namespace tarn::parquet {
namespace {

template <typename T>
uint64_t Load(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

/// All of up to seven bytes; different ones of one length stay different.
uint64_t LoadFew(std::string_view text) {
  const char* end = text.data() + text.size();
  if (text.size() >= 4) return Load<uint32_t>(text.data()) << 32 | Load<uint32_t>(end - 4);
  if (text.size() >= 2) return Load<uint16_t>(text.data()) << 16 | Load<uint16_t>(end - 2);
  return text.empty() ? 0 : static_cast<unsigned char>(text[0]);
}

/// A copy of the column's validity that begins with its first row; null when all rows have a value.
std::shared_ptr<arrow::Buffer> ValidityOf(const arrow::Array& rows) {
  if (rows.null_count() == 0) return nullptr;
  if (rows.offset() == 0) return rows.null_bitmap();
  return arrow::internal::CopyBitmap(arrow::default_memory_pool(), rows.null_bitmap_data(), rows.offset(),
                                     rows.length())
      .ValueOr(nullptr);
}

}  // namespace

TextDictionary::Key::Key(std::string_view value) : text(value) {
  if (value.size() < 8) {
    first = LoadFew(value);
    return;
  }
  first = Load<uint64_t>(value.data());
  last = Load<uint64_t>(value.data() + value.size() - 8);
}

bool TextDictionary::Key::operator==(const Key& other) const {
  if (first != other.first || last != other.last || text.size() != other.text.size()) return false;
  return text.size() <= 16 || std::memcmp(text.data() + 8, other.text.data() + 8, text.size() - 16) == 0;
}

size_t TextDictionary::Key::slot() const {
  uint64_t hash = (first ^ text.size()) * 0x9E3779B97F4A7C15ULL;
  hash = (hash ^ last ^ hash >> 32) * 0xC2B2AE3D27D4EB4FULL;
  return hash >> 54;
}

int32_t TextDictionary::IndexOf(const Key& key) {
  static_assert(kSlots == 1ULL << (64 - 54));
  size_t slot = key.slot();
  while (slots_[slot] != 0) {
    if (keys_[slots_[slot] - 1] == key) return slots_[slot] - 1;
    slot = (slot + 1) % kSlots;
  }
  if (keys_.size() == kMostValues || key.text.size() > kLongestValue) return -1;
  values_.push_back(std::make_unique<std::string>(key.text));
  keys_.emplace_back(*values_.back());
  slots_[slot] = static_cast<uint16_t>(keys_.size());
  return static_cast<int32_t>(keys_.size()) - 1;
}

std::shared_ptr<arrow::Array> TextDictionary::Encode(const arrow::StringArray& rows) {
  if (gave_up_ || is_dense_) return nullptr;
  auto places = arrow::AllocateBuffer(rows.length() * static_cast<int64_t>(sizeof(int32_t)));
  if (!places.ok()) return nullptr;
  auto* place = reinterpret_cast<int32_t*>((*places)->mutable_data());
  const size_t known = keys_.size();
  const bool has_nulls = rows.null_count() > 0;
  for (int64_t row = 0; row < rows.length(); row++) {
    const int32_t index = has_nulls && rows.IsNull(row) ? 0 : IndexOf(Key(rows.GetView(row)));
    gave_up_ |= index < 0;
    if (gave_up_) return nullptr;
    place[row] = index;
  }
  if (dictionary_ != nullptr && keys_.size() > known) {
    is_dense_ = true;
    return nullptr;
  }
  if (dictionary_ == nullptr) {
    arrow::StringBuilder builder;
    for (const auto& value : values_) {
      if (!builder.Append(*value).ok()) return nullptr;
    }
    dictionary_ = builder.Finish().ValueOr(nullptr);
    if (dictionary_ == nullptr) return nullptr;
  }
  auto validity = ValidityOf(rows);
  if (rows.null_count() > 0 && validity == nullptr) return nullptr;
  auto indices =
      std::make_shared<arrow::Int32Array>(rows.length(), std::shared_ptr<arrow::Buffer>(*std::move(places)),
                                          std::move(validity), rows.null_count());
  return std::make_shared<arrow::DictionaryArray>(ConstantTextType(), std::move(indices), dictionary_);
}

void TextDictionary::BeginGroup() {
  dictionary_ = nullptr;
  is_dense_ = false;
}

}  // namespace tarn::parquet
