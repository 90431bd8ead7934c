#include "pipeline/key_numbers.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "base/test_seed.h"

namespace tarn::pipeline {
namespace {

TEST(KeyNumbersTest, NumberKeysAsAMapDoes) {
  const uint32_t seed = TestSeed();
  std::mt19937_64 random(seed);
  arrow::Int64Builder numbers;
  arrow::StringBuilder texts;
  arrow::Decimal128Builder decimals(arrow::decimal128(9, 2));
  std::vector<std::string> expected;
  for (int row = 0; row < 20'000; row++) {
    const auto number = static_cast<int64_t>(random() % 40);
    const std::string text(random() % 4, static_cast<char>('a' + random() % 2));
    const auto decimal = static_cast<int64_t>(random() % 3);
    ASSERT_TRUE((number == 0 ? numbers.AppendNull() : numbers.Append(number)).ok());
    ASSERT_TRUE((text == "aaa" ? texts.AppendNull() : texts.Append(text)).ok());
    ASSERT_TRUE(decimals.Append(arrow::Decimal128(decimal)).ok());
    expected.push_back((number == 0 ? "null" : std::to_string(number)) + "/" +
                       (text == "aaa" ? "null" : "'" + text) + "/" + std::to_string(decimal));
  }
  const arrow::ArrayVector columns = {*numbers.Finish(), *texts.Finish(), *decimals.Finish()};
  KeyNumbers keys(20'000);
  std::map<std::string, uint32_t> known;
  for (int row = 0; row < 20'000; row++) {
    const auto [it, added] = known.emplace(expected[static_cast<size_t>(row)], known.size());
    ASSERT_EQ(keys.Of(columns, row), it->second) << it->first << ", seed " << seed;
  }
}

TEST(KeyNumbersTest, PartsDoNotRunIntoEachOther) {
  arrow::StringBuilder first, second;
  for (const auto& [a, b] : {std::pair{"ab", "c"}, {"a", "bc"}, {"abc", ""}, {"ab", "c"}}) {
    ASSERT_TRUE(first.Append(a).ok());
    ASSERT_TRUE(second.Append(b).ok());
  }
  const arrow::ArrayVector columns = {*first.Finish(), *second.Finish()};
  KeyNumbers keys(4);
  EXPECT_EQ(keys.Of(columns, 0), 0U);
  EXPECT_EQ(keys.Of(columns, 1), 1U);
  EXPECT_EQ(keys.Of(columns, 2), 2U);
  EXPECT_EQ(keys.Of(columns, 3), 0U);
}

}  // namespace
}  // namespace tarn::pipeline
