#include "cdc/column_buffer.h"

#include <arrow/api.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "base/test_seed.h"

namespace tarn::cdc {
namespace {

/// Arrow's own builder says what must come out, whatever is appended in whatever order.
template <typename Builder, typename Value, typename Append>
void ExpectAsArrow(const std::shared_ptr<arrow::DataType>& type, std::mt19937& random, Value value,
                   Append append) {
  ColumnBuffer column(type);
  for (int batch = 0; batch < 30; batch++) {
    std::unique_ptr<arrow::ArrayBuilder> made;
    ASSERT_TRUE(arrow::MakeBuilder(arrow::default_memory_pool(), type, &made).ok());
    auto& builder = static_cast<Builder&>(*made);
    // Also none, and no NULL at all.
    const auto runs = batch == 0 ? 0U : random() % 20;
    const bool has_nulls = batch % 3 != 1;
    for (unsigned run = 0; run < runs; run++) {
      const auto count = static_cast<int64_t>(random() % 70);
      if (has_nulls && random() % 2 == 0) {
        column.AppendNulls(count);
        ASSERT_TRUE(builder.AppendNulls(count).ok());
        continue;
      }
      const auto of_run = value(random);
      append(column, of_run, count);
      for (int64_t i = 0; i < count; i++) ASSERT_TRUE(builder.Append(of_run).ok());
    }
    EXPECT_EQ(column.rows(), builder.length());
    const auto got = column.Finish();
    const auto expected = *builder.Finish();
    ASSERT_TRUE(got->ValidateFull().ok()) << got->ValidateFull().ToString();
    ASSERT_TRUE(got->Equals(*expected)) << got->ToString() << expected->ToString();
    EXPECT_EQ(got->null_count(), expected->null_count());
  }
}

TEST(ColumnBufferTest, ItIsWhatArrowBuilds) {
  const uint32_t seed = TestSeed();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const auto repeated = [](ColumnBuffer& column, auto value, int64_t count) {
    column.AppendRepeated(value, count);
  };
  const auto one_by_one = [](ColumnBuffer& column, auto value, int64_t count) {
    for (int64_t i = 0; i < count; i++) column.Append(value);
  };
  const auto number = [](std::mt19937& from) { return static_cast<int64_t>(from()) - (int64_t{1} << 31); };
  ExpectAsArrow<arrow::Int64Builder>(arrow::int64(), random, number, repeated);
  ExpectAsArrow<arrow::Int64Builder>(arrow::int64(), random, number, one_by_one);
  ExpectAsArrow<arrow::Date32Builder>(
      arrow::date32(), random, [](std::mt19937& from) { return static_cast<int32_t>(from()); }, one_by_one);
  ExpectAsArrow<arrow::BooleanBuilder>(
      arrow::boolean(), random, [](std::mt19937& from) { return from() % 2 == 0; },
      [](ColumnBuffer& column, bool value, int64_t count) {
        for (int64_t i = 0; i < count; i++) column.AppendBool(value);
      });
  ExpectAsArrow<arrow::Decimal128Builder>(
      arrow::decimal128(38, 3), random,
      [](std::mt19937& from) { return arrow::Decimal128(static_cast<int64_t>(from()) - 1, from()); },
      [](ColumnBuffer& column, const arrow::Decimal128& value, int64_t count) {
        const auto bytes = value.ToBytes();
        for (int64_t i = 0; i < count; i++) column.Append(bytes);
      });
  const auto text = [](std::mt19937& from) {
    return std::string(from() % 9, 'a' + static_cast<char>(from() % 26));
  };
  ExpectAsArrow<arrow::StringBuilder>(arrow::utf8(), random, text,
                                      [](ColumnBuffer& column, const std::string& value, int64_t count) {
                                        column.AppendBytesRepeated(value, count);
                                      });
  ExpectAsArrow<arrow::BinaryBuilder>(arrow::binary(), random, text,
                                      [](ColumnBuffer& column, const std::string& value, int64_t count) {
                                        for (int64_t i = 0; i < count; i++) column.AppendBytes(value);
                                      });
}

}  // namespace
}  // namespace tarn::cdc
