#pragma once

#include <arrow/type_fwd.h>

#include <memory>

#include "bronze/copy_progress.h"
#include "bronze/manifest.h"
#include "bronze/place.h"

namespace tarn::bronze {

/// How a copy is written.
struct LoadOptions {
  int workers = 1;
  int64_t save_micros = 10'000'000;  ///< A copy that is cut off loses about so much work of each worker.
};

/// Writes a copy of a table: LOAD00000001.parquet and on, behind those of earlier copies, one file a worker
/// at a time; at the end its manifest. Threads: Append and Complete from one thread a worker; Finish when all
/// are done.
class LoadWriter {
 public:
  static constexpr int64_t kMaxFileBytes = 256 << 20;
  static constexpr int64_t kSavedFileBytes = 64 << 20;  ///< A file that has so much ends with a range.

  /// Goes on from `progress`, whose last run is this one, and which has nothing yet for a new copy. Removes
  /// the files of what was not finished. Errors: kNotFound when a file of what is done is gone.
  static Result<std::unique_ptr<LoadWriter>> Begin(storage::Storage* storage, BronzePlace place,
                                                   CopyProgress progress, const LoadOptions& options);
  ~LoadWriter();
  /// Rows of the range that the worker is at; `again` as LoadFile has it.
  Status Append(int worker, const arrow::RecordBatch& rows, bool again = false);
  /// The range is whole. Durability: from time to time what is done is noted, for who goes on from there.
  Status Complete(int worker, size_t range);
  Result<LoadManifest> Finish();

 private:
  struct State;
  explicit LoadWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tarn::bronze
