#pragma once

#include <arrow/type_fwd.h>

#include <functional>
#include <memory>
#include <string>

#include "base/cancel.h"
#include "base/error.h"
#include "bronze/manifest.h"
#include "bronze/place.h"
#include "storage/storage.h"

namespace tarn::pipeline {

/// Where copies are read from.
struct CopySource {
  const storage::Storage* storage = nullptr;
  bronze::BronzePlace place;
  std::string
      scratch;  ///< A local folder of the reader's own, for the keys that changed while it was copied.
};

/// Why a finished copy tells nothing for sure, so that the table must be copied from its start; empty when it
/// does. While it was cut off, changes of the table were missed or cannot be told by key (marks of Bronze
/// between its snapshots).
Result<std::string> WhySpoiled(const CopySource& from, const bronze::LoadManifest& load);

/// The rows of a finished copy as the source had them at its position, in batches of schema::ChangeSchema.
/// Where the copy was cut off and went on, rows of its earlier runs are left out when Bronze has a change of
/// their key up to there, or a newer reading: Bronze must have the table's changes since the least snapshot.
/// Memory: a batch; what the marks of changed keys take is the page cache's.
Status ReadCopy(const CopySource& from, const bronze::LoadManifest& load, const CancelToken& cancel,
                const std::function<Status(std::shared_ptr<arrow::RecordBatch>)>& take);

}  // namespace tarn::pipeline
