#pragma once

#include <arrow/type_fwd.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/lsn.h"
#include "cdc/source_catalog.h"

namespace tarn::cdc {

/// How a copy goes on; readable from any thread.
struct CopyProgress {
  std::atomic<int64_t> rows{0};
  std::atomic<int64_t> bytes{0};  ///< As they came over the wire.
};

/// Pages [from, to) of each relation that holds rows of a table; to = -1 is "to the end".
struct PageRange {
  int64_t from = 0;
  int64_t to = -1;
};

/// What a copy takes at a time.
struct CopyRange {
  size_t number = 0;  ///< Its place in SplitPages.
  PageRange pages;
  /// Only rows that a transaction of this number or a higher one wrote: the rest is there from an earlier
  /// snapshot, whose oldest_xid it is. Rows of earlier ones may be among them.
  std::optional<uint64_t> since_xid = std::nullopt;
};

/// The ranges of a table, in order, of about so many pages each, of all its relations together; one where its
/// pages are not known.
std::vector<PageRange> SplitPages(const SourceTable& table, int64_t pages_per_range);

/// What copies may ask of the source together. Threads: any.
class CopyRate {
 public:
  /// As bytes come over the wire; 0: no limit.
  explicit CopyRate(int64_t bytes_per_second) : bytes_per_second_(bytes_per_second) {}
  /// Waits until so many bytes more are due. Errors: kCancelled.
  Status Keep(int64_t bytes, const CancelToken& cancel);

 private:
  const int64_t bytes_per_second_;
  std::mutex mutex_;
  double due_micros_ = 0;  ///< When the bytes so far are due; under the mutex.
};

struct CopyOptions {
  std::string conninfo;
  /// Where the copy runs, when not on connections of its own: one whose transaction is at the snapshot
  /// already, perhaps with a lock; then `workers` is 1.
  PgConnection* connection = nullptr;
  std::string snapshot_name;
  Lsn snapshot_lsn;
  int64_t epoch = 0;
  int workers = 2;
  int64_t batch_rows = 32'768;
  int64_t batch_bytes = 8 << 20;
  CopyRate* rate = nullptr;          ///< Null: no limit.
  int64_t pages_per_range = 16'384;  ///< 128 MB of a table at a time.
  std::vector<CopyRange> ranges;     ///< What to copy; empty: all.
  TableMappings mappings;            ///< Those that the table was described with.
};

/// Takes what a copy reads. `worker` is from 0. Called from each worker's thread, never at once for one
/// worker.
struct CopySink {
  /// Batches of schema::ChangeSchema (Op I, _commit_ts the copy's time), each of one range.
  std::function<Status(int worker, const CopyRange&, std::shared_ptr<arrow::RecordBatch>)> rows;
  /// All of the range's rows were given; may be empty.
  std::function<Status(int worker, const CopyRange&)> done = {};
};

/// kRewritten: between the snapshot and the copy the table's storage was replaced (TRUNCATE, a rewriting
/// ALTER TABLE, DROP), behind which an older snapshot sees no rows, or not the right ones; or its columns are
/// not (any more) those of `table`, so that some were not read, or as what they are not. What the sink got
/// counts for nothing; a newer description and snapshot are needed. Source: PostgreSQL, section 13.6 (caveats
/// of MVCC).
enum class CopyOutcome { kComplete, kRewritten };

/// Copies one table at the exported snapshot, ranges of pages side by side. Memory: one batch a worker. What
/// replaces the storage waits for the copy's end; what did so before the copy began, no row is read of. On
/// connections of its own it looks afterwards whether `table` still is what the catalogue says; on
/// `options.connection` the caller does. Errors: the source's, the sink's, kCancelled.
Result<CopyOutcome> CopyTable(const SourceTable& table, const CopyOptions& options, const CancelToken& cancel,
                              CopyProgress* progress, const CopySink& sink);

}  // namespace tarn::cdc
