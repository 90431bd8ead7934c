#pragma once

#include <arrow/type_fwd.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "hudi/staged_changes.h"
#include "hudi/table.h"

namespace tarn::hudi {

/// Changes that may be larger than memory and become one instant all the same: they wait in files beside the
/// key index until Commit, and readers see nothing of them before. Dropping it forgets them. Threads: one,
/// the table's writer.
class SpooledChanges {
 public:
  virtual ~SpooledChanges() = default;

  /// As Table::Upsert would apply them, behind what was added before.
  virtual Status Add(const ChangeSet& changes) = 0;
  /// All rows are gone: the table's, and those added before.
  virtual Status Truncate() = 0;

  /// Nothing was added.
  virtual bool empty() const = 0;

  /// `identities`: columns identity_fields. Memory: the pieces that hold what was found stay mapped as long
  /// as the answer.
  virtual Result<std::vector<StagedChanges::Newest>> Find(const arrow::RecordBatch& identities) = 0;

  /// One deltacommit. File groups with much of it are merged into base files, as logs that large would cost
  /// every reader memory; many new rows become base files of their own. Memory: eight bytes a row, and one
  /// group's logs. Durability: on return it is complete and survives a crash; an error leaves the table as it
  /// was, and what was added.
  virtual Result<CommitResult> Commit(const std::string& instant, const CommitProperties& properties) = 0;
};

}  // namespace tarn::hudi
