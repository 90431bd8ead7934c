#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "storage/forwarding_storage.h"

namespace tarn::storage {

/// For tests: counts what is asked of a store. Threads: any.
class CountingStorage : public ForwardingStorage {
 public:
  using ForwardingStorage::ForwardingStorage;

  Result<std::string> Read(const std::string& path) const override {
    Count(1);
    return real()->Read(path);
  }
  Result<std::shared_ptr<arrow::io::RandomAccessFile>> Open(const std::string& path) const override {
    Count(1);
    return real()->Open(path);
  }
  Result<std::vector<FileInfo>> List(const std::string& folder) const override {
    auto entries = real()->List(folder);
    if (entries) Count(static_cast<int64_t>(entries->size()));
    const std::lock_guard lock(mutex_);
    listings_[folder]++;
    return entries;
  }

  /// Files that were read or opened, and entries of listings.
  int64_t requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  /// How often the folder was listed.
  int64_t listings(const std::string& folder) const {
    const std::lock_guard lock(mutex_);
    const auto found = listings_.find(folder);
    return found == listings_.end() ? 0 : found->second;
  }

 private:
  void Count(int64_t requests) const {
    const std::lock_guard lock(mutex_);
    requests_ += requests;
  }

  mutable std::mutex mutex_;
  mutable int64_t requests_ = 0;
  mutable std::map<std::string, int64_t> listings_;
};

}  // namespace tarn::storage
