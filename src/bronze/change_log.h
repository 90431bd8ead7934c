#pragma once

#include <arrow/type_fwd.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "bronze/manifest.h"
#include "bronze/parquet_files.h"
#include "bronze/place.h"

namespace tarn::bronze {

/// A table's next rows, in order; or, with `rows` null, what else became of it at a position, which may lie
/// between rows of one batch: it was truncated, or, with `copy_again`, what came earlier may not be as the
/// source has it from there on (the reason), so that only a newer copy tells.
struct TableRows {
  std::shared_ptr<const schema::TableSchema> table;
  std::shared_ptr<arrow::RecordBatch> rows;
  schema::ChangePosition at = {};
  std::string copy_again = {};
};

/// What a flush is to hold. `open`: it ends inside a transaction, so its files stay unpublished until a later
/// one ends.
struct FlushInput {
  std::vector<TableRows> events;
  int64_t epoch = 0;
  Lsn last_commit, end;
  int64_t last_commit_micros = 0;
  int64_t transactions = 0, rows = 0;
  bool open = false;
};

/// kCorrupt, with what to do: flushes are missing from the chain.
Error ManifestsMissing(int64_t first, int64_t last);

/// Bronze: every change, in files of DMS's layout, and the chain of manifests that proves them complete.
/// Threads: one writer; ForEachManifest and ReadLoads from any.
class ChangeLog {
 public:
  /// Opens for writing. A flush that was cut off is finished if it was announced, else nothing of it remains
  /// and its changes come again: so no change is ever in two files, whoever read one of them meanwhile.
  /// Errors: kCorrupt when manifests that were written are gone.
  static Result<std::unique_ptr<ChangeLog>> Open(storage::Storage* storage, BronzePlace place,
                                                 const Clock* clock);

  /// The newest manifest; nullopt before the first flush.
  const std::optional<Manifest>& last() const { return last_; }

  /// Writes the events. Durability: when it returns a manifest, all up to its `end` survives a crash; nullopt
  /// for an open input. After an error only Recover tells whether it is durable all the same.
  Result<std::optional<Manifest>> Flush(const FlushInput& input);

  /// Makes good a flush that failed, as Open does: afterwards `last` is what is durable, and nothing else
  /// remains. Forgets the files of a transaction whose end did not come: the source sends it again.
  Status Recover();

  /// The manifests that go beyond `after`, in order; those of archived days from the archive, whose files
  /// their events then name parts of.
  static Status ForEachManifest(const storage::Storage& storage, const std::string& lake,
                                const SourcePosition& after,
                                const std::function<Status(const Manifest&)>& take);
  /// Finished copies of the tables, by lake name, oldest first: the newest tells what a table holds.
  static Result<std::map<std::string, std::vector<LoadManifest>>> ReadLoads(const storage::Storage& storage,
                                                                            const std::string& lake);

 private:
  ChangeLog(storage::Storage* storage, BronzePlace place, const Clock* clock)
      : storage_(storage), place_(std::move(place)), lake_(place_.root), clock_(clock) {}
  std::string ManifestPath(int64_t sequence) const;
  Status RemoveOrphans();
  /// Completes the files, which wait; the manifest then names their places.
  Status CloseFiles(Manifest& manifest);
  /// Gives an announced flush's files their places, and its manifest. May be done again.
  Status Deliver(const Manifest& manifest);
  Status Place(const std::vector<ManifestEvent>& events);
  std::string NextFileName();
  Status AppendEvent(const TableRows& event);

  storage::Storage* storage_;
  const BronzePlace place_;
  const std::string& lake_;  ///< The place's root.
  const Clock* clock_;
  std::optional<Manifest> last_;
  std::string last_name_;
  struct Pending {
    ManifestEvent event;
    std::unique_ptr<ChangeFile> file;
  };
  std::vector<Pending> pending_;  ///< Of the flush that is being built.
};

}  // namespace tarn::bronze
