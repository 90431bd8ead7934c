#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "cdc/source_catalog.h"

namespace tarn::pipeline {

/// The tables that a running pipeline follows, which may become more while it runs. What is mapped stays.
/// Threads: any.
class TableSelection {
 public:
  explicit TableSelection(cdc::TablePatterns patterns) : patterns_(std::move(patterns)) {}
  cdc::TablePatterns patterns() const {
    const std::lock_guard lock(mutex_);
    return patterns_;
  }
  void Set(const std::vector<std::string>& include, const std::vector<std::string>& exclude) {
    const std::lock_guard lock(mutex_);
    patterns_.include = include;
    patterns_.exclude = exclude;
  }

 private:
  mutable std::mutex mutex_;
  cdc::TablePatterns patterns_;
};

}  // namespace tarn::pipeline
