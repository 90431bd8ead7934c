#pragma once

#include <algorithm>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "hudi/table.h"

namespace tarn::pipeline {

/// Gives Hudi instants that rise whatever the clock does. Threads: any.
class InstantClock {
 public:
  explicit InstantClock(const Clock* clock) : clock_(clock) {}

  /// Greater than any given before and than any passed to MustPass.
  std::string Next() {
    const std::lock_guard lock(mutex_);
    last_micros_ = std::max(clock_->NowMicros() / 1000 * 1000, last_micros_ + 1000);
    return hudi::FormatInstant(last_micros_);
  }
  void MustPass(const std::string& instant) {
    if (instant.empty()) return;
    const auto micros = hudi::ParseInstant(instant);
    const std::lock_guard lock(mutex_);
    if (micros) last_micros_ = std::max(last_micros_, *micros);
  }

 private:
  const Clock* clock_;
  std::mutex mutex_;
  int64_t last_micros_ = 0;
};

}  // namespace tarn::pipeline
