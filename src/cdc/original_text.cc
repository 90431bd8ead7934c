#include "cdc/original_text.h"

#include "cdc/wire_reader.h"

namespace tarn::cdc {
namespace {

using schema::PgKind;

constexpr int64_t kPgEpochDays = 10'957;  // 2000-01-01
constexpr int64_t kMicrosOfDay = 86'400'000'000;

struct CivilDate {
  int64_t year = 0;  ///< 0 is 1 BC.
  int64_t month = 0;
  int64_t day = 0;
};

/// The date of a number of days since 1970. Source: the civil_from_days algorithm (Howard Hinnant, public
/// domain).
CivilDate DateOf(int64_t days) {
  days += 719'468;
  const int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const int64_t doe = days - era * 146'097;
  const int64_t yoe = (doe - doe / 1460 + doe / 36'524 - doe / 146'096) / 365;
  const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const int64_t shifted = (5 * doy + 2) / 153;
  const int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
  return {yoe + era * 400 + (month <= 2 ? 1 : 0), month, doy - (153 * shifted + 2) / 5 + 1};
}

/// `clock` is what stands between the date and "BC".
std::string DateText(int64_t pg_days, std::string_view clock) {
  const CivilDate date = DateOf(pg_days + kPgEpochDays);
  const bool is_bc = date.year <= 0;
  return fmt::format("{:04}-{:02}-{:02}{}{}", is_bc ? 1 - date.year : date.year, date.month, date.day, clock,
                     is_bc ? " BC" : "");
}

std::string TimestampText(int64_t pg_micros, bool with_zone) {
  int64_t days = pg_micros / kMicrosOfDay;
  int64_t micros = pg_micros % kMicrosOfDay;
  if (micros < 0) {
    micros += kMicrosOfDay;
    days--;
  }
  const int64_t seconds = micros / 1'000'000;
  std::string clock = fmt::format(" {:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
  if (micros % 1'000'000 != 0) {
    clock += fmt::format(".{:06}", micros % 1'000'000);
    while (clock.back() == '0') clock.pop_back();
  }
  return DateText(days, clock + (with_zone ? "+00" : ""));
}

std::string HexText(std::string_view bytes) {
  std::string out = "\\x";
  for (const unsigned char byte : bytes) out += fmt::format("{:02x}", byte);
  return out;
}

}  // namespace

std::string OriginalText(const schema::Column& column, std::string_view bytes) {
  WireReader reader(bytes);
  if (column.type.kind == PgKind::kDate && bytes.size() == 4) {
    const int32_t days = reader.Int32();
    if (days == INT32_MAX) return "infinity";
    return days == INT32_MIN ? "-infinity" : DateText(days, "");
  }
  if (column.type.kind == PgKind::kTimestamp && bytes.size() == 8) {
    const int64_t micros = reader.Int64();
    if (micros == INT64_MAX) return "infinity";
    return micros == INT64_MIN ? "-infinity"
                               : TimestampText(micros, column.type_oid == schema::kTimestamptzOid);
  }
  if (column.type.kind == PgKind::kDecimal && bytes.size() == 8) {
    reader.Int32();  // digits, weight
    const auto sign = static_cast<uint16_t>(reader.Int16());
    if (sign == 0xC000) return "NaN";
    if (sign == 0xD000) return "Infinity";
    if (sign == 0xF000) return "-Infinity";
  }
  return HexText(bytes);
}

}  // namespace tarn::cdc
