#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/lsn.h"

namespace tarn {
namespace {

TEST(LsnTest, RoundTripsPostgresForm) {
  const auto lsn = Lsn::Parse("16/B374D848");
  ASSERT_TRUE(lsn);
  EXPECT_EQ(lsn->value, 0x16B374D848ULL);
  EXPECT_EQ(lsn->ToString(), "16/B374D848");
}

TEST(LsnTest, RefusesWhatIsNotOne) {
  for (const char* text : {"", "/", "0/", "x/1", "1/2 ", "123"}) {
    const auto lsn = Lsn::Parse(text);
    ASSERT_FALSE(lsn) << text;
    EXPECT_NE(lsn.error().message.find(text), std::string::npos);
  }
}

TEST(LsnTest, OrderingRisesWithTheEpoch) {
  EXPECT_GT(OrderingValue(1, Lsn{1}), OrderingValue(0, Lsn{1ULL << 50}));
  EXPECT_EQ(OrderingLsn(OrderingValue(3, Lsn{77})).value, 77U);
  EXPECT_EQ(OrderingEpoch(OrderingValue(3, Lsn{77})), 3);
}

TEST(ClockTest, TimestampsRoundTrip) {
  for (const char* text :
       {"2026-11-22 10:15:00.123456", "1969-12-31 23:59:59.000001", "2000-02-29 00:00:00.000000",
        "0001-01-01 00:00:00.000000", "9999-12-31 23:59:59.999999", "1900-03-01 07:08:09.000010"}) {
    const auto micros = ParseTimestamp(text);
    ASSERT_TRUE(micros) << text;
    EXPECT_EQ(FormatTimestamp(*micros), text);
  }
  EXPECT_EQ(*ParseTimestamp("2026-11-22T12:00:00+02:00"), *ParseTimestamp("2026-11-22 10:00:00"));
  EXPECT_EQ(FormatTimestamp(253'402'300'800'000'000), "10000-01-01 00:00:00.000000");
  EXPECT_EQ(FormatTimestamp(-62'198'755'200'000'001), "-002-12-31 23:59:59.999999");
  EXPECT_FALSE(ParseTimestamp("yesterday"));
  EXPECT_FALSE(ParseTimestamp("2026-13-01"));
}

Result<int> Half(int value) {
  if (value % 2 != 0) return MakeError(ErrorCode::kInvalidArgument, "{} is odd", value);
  return value / 2;
}

Result<int> Quarter(int value) {
  TARN_ASSIGN(const int half, Half(value));
  return Half(half);
}

TEST(ResultTest, ErrorsTravel) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(Quarter(6).error().message, "3 is odd");
  EXPECT_EQ(Quarter(5).error().message, "5 is odd");
}

}  // namespace
}  // namespace tarn
