#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bronze/manifest.h"
#include "bronze/place.h"
#include "storage/storage.h"

namespace tarn::bronze {

/// A stretch of time in which a copy went on, under a snapshot of its own.
struct CopyRun {
  Lsn snapshot;
  int64_t snapshot_micros = 0;
  uint64_t oldest_xid =
      0;  ///< Of the source: what a transaction below it wrote is in the snapshot or nowhere.
};

/// How far a copy came: what a later run, after it was cut off, goes on from. The table is split into ranges,
/// each of which is copied whole, by the number of its place.
struct CopyProgress {
  std::shared_ptr<const schema::TableSchema> table;
  int64_t epoch = 0;
  std::string source;  ///< What else must be the same for the ranges to be the same: the copier's own.
  std::vector<int64_t> starts;  ///< First pages of the ranges.
  std::vector<int> runs_done;   ///< By range: the newest run that has all of it; kMissing.
  std::vector<CopyRun> runs;    ///< The last one goes on now.
  std::vector<LoadFile> files;  ///< Of the ranges that are done.

  static constexpr int kMissing = -1;
  int64_t rows() const;
  size_t ranges_done() const;
};

/// nullopt: no copy of the table was cut off. Errors: kCorrupt names the file.
Result<std::optional<CopyProgress>> ReadCopyProgress(const storage::Storage& storage,
                                                     const BronzePlace& place, const std::string& table);
/// The newest snapshot of all copies that were cut off, or are under way; zero without any.
Result<Lsn> NewestCopyRun(const storage::Storage& storage, const BronzePlace& place);
/// Durability: on return it is what the next start reads.
Status WriteCopyProgress(storage::Storage& storage, const BronzePlace& place, const CopyProgress& progress);
/// The next copy of the table begins at its first row. All tables': for changes that will not be known.
Status ForgetCopyProgress(storage::Storage& storage, const BronzePlace& place, const std::string& table);
Status ForgetAllCopyProgress(storage::Storage& storage, const BronzePlace& place);

}  // namespace tarn::bronze
