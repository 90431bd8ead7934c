#pragma once

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "base/error.h"
#include "hudi/properties.h"
#include "storage/storage.h"

namespace tarn::app {

/// A storage that may write one table, for the length of a command. Temporary files are in a folder of this
/// process in the table's own, where no reader looks, and go at the end.
class TableStorage {
 public:
  static Result<std::unique_ptr<TableStorage>> Open(const std::string& table) {
    // What is no table must not become one by looking at it.
    TARN_RETURN_IF_ERROR(hudi::ReadProperties(*storage::OpenLocalStorageReadOnly(), table));
    const std::string staging = fmt::format("{}/.hoodie/.temp/tarn-{}", table, ::getpid());
    RemoveOfDead(table + "/.hoodie/.temp");
    TARN_ASSIGN(auto storage, storage::OpenLocalStorage(staging));
    return std::unique_ptr<TableStorage>(new TableStorage(std::move(storage), staging));
  }
  ~TableStorage() {
    std::error_code ignored;
    std::filesystem::remove_all(staging_, ignored);
  }
  storage::Storage& operator*() { return *storage_; }

 private:
  TableStorage(std::unique_ptr<storage::Storage> storage, std::string staging)
      : storage_(std::move(storage)), staging_(std::move(staging)) {}
  /// What processes left there that were killed.
  static void RemoveOfDead(const std::string& folder) {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
      int process = 0;
      if (std::sscanf(entry.path().filename().c_str(), "tarn-%d", &process) != 1) continue;
      if (::kill(process, 0) != 0 && errno == ESRCH) std::filesystem::remove_all(entry.path(), ignored);
    }
  }

  std::unique_ptr<storage::Storage> storage_;
  const std::string staging_;
};

}  // namespace tarn::app
