#include "cdc/filter_value.h"

#include <array>
#include <charconv>

#include "schema/pg_type.h"

namespace tarn::cdc {
namespace {

constexpr int64_t kMicrosOfSecond = 1'000'000;
constexpr int64_t kMicrosOfDay = 86'400 * kMicrosOfSecond;
/// Times are counted from 2000, as PostgreSQL does: from 1970 its last ones would have more than 64 bits.
constexpr int64_t kDaysTo2000 = 10'957;
constexpr int64_t kMostDays = 106'751'983;  ///< PostgreSQL's END_TIMESTAMP.

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

/// Takes characters off the front of a text.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  bool Take(char c) {
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool TakeEnd(std::string_view end) {
    if (!rest_.ends_with(end)) return false;
    rest_.remove_suffix(end.size());
    return true;
  }
  /// `least` digits or more, up to `most`.
  std::optional<int64_t> Number(size_t least, size_t most) {
    size_t digits = 0;
    while (digits < rest_.size() && digits < most && IsDigit(rest_[digits])) digits++;
    int64_t number = 0;
    if (digits < least) return std::nullopt;
    std::from_chars(rest_.data(), rest_.data() + digits, number);
    taken_ = digits;
    rest_.remove_prefix(digits);
    return number;
  }
  size_t taken() const { return taken_; }  ///< Digits of the last Number.
  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
  size_t taken_ = 0;
};

/// Days since 1970. Source: the days_from_civil algorithm (Howard Hinnant, public domain).
int64_t DaysOf(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2 ? 1 : 0;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const int64_t yoe = year - era * 400;
  const int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146'097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719'468;
}

int64_t DaysIn(int64_t year, int64_t month) {
  static constexpr std::array<int64_t, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return kDays[static_cast<size_t>(month - 1)] + (month == 2 && leap ? 1 : 0);
}

std::optional<int64_t> ReadDate(Reader& reader, bool is_bc) {
  const auto year = reader.Number(4, 7);
  if (!year || *year == 0 || !reader.Take('-')) return std::nullopt;
  const auto month = reader.Number(2, 2);
  if (!month || *month < 1 || *month > 12 || !reader.Take('-')) return std::nullopt;
  const int64_t counted = is_bc ? 1 - *year : *year;
  const auto day = reader.Number(2, 2);
  if (!day || *day < 1 || *day > DaysIn(counted, *month)) return std::nullopt;
  return DaysOf(counted, *month, *day);
}

/// "12:34", "12:34:56" or "12:34:56.789", in microseconds.
std::optional<int64_t> ReadClock(Reader& reader) {
  const auto hour = reader.Number(2, 2);
  if (!hour || *hour > 23 || !reader.Take(':')) return std::nullopt;
  const auto minute = reader.Number(2, 2);
  if (!minute || *minute > 59) return std::nullopt;
  int64_t micros = (*hour * 60 + *minute) * 60 * kMicrosOfSecond;
  if (!reader.Take(':')) return micros;
  const auto second = reader.Number(2, 2);
  if (!second || *second > 59) return std::nullopt;
  micros += *second * kMicrosOfSecond;
  if (!reader.Take('.')) return micros;
  const auto fraction = reader.Number(1, 6);
  if (!fraction) return std::nullopt;
  int64_t scaled = *fraction;
  for (size_t digits = reader.taken(); digits < 6; digits++) scaled *= 10;
  return micros + scaled;
}

/// "+02", "-03:30" or "Z", in microseconds east of Greenwich.
std::optional<int64_t> ReadOffset(Reader& reader) {
  if (reader.Take('Z')) return 0;
  const bool is_west = reader.Take('-');
  if (!is_west && !reader.Take('+')) return std::nullopt;
  const auto hours = reader.Number(2, 2);
  if (!hours || *hours > 15) return std::nullopt;
  int64_t minutes = 0;
  if (reader.Take(':')) {
    const auto read = reader.Number(2, 2);
    if (!read || *read > 59) return std::nullopt;
    minutes = *read;
  }
  const int64_t micros = (*hours * 60 + minutes) * 60 * kMicrosOfSecond;
  return is_west ? -micros : micros;
}

std::optional<FilterValue> ParseTime(FilterType type, std::string_view text) {
  if (text == "infinity") return FilterValue{1, 0, ""};
  if (text == "-infinity") return FilterValue{-1, 0, ""};
  Reader reader(text);
  const bool is_bc = reader.TakeEnd(" BC");
  const auto days = ReadDate(reader, is_bc);
  if (!days) return std::nullopt;
  if (type == FilterType::kDate)
    return reader.at_end() ? std::optional(FilterValue{0, *days, ""}) : std::nullopt;
  const int64_t since_2000 = *days - kDaysTo2000;
  if (since_2000 < -kMostDays || since_2000 > kMostDays) return std::nullopt;
  int64_t micros = since_2000 * kMicrosOfDay;
  if (reader.Take(' ') || reader.Take('T')) {
    const auto clock = ReadClock(reader);
    if (!clock) return std::nullopt;
    micros += *clock;
    if (type == FilterType::kTimestamptz) {
      // Without one the meaning would be the session's.
      const auto offset = ReadOffset(reader);
      if (!offset) return std::nullopt;
      micros -= *offset;
    }
  } else if (type == FilterType::kTimestamptz) {
    return std::nullopt;
  }
  return reader.at_end() ? std::optional(FilterValue{0, micros, ""}) : std::nullopt;
}

/// The sign is the rank, the place of the first digit the number, the digits without zeros at either end the
/// text; of a negative number place and digits are complemented, so that the smaller one is the larger.
std::optional<FilterValue> ParseNumeric(std::string_view text) {
  if (text == "NaN") return FilterValue{3, 0, ""};  // Larger than all, and equal to itself.
  if (text == "Infinity") return FilterValue{2, 0, ""};
  if (text == "-Infinity") return FilterValue{-2, 0, ""};
  const bool negative = !text.empty() && text[0] == '-';
  if (negative || (!text.empty() && text[0] == '+')) text.remove_prefix(1);
  std::string digits;
  std::optional<size_t> point;
  for (const char c : text) {
    if (c == '.' && !point) {
      point = digits.size();
    } else if (IsDigit(c)) {
      digits += c;
    } else {
      return std::nullopt;
    }
  }
  if (digits.empty()) return std::nullopt;
  const size_t first = digits.find_first_not_of('0');
  if (first == std::string::npos) return FilterValue{};
  const int64_t place = static_cast<int64_t>(point.value_or(digits.size())) - static_cast<int64_t>(first);
  digits = digits.substr(first, digits.find_last_not_of('0') + 1 - first);
  if (!negative) return FilterValue{1, place, std::move(digits)};
  for (char& c : digits) c = static_cast<char>('0' + '9' - c);
  return FilterValue{-1, -place, digits + ':'};  // Behind '9': -5 is larger than -51 at the same place.
}

std::optional<FilterValue> ParseUuid(std::string_view text) {
  FilterValue value;
  if (text.size() != 36) return std::nullopt;
  for (size_t i = 0; i < text.size(); i++) {
    const bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
    const char c = text[i] >= 'A' && text[i] <= 'F' ? static_cast<char>(text[i] - 'A' + 'a') : text[i];
    if (is_dash ? c != '-' : !IsDigit(c) && !(c >= 'a' && c <= 'f')) return std::nullopt;
    value.text += c;
  }
  return value;
}

}  // namespace

std::optional<FilterType> FilterTypeOf(uint32_t type_oid) {
  switch (type_oid) {
    case schema::kBoolOid:
      return FilterType::kBool;
    case schema::kInt2Oid:
    case schema::kInt4Oid:
    case schema::kInt8Oid:
      return FilterType::kInteger;
    case schema::kNumericOid:
      return FilterType::kNumeric;
    case schema::kUuidOid:
      return FilterType::kUuid;
    case schema::kDateOid:
      return FilterType::kDate;
    case schema::kTimestampOid:
      return FilterType::kTimestamp;
    case schema::kTimestamptzOid:
      return FilterType::kTimestamptz;
    case schema::kTextOid:
    case schema::kVarcharOid:
      return FilterType::kText;
    case schema::kBpcharOid:
      return FilterType::kPaddedText;
    default:
      return std::nullopt;
  }
}

const char* SqlTypeName(FilterType type) {
  switch (type) {
    case FilterType::kBool:
      return "bool";
    case FilterType::kInteger:
      return "int8";
    case FilterType::kNumeric:
      return "numeric";
    case FilterType::kUuid:
      return "uuid";
    case FilterType::kDate:
      return "date";
    case FilterType::kTimestamp:
      return "timestamp";
    case FilterType::kTimestamptz:
      return "timestamptz";
    case FilterType::kText:
      return "text";
    case FilterType::kPaddedText:
      return "bpchar";
  }
  return "";
}

std::optional<FilterValue> ParseFilterValue(FilterType type, std::string_view text) {
  switch (type) {
    case FilterType::kBool:
      if (text != "t" && text != "f") return std::nullopt;
      return FilterValue{0, text == "t" ? 1 : 0, ""};
    case FilterType::kInteger: {
      FilterValue value;
      const auto read = std::from_chars(text.data(), text.data() + text.size(), value.number);
      if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
      return value;
    }
    case FilterType::kNumeric:
      return ParseNumeric(text);
    case FilterType::kUuid:
      return ParseUuid(text);
    case FilterType::kDate:
    case FilterType::kTimestamp:
    case FilterType::kTimestamptz:
      return ParseTime(type, text);
    case FilterType::kPaddedText:
      text.remove_suffix(text.size() - (text.find_last_not_of(' ') + 1));
      [[fallthrough]];
    case FilterType::kText:
      return FilterValue{0, 0, std::string(text)};
  }
  return std::nullopt;
}

}  // namespace tarn::cdc
