#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

namespace tarn::hudi {

/// A folder of a test's own, removed with it.
class TestFolder {
 public:
  /// `in_memory`: where there is room for that, for tests that write very often and lose nothing by it.
  explicit TestFolder(bool in_memory = false) {
    const bool has_memory = in_memory && std::filesystem::exists("/dev/shm");
    std::string pattern = (has_memory ? "/dev/shm/" : testing::TempDir()) + "tarn-hudi-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) std::abort();
    path_ = pattern;
  }
  ~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace tarn::hudi
