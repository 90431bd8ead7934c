#include <ctime>

#include "hudi/table.h"

namespace tarn::hudi {

std::string FormatInstant(int64_t micros) {
  const int64_t millis = micros >= 0 ? micros / 1000 : (micros - 999) / 1000;
  const int64_t seconds = millis >= 0 ? millis / 1000 : (millis - 999) / 1000;
  const std::time_t time = seconds;
  std::tm tm{};
  gmtime_r(&time, &tm);
  return fmt::format("{:04}{:02}{:02}{:02}{:02}{:02}{:03}", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                     tm.tm_hour, tm.tm_min, tm.tm_sec, millis - seconds * 1000);
}

Result<int64_t> ParseInstant(const std::string& instant) {
  const bool digits = instant.find_first_not_of("0123456789") == std::string::npos;
  if (!digits || (instant.size() != 17 && instant.size() != 14)) {
    return MakeError(ErrorCode::kInvalidArgument, "'{}' is not an instant of the form yyyyMMddHHmmssSSS",
                     instant);
  }
  const auto number = [&](size_t at, size_t size) { return std::stoi(instant.substr(at, size)); };
  std::tm tm{};
  tm.tm_year = number(0, 4) - 1900;
  tm.tm_mon = number(4, 2) - 1;
  tm.tm_mday = number(6, 2);
  tm.tm_hour = number(8, 2);
  tm.tm_min = number(10, 2);
  tm.tm_sec = number(12, 2);
  // Fourteen digits mean the second's last millisecond, as in Hudi.
  const int64_t millis = instant.size() == 17 ? number(14, 3) : 999;
  return (static_cast<int64_t>(timegm(&tm)) * 1000 + millis) * 1000;
}

}  // namespace tarn::hudi
