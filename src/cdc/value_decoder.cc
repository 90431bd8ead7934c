#include "cdc/value_decoder.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "cdc/wire_reader.h"

namespace tarn::cdc {
namespace {

using schema::PgKind;

constexpr const char* kMalformed = "malformed value";
constexpr const char* kInfinite = "infinity has no place in the lake's type";
constexpr const char* kNotANumber = "NaN has no place in a decimal";
constexpr const char* kYear = "the year is outside 1 to 9999";
constexpr int64_t kPgEpochMicros = 946'684'800LL * 1'000'000;  // 2000-01-01
constexpr int32_t kPgEpochDays = 10'957;
constexpr int64_t kMinMicros = -62'135'596'800LL * 1'000'000;      // 0001-01-01
constexpr int64_t kMaxMicros = 253'402'300'800LL * 1'000'000 - 1;  // 9999-12-31 23:59:59.999999
constexpr int32_t kMinDays = -719'162;
constexpr int32_t kMaxDays = 2'932'896;

using Int128 = __int128;

/// The first number of 39 digits: a decimal of the lake has 38.
constexpr Int128 kTooLarge =
    static_cast<Int128>(10'000'000'000'000'000'000ULL) * 10'000'000'000'000'000'000ULL;

/// value * 10^power, or false where that is too large.
bool Scale(Int128& value, int power) {
  for (int i = 0; i < power && value != 0; i++) {
    if (value >= kTooLarge / 10) return false;
    value *= 10;
  }
  return true;
}

/// Decimal from a sign, digits and a scale: "-12.5" at scale 2 is -1250. Null on success.
const char* ParseDecimal(std::string_view text, int32_t scale, Int128& out) {
  if (text == "NaN") return kNotANumber;
  size_t at = 0;
  bool negative = false;
  if (at < text.size() && (text[at] == '-' || text[at] == '+')) negative = text[at++] == '-';
  if (text.substr(at).starts_with("Inf")) return kInfinite;
  Int128 value = 0;
  int digits = 0;
  int decimals = -1;
  for (; at < text.size(); at++) {
    if (text[at] == '.' && decimals < 0) {
      decimals = 0;
      continue;
    }
    if (text[at] < '0' || text[at] > '9' || value >= kTooLarge / 10) return kMalformed;
    digits++;
    value = value * 10 + (text[at] - '0');
    if (decimals >= 0) decimals++;
  }
  if (digits == 0 || decimals > scale) return kMalformed;
  if (!Scale(value, scale - std::max(decimals, 0))) return kMalformed;
  out = negative ? -value : value;
  return nullptr;
}

constexpr std::array<int64_t, 5> kPowers{1, 10, 100, 1'000, 10'000};

/// What nearly all numerics are: at most 16 digits that reach from the lake's unit to a bit above it. False:
/// it is none of those.
bool DecodeShort(WireReader reader, int digits, int last_exponent, int64_t& value) {
  if (digits > 4 || last_exponent > 2 || last_exponent <= -4) return false;
  value = 0;
  for (int i = 0; i < digits; i++) {
    const int digit = reader.Int16();
    if (digit < 0 || digit > 9999) return false;
    value = value * 10'000 + digit;
  }
  if (last_exponent < 0) {
    value /= kPowers[static_cast<size_t>(-last_exponent)];
  } else {
    value *= kPowers[static_cast<size_t>(last_exponent)];
  }
  return reader.ok();
}

/// PostgreSQL's binary numeric: base-10000 digits. Source: src/backend/utils/adt/numeric.c (numeric_send).
const char* DecodeNumeric(std::string_view bytes, int32_t scale, Int128& out) {
  WireReader reader(bytes);
  const int digits = reader.Int16();
  const int weight = reader.Int16();
  const uint16_t sign = static_cast<uint16_t>(reader.Int16());
  reader.Int16();  // display scale
  if (sign == 0xC000) return kNotANumber;
  if (sign == 0xD000 || sign == 0xF000) return kInfinite;
  if (int64_t small = 0;
      digits > 0 && DecodeShort(reader, digits, 4 * (weight - digits + 1) + scale, small)) {
    out = sign == 0x4000 ? -small : small;
    return nullptr;
  }
  Int128 value = 0;
  // Digit i stands for 10000^(weight - i); the lake's unit is 10^-scale.
  int exponent = 4 * weight + scale;
  for (int i = 0; i < digits; i++, exponent -= 4) {
    Int128 digit = reader.Int16();
    if (!reader.ok() || digit < 0 || digit > 9999) return kMalformed;
    if (exponent <= -4) continue;  // Below the scale, where the server leaves zeros.
    for (int k = exponent; k < 0; k++) digit /= 10;
    if (!Scale(digit, exponent)) return kMalformed;
    value += digit;
    if (value >= kTooLarge) return kMalformed;
  }
  if (!reader.ok()) return kMalformed;
  out = sign == 0x4000 ? -value : value;
  return nullptr;
}

/// Days since 1970 of a civil date. Source: the days_from_civil algorithm (Howard Hinnant, public domain).
int64_t DaysOf(int64_t year, int month, int day) {
  year -= month <= 2;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const int64_t yoe = year - era * 400;
  const int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
  return era * 146'097 + doe - 719'468;
}

bool Digits(std::string_view text, size_t at, size_t count, int& out) {
  if (at + count > text.size()) return false;
  out = 0;
  for (size_t i = at; i < at + count; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    out = out * 10 + (text[i] - '0');
  }
  return true;
}

/// "YYYY-MM-DD" at the front; `rest` is what follows.
const char* ParseDate(std::string_view text, int64_t& days, std::string_view& rest) {
  if (text == "infinity" || text == "-infinity") return kInfinite;
  if (text.ends_with(" BC")) return kYear;
  int year = 0, month = 0, day = 0;
  const size_t dash = text.find('-');
  if (dash != 4) return dash != std::string_view::npos && dash > 4 ? kYear : kMalformed;
  if (!Digits(text, 0, 4, year) || !Digits(text, 5, 2, month) || !Digits(text, 8, 2, day)) return kMalformed;
  days = DaysOf(year, month, day);
  rest = text.substr(10);
  return nullptr;
}

/// ISO output in UTC: "YYYY-MM-DD HH:MM:SS[.ffffff][+00]".
const char* ParseTimestampText(std::string_view text, int64_t& micros) {
  int64_t days = 0;
  std::string_view rest;
  if (const char* reason = ParseDate(text, days, rest)) return reason;
  int hour = 0, minute = 0, second = 0;
  if (!Digits(rest, 1, 2, hour) || !Digits(rest, 4, 2, minute) || !Digits(rest, 7, 2, second))
    return kMalformed;
  int64_t fraction = 0;
  size_t at = 9;
  if (at < rest.size() && rest[at] == '.') {
    int64_t unit = 100'000;
    for (at++; at < rest.size() && rest[at] >= '0' && rest[at] <= '9'; at++, unit /= 10)
      fraction += (rest[at] - '0') * unit;
  }
  if (at != rest.size() && rest.substr(at) != "+00") return kMalformed;
  micros = ((days * 24 + hour) * 60 + minute) * 60'000'000 + second * 1'000'000LL + fraction;
  return nullptr;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

const char* ParseBytea(std::string_view text, std::string& out) {
  if (!text.starts_with("\\x") || text.size() % 2 != 0) return kMalformed;
  out.clear();
  out.reserve(text.size() / 2);
  for (size_t i = 2; i < text.size(); i += 2) {
    const int high = HexDigit(text[i]);
    const int low = HexDigit(text[i + 1]);
    if (high < 0 || low < 0) return kMalformed;
    out += static_cast<char>(high * 16 + low);
  }
  return nullptr;
}

std::array<char, 36> FormatUuid(std::string_view bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::array<char, 36> out{};
  size_t at = 0;
  for (size_t i = 0; i < 16; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out[at++] = '-';
    const auto byte = static_cast<unsigned char>(bytes[i]);
    out[at++] = kHex[byte >> 4];
    out[at++] = kHex[byte & 15];
  }
  return out;
}

template <typename T>
const char* ParseNumber(std::string_view text, T& out) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), out);
  return result.ec == std::errc() && result.ptr == text.data() + text.size() ? nullptr : kMalformed;
}

/// Null: it was appended.
template <typename Value>
const char* Append(ColumnBuffer& column, Value value) {
  column.Append(value);
  return nullptr;
}

const char* AppendBool(ColumnBuffer& column, bool value) {
  column.AppendBool(value);
  return nullptr;
}

const char* AppendBytes(ColumnBuffer& column, std::string_view value) {
  column.AppendBytes(value);
  return nullptr;
}

/// One NaN stands for all: a computed one may have a sign, which PostgreSQL's text does not show.
template <typename Float>
const char* AppendFloat(ColumnBuffer& column, Float value) {
  return Append(column, std::isnan(value) ? std::numeric_limits<Float>::quiet_NaN() : value);
}

const char* AppendTimestamp(ColumnBuffer& column, int64_t micros) {
  if (micros < kMinMicros || micros > kMaxMicros) return kYear;
  return Append(column, micros);
}

const char* AppendDays(ColumnBuffer& column, int64_t days) {
  if (days < kMinDays || days > kMaxDays) return kYear;
  return Append(column, static_cast<int32_t>(days));
}

}  // namespace

ValueDecoder::ValueDecoder(const schema::PgType& type) : type_(type), column_(schema::ArrowType(type)) {}

const char* ValueDecoder::AppendText(std::string_view value) {
  switch (type_.kind) {
    case PgKind::kBool:
      if (value != "t" && value != "f") return kMalformed;
      return AppendBool(column_, value == "t");
    case PgKind::kInt16:
    case PgKind::kInt32: {
      int32_t number = 0;
      if (const char* reason = ParseNumber(value, number)) return reason;
      return Append(column_, number);
    }
    case PgKind::kInt64:
    case PgKind::kOid: {
      int64_t number = 0;
      if (const char* reason = ParseNumber(value, number)) return reason;
      return Append(column_, number);
    }
    case PgKind::kFloat: {
      float number = 0;
      if (const char* reason = ParseNumber(value, number)) return reason;
      return AppendFloat(column_, number);
    }
    case PgKind::kDouble: {
      double number = 0;
      if (const char* reason = ParseNumber(value, number)) return reason;
      return AppendFloat(column_, number);
    }
    case PgKind::kDecimal: {
      Int128 number = 0;
      if (const char* reason = ParseDecimal(value, type_.scale, number)) return reason;
      return Append(column_, number);
    }
    case PgKind::kDate: {
      int64_t days = 0;
      std::string_view rest;
      if (const char* reason = ParseDate(value, days, rest)) return reason;
      return AppendDays(column_, days);
    }
    case PgKind::kTimestamp: {
      int64_t micros = 0;
      if (const char* reason = ParseTimestampText(value, micros)) return reason;
      return AppendTimestamp(column_, micros);
    }
    case PgKind::kBytes: {
      std::string bytes;
      if (const char* reason = ParseBytea(value, bytes)) return reason;
      return AppendBytes(column_, bytes);
    }
    case PgKind::kUuid:
    case PgKind::kText:
    case PgKind::kJsonb:
    case PgKind::kTextCast:
      return AppendBytes(column_, value);
  }
  return kMalformed;
}

const char* ValueDecoder::AppendBinary(std::string_view value) {
  WireReader reader(value);
  const auto number = [&](auto read, auto append) -> const char* {
    const auto decoded = read();
    return reader.ok() && reader.at_end() ? append(decoded) : kMalformed;
  };
  switch (type_.kind) {
    case PgKind::kBool:
      if (value.size() != 1) return kMalformed;
      return AppendBool(column_, value[0] != 0);
    case PgKind::kInt16:
      return number([&] { return reader.Int16(); },
                    [&](int16_t v) { return Append(column_, static_cast<int32_t>(v)); });
    case PgKind::kInt32:
      return number([&] { return reader.Int32(); }, [&](int32_t v) { return Append(column_, v); });
    case PgKind::kOid:
      return number(
          [&] { return reader.Int32(); },
          [&](int32_t v) { return Append(column_, static_cast<int64_t>(static_cast<uint32_t>(v))); });
    case PgKind::kInt64:
      return number([&] { return reader.Int64(); }, [&](int64_t v) { return Append(column_, v); });
    case PgKind::kFloat:
      return number([&] { return reader.Int32(); },
                    [&](int32_t v) { return AppendFloat(column_, std::bit_cast<float>(v)); });
    case PgKind::kDouble:
      return number([&] { return reader.Int64(); },
                    [&](int64_t v) { return AppendFloat(column_, std::bit_cast<double>(v)); });
    case PgKind::kDecimal: {
      Int128 decimal = 0;
      if (const char* reason = DecodeNumeric(value, type_.scale, decimal)) return reason;
      return Append(column_, decimal);
    }
    case PgKind::kDate:
      return number([&] { return reader.Int32(); },
                    [&](int32_t v) -> const char* {
                      if (v == INT32_MAX || v == INT32_MIN) return kInfinite;
                      return AppendDays(column_, static_cast<int64_t>(v) + kPgEpochDays);
                    });
    case PgKind::kTimestamp:
      return number([&] { return reader.Int64(); },
                    [&](int64_t v) -> const char* {
                      if (v == INT64_MAX || v == INT64_MIN) return kInfinite;
                      if (v > kMaxMicros - kPgEpochMicros || v < kMinMicros - kPgEpochMicros) return kYear;
                      return AppendTimestamp(column_, v + kPgEpochMicros);
                    });
    case PgKind::kBytes:
      return AppendBytes(column_, value);
    case PgKind::kUuid: {
      if (value.size() != 16) return kMalformed;
      const auto text = FormatUuid(value);
      return AppendBytes(column_, std::string_view(text.data(), text.size()));
    }
    case PgKind::kJsonb:
      if (value.empty() || value[0] != 1) return kMalformed;
      return AppendBytes(column_, value.substr(1));
    case PgKind::kText:
    case PgKind::kTextCast:
      return AppendBytes(column_, value);
  }
  return kMalformed;
}

}  // namespace tarn::cdc
