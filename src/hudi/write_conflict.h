#pragma once

#include <arrow/type_fwd.h>

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "base/error.h"
#include "hudi/commit_metadata.h"
#include "hudi/slice.h"
#include "hudi/timeline.h"
#include "storage/storage.h"

namespace tarn::hudi {

/// What a commit of a shared table that is about to complete has written, and what that rests upon.
struct OwnWrites {
  std::string instant;
  std::set<std::string> file_ids;
  std::set<std::string> whole_partitions;
  bool is_whole_table = false;
  std::shared_ptr<arrow::Schema> schema;  ///< Under which it was written.
};

/// What of a timeline a writer's state rests upon: completed commits, and plans of compactions, behind which
/// its logs stand.
std::set<std::string> KnownInstants(const Timeline& timeline);
/// What came since, oldest first: completed commits and restores, pending compactions.
std::set<std::string> NewerThan(const Timeline& timeline, const std::set<std::string>& known);

/// kConflict when another writer's completed commit and ours meet. Source:
/// SimpleConcurrentFileWritesConflictResolutionStrategy; beyond it, a column that the other one added.
Status CheckAgainstCommit(const std::string& instant, const std::string& action, const CommitMetadata& commit,
                          const OwnWrites& own);
/// The same for a compaction or clustering that is planned or under way.
Status CheckAgainstPlan(const storage::Storage& storage, const std::string& base_path,
                        const PendingAction& plan, const OwnWrites& own);

/// The record keys in a file that a commit wrote.
Status ForEachKey(const SliceContext& context, const std::shared_ptr<arrow::Schema>& schema,
                  const WriteStat& stat, const std::function<Status(const std::string& key)>& take);

/// Whether anything in a log counts: a block of a done instant, or one that takes something back. False for a
/// log that is gone.
Result<bool> HasDoneBlock(const storage::Storage& storage, const std::string& path, const Timeline& timeline);

}  // namespace tarn::hudi
