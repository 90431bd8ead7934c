#pragma once

#include <arrow/type_fwd.h>

#include <functional>
#include <memory>
#include <optional>

#include "base/cancel.h"
#include "base/error.h"
#include "bronze/manifest.h"
#include "cdc/replication_objects.h"
#include "cdc/snapshot.h"
#include "cdc/source_catalog.h"
#include "pipeline/options.h"

namespace tarn::pipeline {

/// Whether an earlier copy of the table was cut off and can be gone on with: the table is as it was, with a
/// key, in ranges whose rows have kept their places. Its changes since must come, or be in Bronze.
Result<bool> IsCutOff(const storage::Storage& storage, const PipelineOptions& options, int64_t epoch,
                      const cdc::SourceTable& table);

/// Who else gets the rows; called as cdc::CopySink.
using AlsoTake = std::function<Status(int worker, const std::shared_ptr<arrow::RecordBatch>&)>;

/// What copies of one snapshot have in common.
struct CopyTask {
  const cdc::ExportedSnapshot& snapshot;
  uint64_t oldest_xid = 0;  ///< As cdc::OldestTransaction.
  int64_t epoch = 0;
  int workers = 1;  ///< Of each copy.
  cdc::CopyRate* rate = nullptr;
};

/// Copies a table into Bronze at the snapshot; a copy that was cut off is gone on with. Where somebody
/// `also` takes the rows, who must get all of them, it begins at the first. nullopt: the table was rewritten,
/// or is not as it was described, and must be described and copied under a newer snapshot. Durability: a
/// manifest's files survive a crash; before that, what was done until about `copy_save_ms` ago.
Result<std::optional<bronze::LoadManifest>> CopyIntoBronze(storage::Storage* storage,
                                                           const PipelineOptions& options,
                                                           const CopyTask& task,
                                                           const cdc::SourceTable& table,
                                                           const CancelToken& cancel,
                                                           cdc::CopyProgress* progress, const AlsoTake& also);

}  // namespace tarn::pipeline
