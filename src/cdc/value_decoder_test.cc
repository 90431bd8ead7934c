#include "cdc/value_decoder.h"

#include <arrow/array.h>
#include <arrow/scalar.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "base/test_seed.h"

namespace tarn::cdc {
namespace {

using schema::PgKind;
using schema::PgType;

std::string Printed(const PgType& type, std::string_view text) {
  ValueDecoder decoder(type);
  if (const char* reason = decoder.AppendText(text)) return std::string("refused: ") + reason;
  return decoder.Finish()->GetScalar(0).ValueOrDie()->ToString();
}

std::string Big(uint64_t value, int bytes) {
  std::string out;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
  return out;
}

TEST(ValueDecoderTest, TextForms) {
  EXPECT_EQ(Printed({PgKind::kBool}, "t"), "true");
  EXPECT_EQ(Printed({PgKind::kInt64}, "-9223372036854775808"), "-9223372036854775808");
  EXPECT_EQ(Printed({PgKind::kDecimal, 12, 2}, "-1234567890.12"), "-1234567890.12");
  EXPECT_EQ(Printed({PgKind::kDecimal, 12, 2}, "0.00"), "0.00");
  EXPECT_EQ(Printed({PgKind::kDate}, "2024-02-29"), "2024-02-29");
  EXPECT_EQ(Printed({PgKind::kTimestamp}, "2026-11-22 10:15:00.5+00"), "2026-11-22 10:15:00.500000Z");
  EXPECT_EQ(Printed({PgKind::kTimestamp}, "0001-01-01 00:00:00"), "0001-01-01 00:00:00.000000Z");
  EXPECT_EQ(Printed({PgKind::kTextCast}, "{1,2,NULL}"), "{1,2,NULL}");
}

TEST(ValueDecoderTest, WhatTheLakeCannotHoldIsRefusedNotRounded) {
  EXPECT_EQ(Printed({PgKind::kDecimal, 12, 2}, "NaN"), "refused: NaN has no place in a decimal");
  EXPECT_EQ(Printed({PgKind::kTimestamp}, "infinity"), "refused: infinity has no place in the lake's type");
  EXPECT_EQ(Printed({PgKind::kDate}, "0044-03-15 BC"), "refused: the year is outside 1 to 9999");
  EXPECT_EQ(Printed({PgKind::kTimestamp}, "12026-11-22 10:15:00+00"),
            "refused: the year is outside 1 to 9999");
  EXPECT_EQ(Printed({PgKind::kInt32}, "12x"), "refused: malformed value");
}

/// The binary form of a numeric: base-10000 digits, the first of which stands for 10000^weight.
std::string Numeric(int weight, const std::vector<int>& digits) {
  std::string out = Big(digits.size(), 2) + Big(static_cast<uint64_t>(weight), 2) + Big(0, 2) + Big(0, 2);
  for (const int digit : digits) out += Big(static_cast<uint64_t>(digit), 2);
  return out;
}

std::string PrintedBinary(const PgType& type, std::string_view bytes) {
  ValueDecoder decoder(type);
  if (const char* reason = decoder.AppendBinary(bytes)) return std::string("refused: ") + reason;
  return decoder.Finish()->GetScalar(0).ValueOrDie()->ToString();
}

TEST(ValueDecoderTest, EveryNanIsTheSame) {
  ValueDecoder decoder(PgType{PgKind::kDouble});
  EXPECT_EQ(decoder.AppendText("NaN"), nullptr);
  EXPECT_EQ(decoder.AppendBinary(Big(0xFFF8000000000000, 8)), nullptr);
  const auto values = decoder.Finish();
  const auto* bits = values->data()->GetValues<uint64_t>(1);
  EXPECT_EQ(bits[0], bits[1]);
}

TEST(ValueDecoderTest, TheLargestDecimals) {
  const std::string nines(38, '9');
  std::vector<int> digits(10, 9999);
  digits[0] = 99;
  EXPECT_EQ(Printed({PgKind::kDecimal, 38, 0}, "-" + nines), "-" + nines);
  EXPECT_EQ(PrintedBinary({PgKind::kDecimal, 38, 0}, Numeric(9, digits)), nines);
  EXPECT_EQ(Printed({PgKind::kDecimal, 38, 38}, "0." + nines), "0." + nines);
  EXPECT_EQ(PrintedBinary({PgKind::kDecimal, 38, 38}, Numeric(-1, std::vector<int>(9, 9999))),
            "0." + std::string(36, '9') + "00");
  EXPECT_EQ(PrintedBinary({PgKind::kDecimal, 12, 2}, Numeric(0, {1, 9900})), "1.99");
  for (const auto& bytes : {Numeric(10, digits), Numeric(9, std::vector<int>(10, 9999)), Numeric(30'000, {1}),
                            Numeric(0, {10'000}), Numeric(0, {-1}), Numeric(-20'000, {1}).substr(0, 9)}) {
    EXPECT_EQ(PrintedBinary({PgKind::kDecimal, 38, 0}, bytes), "refused: malformed value");
  }
  EXPECT_EQ(Printed({PgKind::kDecimal, 38, 38}, "1"), "refused: malformed value");
  EXPECT_EQ(Printed({PgKind::kDecimal, 38, 0}, "1" + std::string(38, '0')), "refused: malformed value");
}

/// Short ones and long ones, at every scale.
TEST(ValueDecoderTest, BinaryNumericsAgreeWithText) {
  const uint32_t seed = TestSeed();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int turn = 0; turn < 20'000; turn++) {
    const int scale = static_cast<int>(random() % 20);
    const int weight = static_cast<int>(random() % 5) - 1;
    // As many as the scale has places for; the last one is cut to them, as the server does.
    const int most = weight + 1 + (scale + 3) / 4;
    if (most < 1) continue;
    std::vector<int> digits(1 + random() % static_cast<size_t>(most));
    for (int& digit : digits) digit = random() % 4 == 0 ? 0 : static_cast<int>(random() % 10'000);
    if (static_cast<int>(digits.size()) == most && scale % 4 != 0) {
      int unit = 1;
      for (int cut = scale % 4; cut < 4; cut++) unit *= 10;
      digits.back() -= digits.back() % unit;
    }
    std::string whole, fraction;
    for (int place = weight; place >= 0; place--) {
      const auto at = static_cast<size_t>(weight - place);
      whole += fmt::format("{:04}", at < digits.size() ? digits[at] : 0);
    }
    for (int place = -1; place >= -(scale + 3) / 4; place--) {
      const int at = weight - place;
      const bool is_there = at >= 0 && at < static_cast<int>(digits.size());
      fraction += fmt::format("{:04}", is_there ? digits[static_cast<size_t>(at)] : 0);
    }
    if (whole.empty()) whole = "0";
    std::string text = whole + (scale > 0 ? "." + fraction.substr(0, static_cast<size_t>(scale)) : "");
    const PgType type{PgKind::kDecimal, 38, scale};
    ASSERT_EQ(PrintedBinary(type, Numeric(weight, digits)), Printed(type, text))
        << text << " scale " << scale;
  }
}

TEST(ValueDecoderTest, BinaryFormsAgreeWithText) {
  ValueDecoder uuid({PgKind::kUuid});
  ASSERT_EQ(
      uuid.AppendBinary(std::string("\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 16)),
      nullptr);
  EXPECT_EQ(uuid.Finish()->GetScalar(0).ValueOrDie()->ToString(), "00112233-4455-6677-8899-aabbccddeeff");

  ValueDecoder timestamp({PgKind::kTimestamp});
  ASSERT_EQ(timestamp.AppendBinary(Big(1, 8)), nullptr);
  EXPECT_EQ(timestamp.Finish()->GetScalar(0).ValueOrDie()->ToString(), "2000-01-01 00:00:00.000001Z");
  EXPECT_NE(timestamp.AppendBinary(Big(std::numeric_limits<int64_t>::max(), 8)), nullptr);

  // 12345.67 is the digits 1, 2345, 6700 with weight 1.
  ValueDecoder numeric({PgKind::kDecimal, 12, 2});
  const std::string bytes =
      Big(3, 2) + Big(1, 2) + Big(0x4000, 2) + Big(2, 2) + Big(1, 2) + Big(2345, 2) + Big(6700, 2);
  ASSERT_EQ(numeric.AppendBinary(bytes), nullptr);
  EXPECT_EQ(numeric.Finish()->GetScalar(0).ValueOrDie()->ToString(), "-12345.67");
  EXPECT_NE(numeric.AppendBinary(Big(0, 2) + Big(0, 2) + Big(0xC000, 2) + Big(0, 2)), nullptr);
  EXPECT_NE(numeric.AppendBinary(Big(3, 2)), nullptr) << "cut short";
}

}  // namespace
}  // namespace tarn::cdc
