#include "base/clock.h"

#include <chrono>
#include <cstdio>
#include <ctime>

namespace tarn {
namespace {

class SystemClock : public Clock {
 public:
  int64_t NowMicros() const override {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
};

/// Reads exactly `digits` digits at `at`, moving it on; -1 when they are not there.
int ReadDigits(std::string_view text, size_t& at, int digits) {
  int value = 0;
  for (int i = 0; i < digits; i++, at++) {
    if (at >= text.size() || text[at] < '0' || text[at] > '9') return -1;
    value = value * 10 + (text[at] - '0');
  }
  return value;
}

/// Zone suffix in seconds east of UTC; false when it is not one.
bool ReadZone(std::string_view zone, int& seconds) {
  seconds = 0;
  if (zone.empty() || zone == "Z" || zone == " UTC") return true;
  if (zone[0] != '+' && zone[0] != '-') return false;
  size_t at = 1;
  const int hours = ReadDigits(zone, at, 2);
  if (at < zone.size() && zone[at] == ':') at++;
  const int minutes = at < zone.size() ? ReadDigits(zone, at, 2) : 0;
  if (hours < 0 || hours > 15 || minutes < 0 || minutes > 59 || at != zone.size()) return false;
  seconds = (hours * 60 + minutes) * 60 * (zone[0] == '-' ? -1 : 1);
  return true;
}

/// Of years before 0 or behind 9999.
std::string FormatFar(int64_t micros) {
  const int64_t seconds = micros >= 0 ? micros / 1'000'000 : (micros - 999'999) / 1'000'000;
  const std::time_t time = seconds;
  std::tm tm{};
  gmtime_r(&time, &tm);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:06}", tm.tm_year + 1900, tm.tm_mon + 1,
                     tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, micros - seconds * 1'000'000);
}

}  // namespace

const Clock& Clock::System() {
  static const SystemClock clock;
  return clock;
}

int64_t MonotonicMicros() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string FormatTimestamp(int64_t micros) {
  using std::chrono::days;
  using std::chrono::sys_days;
  using std::chrono::year;
  const std::chrono::sys_time<std::chrono::microseconds> time{std::chrono::microseconds(micros)};
  if (time < sys_days{year(0) / 1 / 1} || time >= sys_days{year(10'000) / 1 / 1}) return FormatFar(micros);
  const auto day = std::chrono::floor<days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  // Written by hand: each transaction of the stream has one.
  std::string text = "0000-00-00 00:00:00.000000";
  const auto put = [&](size_t at, size_t digits, int64_t value) {
    for (; digits > 0; digits--, value /= 10) text[at + digits - 1] = static_cast<char>('0' + value % 10);
  };
  put(0, 4, static_cast<int>(date.year()));
  put(5, 2, static_cast<unsigned>(date.month()));
  put(8, 2, static_cast<unsigned>(date.day()));
  put(11, 2, clock.hours().count());
  put(14, 2, clock.minutes().count());
  put(17, 2, clock.seconds().count());
  put(20, 6, clock.subseconds().count());
  return text;
}

Result<int64_t> ParseTimestamp(std::string_view text) {
  const auto bad = [&] {
    return MakeError(ErrorCode::kInvalidArgument, "'{}' is not a time such as 2026-11-22 10:15:00 (UTC)",
                     text);
  };
  size_t at = 0;
  std::tm tm{};
  const int year = ReadDigits(text, at, 4);
  if (year < 0 || at >= text.size() || text[at++] != '-') return bad();
  const int month = ReadDigits(text, at, 2);
  if (month < 1 || month > 12 || at >= text.size() || text[at++] != '-') return bad();
  const int day = ReadDigits(text, at, 2);
  if (day < 1 || day > 31) return bad();
  int hour = 0, minute = 0, second = 0, zone = 0;
  int64_t fraction = 0;
  if (at < text.size()) {
    if (text[at] != ' ' && text[at] != 'T') return bad();
    at++;
    hour = ReadDigits(text, at, 2);
    if (hour < 0 || hour > 23 || at >= text.size() || text[at++] != ':') return bad();
    minute = ReadDigits(text, at, 2);
    if (minute < 0 || minute > 59) return bad();
    if (at < text.size() && text[at] == ':') {
      at++;
      second = ReadDigits(text, at, 2);
      if (second < 0 || second > 60) return bad();
    }
    if (at < text.size() && text[at] == '.') {
      at++;
      int64_t scale = 100'000;
      for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; at++, scale /= 10)
        fraction += (text[at] - '0') * scale;
    }
    if (!ReadZone(text.substr(at), zone)) return bad();
  }
  tm.tm_year = year - 1900;
  tm.tm_mon = month - 1;
  tm.tm_mday = day;
  tm.tm_hour = hour;
  tm.tm_min = minute;
  tm.tm_sec = second;
  return (static_cast<int64_t>(timegm(&tm)) - zone) * 1'000'000 + fraction;
}

}  // namespace tarn
