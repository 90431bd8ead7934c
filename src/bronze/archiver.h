#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/cancel.h"
#include "base/clock.h"
#include "bronze/archive_manifest.h"
#include "bronze/place.h"
#include "storage/storage.h"

namespace tarn::bronze {

/// A day that no further flush belongs to. A flush belongs to the day of the greatest name that a change file
/// has up to it (Manifest::last_file_name): names rise as commits do, also when the clock steps back, so the
/// flushes of a day follow each other, and a day is closed when a flush of a later one is there.
struct ClosedDay {
  std::string day;  ///< "20261122".
  ArchiveRange range;

  /// Midnight UTC behind it.
  Result<int64_t> EndMicros() const;
};

/// The oldest closed day that is not archived; nullopt when there is none. Errors: kCorrupt names a manifest
/// that is missing or cannot be read.
Result<std::optional<ClosedDay>> FindClosedDay(const storage::Storage& storage, const std::string& lake);

struct ArchiveProgress {
  int64_t files = 0, files_total = 0;  ///< Of the flushes.
  int64_t rows = 0;
};

struct ArchiveOptions {
  const Clock* clock = &Clock::System();
  const CancelToken* cancel = nullptr;
  int64_t max_file_bytes = 256 << 20;
  int64_t max_events = 100'000;  ///< That one manifest tells of, so that none is too large to be read.
  std::function<void(const ArchiveProgress&)> on_progress = [](const ArchiveProgress&) {};
};

/// Writes a day into large files, reads them back, and then puts its manifest, which alone decides: without
/// it nothing has happened, and the next call begins again. What earlier calls left is removed. Of a day with
/// more than `max_events` files and events the first part: then FindClosedDay gives the rest of it. A flush's
/// file that is not as its manifest says ends it (kCorrupt), so that no damage is handed on. Only for the
/// process that has the lake's lease, one call at a time; the stream may go on. Memory: the day's manifests,
/// and what an ArchiveWriter has. Durability: when it returns the day is archived. Errors: also kCancelled.
Result<ArchiveManifest> ArchiveDay(storage::Storage* storage, const BronzePlace& place, const ClosedDay& day,
                                   const ArchiveOptions& options);

/// What RemoveArchived removed.
struct RemovedFlushes {
  int64_t files = 0, manifests = 0;
};

/// Removes files and manifests of flushes whose day was archived at or before `archived_until` (micros), once
/// the archive's files of that day are proven to be there byte for byte; copies stay. The same conditions as
/// ArchiveDay. Errors: kCorrupt names the archive's file that is not as its manifest says.
Result<RemovedFlushes> RemoveArchived(storage::Storage* storage, const BronzePlace& place,
                                      int64_t archived_until, const CancelToken* cancel);

}  // namespace tarn::bronze
