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

/// Bronze: every change, in files of DMS's layout, and the chain of manifests that proves them complete.
/// Threads: one writer; ForEachManifest and ReadLoads from any.
class ChangeLog {
 public:
  /// Opens for writing; removes files that no manifest names (a flush that was cut off: its changes come
  /// again).
  static Result<std::unique_ptr<ChangeLog>> Open(storage::Storage* storage, std::string lake,
                                                 const Clock* clock);

  /// The newest manifest; nullopt before the first flush.
  const std::optional<Manifest>& last() const { return last_; }

  /// Writes the events. Durability: when it returns a manifest, all up to its `end` survives a crash; nullopt
  /// for an open input. Errors leave nothing visible; the same changes may be flushed again.
  Result<std::optional<Manifest>> Flush(const FlushInput& input);

  /// Forgets the files of a transaction whose end did not come: the source sends it again.
  void DiscardOpen() { pending_.clear(); }

  /// The manifests that go beyond `after`, in order.
  static Status ForEachManifest(const storage::Storage& storage, const std::string& lake,
                                const SourcePosition& after,
                                const std::function<Status(const Manifest&)>& take);
  /// Finished copies of the tables, by lake name, oldest first: the newest tells what a table holds.
  static Result<std::map<std::string, std::vector<LoadManifest>>> ReadLoads(const storage::Storage& storage,
                                                                            const std::string& lake);

 private:
  ChangeLog(storage::Storage* storage, std::string lake, const Clock* clock)
      : storage_(storage), lake_(std::move(lake)), clock_(clock) {}
  Status RemoveOrphans();
  std::string NextFileName();
  Status AppendEvent(const TableRows& event);

  storage::Storage* storage_;
  std::string lake_;
  const Clock* clock_;
  std::optional<Manifest> last_;
  Lsn after_;
  std::string last_name_;
  struct Pending {
    ManifestEvent event;
    std::unique_ptr<ChangeFile> file;
  };
  std::vector<Pending> pending_;  ///< Of the flush that is being built.
};

/// Writes a copy of a table: LOAD00000001.parquet and on, behind those of earlier copies, one file a worker
/// at a time; at the end its manifest. Threads: Append from one thread a worker; Finish when all are done.
class LoadWriter {
 public:
  static constexpr int64_t kMaxFileBytes = 256 << 20;

  /// Removes files of an earlier copy that was not finished.
  static Result<std::unique_ptr<LoadWriter>> Begin(storage::Storage* storage, std::string lake,
                                                   const schema::TableSchema& table, int workers);
  ~LoadWriter();
  Status Append(int worker, const arrow::RecordBatch& rows);
  Result<LoadManifest> Finish(int64_t epoch, Lsn snapshot, int64_t snapshot_micros);

 private:
  struct State;
  explicit LoadWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tarn::bronze
