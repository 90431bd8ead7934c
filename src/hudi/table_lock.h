#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "hudi/table.h"
#include "storage/storage.h"

namespace tarn::hudi {

/// The lock of a shared table, `.hoodie/lock`, which is there while somebody has it: that of Spark's
/// FileSystemBasedLockProvider where hoodie.write.lock.filesystem.path is not set. Ours says in JSON who has
/// it and until when, so that one of a process that was killed can be told. Given back when it is destroyed.
class TableLock {
 public:
  /// Waits for it. `lease_micros`: for how long it is wanted at most. Errors: kConflict names who has it, and
  /// what to do.
  static Result<std::unique_ptr<TableLock>> Acquire(storage::Storage* storage, const std::string& base_path,
                                                    const SharingOptions& sharing, int64_t lease_micros);
  ~TableLock();
  TableLock(const TableLock&) = delete;
  TableLock& operator=(const TableLock&) = delete;
  /// kConflict when it is not ours any more, or will soon not be.
  Status CheckHeld() const;

 private:
  TableLock(storage::Storage* storage, std::string path, std::string content, int64_t until,
            const Clock* clock);

  storage::Storage* storage_;
  const std::string path_, content_;
  const int64_t until_micros_;
  const Clock* clock_;
  bool held_ = false;
};

}  // namespace tarn::hudi
