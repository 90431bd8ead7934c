#include "parquet/constant_text.h"

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/type.h>

#include <cstring>
#include <numeric>
#include <vector>

namespace tarn::parquet {
namespace {

bool IsOneValue(const arrow::StringArray& text) {
  if (text.length() == 0 || text.null_count() > 0) return false;
  const int32_t* offsets = text.raw_value_offsets();
  const int32_t width = offsets[1] - offsets[0];
  int32_t differs = 0;
  for (int64_t row = 0; row < text.length(); row++) differs |= (offsets[row + 1] - offsets[row]) ^ width;
  if (differs != 0) return false;
  // All are as the one before.
  const uint8_t* bytes = text.raw_data() + offsets[0];
  return std::memcmp(bytes, bytes + width, static_cast<size_t>(width) * (text.length() - 1)) == 0;
}

}  // namespace

std::shared_ptr<arrow::DataType> ConstantTextType() {
  return arrow::dictionary(arrow::int32(), arrow::utf8());
}

std::shared_ptr<arrow::Array> AsConstantText(const std::shared_ptr<arrow::Array>& text) {
  const bool is_one = IsOneValue(static_cast<const arrow::StringArray&>(*text));
  std::vector<int32_t> places(static_cast<size_t>(text->length()), 0);
  if (!is_one) std::iota(places.begin(), places.end(), 0);
  auto indices = std::make_shared<arrow::Int32Array>(
      text->length(), arrow::Buffer::FromVector(std::move(places)), text->null_bitmap(), text->null_count());
  return std::make_shared<arrow::DictionaryArray>(ConstantTextType(), std::move(indices),
                                                  is_one ? text->Slice(0, 1) : text);
}

}  // namespace tarn::parquet
