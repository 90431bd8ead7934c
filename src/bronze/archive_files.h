#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "bronze/archive_manifest.h"
#include "bronze/file_check.h"
#include "storage/storage.h"

namespace tarn::bronze {

/// What an archived day's manifest says of its files: which flushes' rows stand in them, in order.
/// `epoch_before`: that of the flush before the day, where somebody knows.
std::vector<FileExpectation> ExpectedFiles(const ArchiveManifest& archive,
                                           std::optional<int64_t> epoch_before);

/// Whether an archived flush is the one that a manifest tells of. Its rows may be in other files.
bool SaysTheSame(const Manifest& manifest, const Manifest& archived);

/// Reads the day's files and proves that every row is there once and in its place. Errors: kCorrupt names the
/// file and what is wrong; kCancelled.
Status ProveFiles(const storage::Storage& storage, const std::string& lake, const ArchiveManifest& archive,
                  const CancelToken* cancel);

/// Removes files that no manifest of the archived day names, of runs that were cut off: up to the greatest
/// number that this one names, or all of them when with it the day `is_whole`. Not before it is there: that
/// of such a run may come late, and then counts; nor may greater numbers go that the day's next manifest may
/// name. `archives`: those that there are.
Status RemoveUnnamed(storage::Storage* storage, const std::string& lake,
                     const std::vector<ArchiveRange>& archives, const ArchiveManifest& archive,
                     bool is_whole);

/// The greatest number of a day's files that the manifest names: 1 of "20261122-0001.parquet"; 0: none.
int64_t LastNumber(const ArchiveManifest& archive);

}  // namespace tarn::bronze
