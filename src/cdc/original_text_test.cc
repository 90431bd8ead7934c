#include "cdc/original_text.h"

#include <gtest/gtest.h>

#include <limits>

namespace tarn::cdc {
namespace {

std::string Big(uint64_t value, int bytes) {
  std::string out;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
  return out;
}

std::string OfDate(int32_t days) {
  schema::Column column;
  column.type = schema::MakePgType(schema::kDateOid, -1);
  return OriginalText(column, Big(static_cast<uint32_t>(days), 4));
}

std::string OfTimestamp(int64_t micros, uint32_t oid = schema::kTimestamptzOid) {
  schema::Column column;
  column.type_oid = oid;
  column.type = schema::MakePgType(oid, -1);
  return OriginalText(column, Big(static_cast<uint64_t>(micros), 8));
}

// The numbers are PostgreSQL's: date - '2000-01-01', and extract(epoch) of timestamps.
TEST(OriginalTextTest, DatesOfAnyYear) {
  EXPECT_EQ(OfDate(std::numeric_limits<int32_t>::max()), "infinity");
  EXPECT_EQ(OfDate(std::numeric_limits<int32_t>::min()), "-infinity");
  EXPECT_EQ(OfDate(0), "2000-01-01");
  EXPECT_EQ(OfDate(-730'120), "0001-12-31 BC");
  EXPECT_EQ(OfDate(-2'451'545), "4714-11-24 BC");
  EXPECT_EQ(OfDate(2'921'940), "10000-01-01");
  EXPECT_EQ(OfDate(2'145'031'948), "5874897-12-31");
}

TEST(OriginalTextTest, TimesOfAnyYear) {
  EXPECT_EQ(OfTimestamp(std::numeric_limits<int64_t>::max()), "infinity");
  EXPECT_EQ(OfTimestamp(std::numeric_limits<int64_t>::min(), schema::kTimestampOid), "-infinity");
  EXPECT_EQ(OfTimestamp(9'223'371'331'199'999'999), "294276-12-31 23:59:59.999999+00");
  EXPECT_EQ(OfTimestamp(-211'813'488'000'000'000), "4714-11-24 00:00:00+00 BC");
  EXPECT_EQ(OfTimestamp(-211'813'487'999'500'000, schema::kTimestampOid), "4714-11-24 00:00:00.5 BC");
}

TEST(OriginalTextTest, NumbersAndTheRest) {
  schema::Column column;
  column.type = {schema::PgKind::kDecimal, 12, 2};
  EXPECT_EQ(OriginalText(column, Big(0xC0000000, 8)), "NaN");
  EXPECT_EQ(OriginalText(column, Big(0xF0000000, 8)), "-Infinity");
  EXPECT_EQ(OriginalText(column, "\x01\xff"), "\\x01ff");
  column.type = {schema::PgKind::kDate};
  EXPECT_EQ(OriginalText(column, "abc"), "\\x616263");
}

}  // namespace
}  // namespace tarn::cdc
