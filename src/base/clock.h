#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "base/error.h"

namespace tarn {

/// The time, injectable so that tests can run days in seconds. All times are microseconds UTC since 1970.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t NowMicros() const = 0;
  /// The machine's clock. Lives as long as the process.
  static const Clock& System();
};

/// A clock that a test sets. Threads: any.
class ManualClock : public Clock {
 public:
  explicit ManualClock(int64_t now_micros) : now_(now_micros) {}
  int64_t NowMicros() const override {
    std::lock_guard lock(mutex_);
    return now_;
  }
  void Advance(int64_t micros) {
    std::lock_guard lock(mutex_);
    now_ += micros;
  }

 private:
  mutable std::mutex mutex_;
  int64_t now_;
};

/// Monotonic microseconds, for durations.
int64_t MonotonicMicros();

/// "2026-11-22 10:15:00.123456" in UTC: DMS's timestamp column, and what logs print.
std::string FormatTimestamp(int64_t micros);

/// Reads "2026-11-22 10:15:00[.ffffff][Z|+00|+02:00]" or with a T, or a bare date; without a zone it is UTC.
Result<int64_t> ParseTimestamp(std::string_view text);

}  // namespace tarn
