#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "bronze/manifest.h"
#include "catalog/table_registry.h"
#include "cdc/replication_objects.h"
#include "cdc/shape_change.h"
#include "cdc/snapshot.h"
#include "pipeline/options.h"
#include "pipeline/seen_storages.h"
#include "pipeline/table_progress.h"
#include "pipeline/table_selection.h"
#include "storage/storage.h"

namespace tarn::pipeline {

/// A copy that is complete in Bronze and has not taken its place in Silver yet.
struct FinishedCopy {
  bronze::LoadManifest load;
  std::string storage;  ///< As cdc::SourceTable::storage, when it was copied.
};

/// What the watch is about, for status. Threads: a copy of its own.
struct WatchState {
  std::map<std::string, std::string> wanted;  ///< Lake name → why it is copied.
  std::string copying;                        ///< Lake name; empty when nothing is copied now.
  TableProgress progress;                     ///< Of that copy.
  std::map<std::string, std::string> gone;    ///< Lake name → source name of tables the source has no more.
  int64_t looks = 0;                          ///< How often the watch looked.
  std::string last_error;
};

/// Looks at the source's catalogue beside the stream and copies into Bronze, one table after another: tables
/// that are new, were made again, changed in a way that no message tells, were taken out of the publication
/// or of which it keeps changes back, and those that it is asked for. Readers see nothing of a copy before
/// Silver takes it. Threads: one of its own between Start and Stop; the calls from any.
class SourceWatch {
 public:
  struct Hooks {
    /// Called before a table that nobody followed enters a publication: changes may come from then on.
    std::function<void(const cdc::FollowedTable&)> follow;
  };
  /// `selection` outlives it.
  SourceWatch(storage::Storage* storage, const PipelineOptions& options, const TableSelection* selection,
              int64_t epoch, Hooks hooks)
      : storage_(storage),
        options_(options),
        selection_(selection),
        epoch_(epoch),
        hooks_(std::move(hooks)) {}
  ~SourceWatch() { Stop(); }

  /// Of the copies to come.
  void SetEpoch(int64_t epoch) { epoch_ = epoch; }
  void Start();
  void Stop();

  /// What the lake follows, by lake name, as it was when it was copied.
  void SetFollowed(std::map<std::string, cdc::FollowedTable> followed);
  /// Asks for a copy of a table that is followed; once more is the same.
  void Want(const std::string& lake_name, const std::string& reason);
  /// Tables that are followed and whose content the watch found to be unreliable since the last call, with
  /// the reason.
  std::vector<std::pair<std::string, std::string>> TakeNoticed();
  /// What was taken is marked, durably: only now the watch makes good on the source what tells of it.
  void Marked();
  /// Tables whose storage is another than when they were copied while their columns are the same (TRUNCATE,
  /// VACUUM FULL), with the storage of now: what is rewritten later is seen by that.
  std::vector<SeenStorage> TakeStorages();
  /// Tables that nobody follows yet and that are being copied or wait for it, with what to tell about them.
  std::map<std::string, std::string> Coming();
  /// A copy from before this process started.
  void AddFinished(FinishedCopy copy);
  /// The oldest finished copy, which stays until Took.
  std::optional<FinishedCopy> Finished();
  /// `accepted`: whether it could take its place. If not, the table is not copied again as long as the source
  /// has it as it was copied, unless somebody asks.
  void Took(bool accepted);
  WatchState state();

 private:
  using Chosen = std::vector<std::pair<cdc::SourceTable, std::string>>;  ///< With the reason.
  void Loop();
  Status Look();
  /// Whether what was noticed is marked; waits for it a moment.
  bool WaitForMarks();

  // What to copy (watched_tables.cc).
  /// Why a table must be copied, for what the source shows; empty when it need not. `kept_back`: why changes
  /// of it may not have come; empty when all come.
  std::string WhyCopy(const cdc::SourceTable& table, const cdc::FollowedTable* known,
                      const std::string& kept_back) const;
  /// Logs those that are new.
  void TellFaults(const std::vector<cdc::PublicationFault>& faults);
  /// `before` and `behind`: positions of the source from before and after the catalogue was read.
  void NoteStorage(const cdc::SourceTable& table, const cdc::FollowedTable& known, Lsn before, Lsn behind);
  /// Those of `tables` that are in no publication of tarn's, as SourceTable::from.
  Result<std::set<std::string>> FindTakenOut(const std::vector<cdc::SourceTable>& tables);
  /// What must be copied of what the source has now; takes what was asked for in.
  Result<Chosen> Choose(const std::vector<cdc::SourceTable>& tables, Lsn before, Lsn behind);
  /// Whether the table waits for another try, since copies of it came to nothing; under the mutex.
  bool IsPutOff(const std::string& lake_name) const;
  /// A copy came to nothing, as the table was truncated or changed: the next one is put off, each time for
  /// longer; under the mutex.
  void PutOff(const std::string& lake_name, int64_t lost_micros);
  /// Whether something is wanted whose turn has come; under the mutex.
  bool IsAnythingDue() const;
  /// The tables of now, and Choose's answer about them.
  Result<Chosen> LookAtTables(std::vector<cdc::SourceTable>& tables);
  Status Copy(const cdc::SourceTable& table, const std::vector<cdc::SourceTable>& all,
              const std::string& reason);
  /// With the pages that it has now, which the copy is split by.
  Result<cdc::SourceTable> Measured(cdc::SourceTable table);
  Result<std::optional<FinishedCopy>> CopyOnce(const cdc::SourceTable& table);
  storage::Storage* storage_;
  const PipelineOptions& options_;
  const TableSelection* selection_;
  std::atomic<int64_t> epoch_;
  const Hooks hooks_;
  std::unique_ptr<cdc::PgConnection> connection_;
  cdc::CopyProgress progress_;
  int64_t copy_started_ = 0;  ///< Under mutex_.

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, cdc::FollowedTable> followed_;
  WatchState state_;
  std::vector<FinishedCopy> finished_;
  std::map<std::string, schema::TableSchema> refused_;  ///< By lake name, as they were copied.
  /// Copies of a table that came to nothing, one after another.
  struct LostCopies {
    int count = 0;
    int64_t next_micros = 0;  ///< When the next one may begin, as MonotonicMicros.
  };
  std::map<std::string, LostCopies> lost_;  ///< By lake name, of those that are wanted.
  std::vector<std::pair<std::string, std::string>> noticed_;
  bool marking_ = false;               ///< What was noticed is taken and not marked yet.
  std::set<std::string> told_faults_;  ///< Of the watch's thread.
  std::vector<SeenStorage> storages_;
  std::map<std::string, Lsn> as_known_;  ///< By lake name, from before the last look that found it so.
  CancelToken cancel_;
  std::thread thread_;
};

/// Whether the lake's table was made from the source's, by its object id or its name.
bool IsSameSource(const schema::TableSchema& known, const schema::TableSchema& source);
/// kInvalidArgument when a name that the configuration gives is that of a table which the lake has from
/// another one of the source.
Status CheckGivenNames(const catalog::TableRegistry& registry, const std::vector<cdc::SourceTable>& tables);

/// A table of the source under the names that the lake knows it by. Without `known` it stays as it is.
cdc::SourceTable UnderLakeNames(cdc::SourceTable table, const cdc::FollowedTable* known);

/// The one of `followed` that a table of the source is: by object id, else by name.
const cdc::FollowedTable* FindFollowed(const std::map<std::string, cdc::FollowedTable>& followed,
                                       const cdc::SourceTable& table);

}  // namespace tarn::pipeline
