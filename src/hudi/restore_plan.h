#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "hudi/rollback_record.h"
#include "hudi/timeline.h"
#include "storage/storage.h"

namespace tarn::hudi {

/// What a restore takes away; its `restore.requested`.
struct RestorePlan {
  std::string instant;    ///< Of the restore.
  std::string savepoint;  ///< Empty when the writer of old did not say it.
  std::vector<std::pair<std::string, std::string>>
      rolled_back;  ///< Instants with their actions, newest first.
};

/// The plan of the restore at `instant`, completed or not; nullopt when it has not begun: its requested file
/// is empty or cut off, and nothing follows it. Errors: kCorrupt when it has begun and its plan cannot be
/// read, kUnsupported when it has none.
Result<std::optional<RestorePlan>> ReadRestorePlan(const storage::Storage& storage,
                                                   const std::string& base_path, const Timeline& timeline,
                                                   const std::string& instant);

/// Avro containers of a restore's plan and of its end. `files`: what went, by instant rolled back.
Result<std::string> FormatRestorePlan(const RestorePlan& plan);
Result<std::string> FormatRestore(const RestorePlan& plan,
                                  const std::map<std::string, FilesByPartition>& files,
                                  const std::string& base_path);

}  // namespace tarn::hudi
