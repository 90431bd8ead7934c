#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "base/error.h"
#include "hudi/overlay.h"
#include "hudi/table.h"

namespace tarn::hudi {

/// Changes that wait in memory for a table's next commit: the newest state of every identity that they touch,
/// and what readers must do to see it over the table's newest commit. Valid until something else commits to
/// the table. Threads: Add, Clear and Snapshot one at a time; the others from the thread that adds.
class StagedChanges {
 public:
  virtual ~StagedChanges() = default;

  /// As Table::Upsert would apply them, behind what was added before.
  virtual Status Add(const ChangeSet& changes) = 0;
  virtual bool empty() const = 0;
  virtual int64_t bytes() const = 0;  ///< Of memory held, about.
  virtual int64_t rows() const = 0;   ///< Identities touched.

  /// Everything added, one row an identity, for one Upsert.
  virtual Result<ChangeSet> Merged() const = 0;
  /// The same for readers; null when empty. Rows have null for what only a commit gives (commit time,
  /// sequence number, file name).
  virtual Result<std::shared_ptr<const Overlay>> Snapshot() = 0;

  /// What became of an identity.
  struct Newest {
    enum class State { kUntouched, kDeleted, kLive } state = State::kUntouched;
    std::shared_ptr<arrow::RecordBatch>
        batch;  ///< When live: its row is `row` of this one, table schema first.
    int64_t row = 0;
  };
  /// `identities`: columns identity_fields.
  virtual Result<std::vector<Newest>> Find(const arrow::RecordBatch& identities) const = 0;

  /// After they were committed, or to forget them.
  virtual void Clear() = 0;
};

}  // namespace tarn::hudi
