#pragma once

#include <atomic>

#include "base/error.h"

namespace tarn {

/// Asks long calls to stop. Threads: any; Cancel is safe in a signal handler.
class CancelToken {
 public:
  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  bool IsCancelled() const { return cancelled_.load(std::memory_order_relaxed); }
  /// kCancelled once Cancel was called.
  Status Check() const {
    if (IsCancelled()) return Error{ErrorCode::kCancelled, "stopped on request"};
    return {};
  }

 private:
  std::atomic<bool> cancelled_{false};
};

}  // namespace tarn
