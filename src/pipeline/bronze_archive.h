#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "bronze/archiver.h"
#include "pipeline/options.h"
#include "storage/storage.h"

namespace tarn::pipeline {

/// A day that was archived, or a part of one that has very many small files.
struct ArchivedDay {
  std::string day;        ///< "2026-11-22".
  bool is_whole = false;  ///< Nothing of the day comes behind it.
  int64_t flushes = 0, small_files = 0;
  int64_t tables = 0, files = 0, rows = 0, bytes = 0;
  double seconds = 0;
};

/// What one call has done.
struct ArchiveOutcome {
  std::vector<ArchivedDay> days;
  bronze::RemovedFlushes removed;
};
std::string ToJson(const ArchiveOutcome& outcome);
/// For people, in steps of a percent.
std::string ArchiveProgressLine(const std::string& day, const bronze::ArchiveProgress& progress);

/// How archiving goes, for status. Threads: a copy of its own.
struct ArchiveState {
  std::string newest_day;  ///< "2026-11-22"; empty: none is archived, or nobody looked yet.
  std::string archiving;   ///< The day that is being written; empty when none is.
  bronze::ArchiveProgress progress;
  int64_t days = 0;  ///< Since the start.
  std::string last_error;
};

/// Archives closed days of Bronze beside the stream, which does not wait for it: on a thread of its own, of
/// low priority, one day at a time, `archive_after_hours` after the day's end; and removes small files of
/// archived days after `keep_days`. For the process that has the lake's lease. Threads: one of its own
/// between Start and Stop; the calls from any.
class BronzeArchive {
 public:
  /// All three outlive it.
  BronzeArchive(storage::Storage* storage, const PipelineOptions& options, const Clock* clock)
      : storage_(storage), options_(options), clock_(clock) {}
  ~BronzeArchive() { Stop(); }

  /// Nothing when the configuration switches archiving off.
  void Start();
  void Stop();

  /// Tells of a flush: one of a later day closes the day before.
  void Flushed(const bronze::Manifest& manifest);

  /// Archives closed days up to `until` ("2026-11-22"; empty: all of them) at once, and removes what
  /// `keep_days` says. `on_progress`: the day, and how far it is. Errors: kInvalidArgument for what is no
  /// day, kCorrupt names what of Bronze is missing or damaged, kCancelled.
  using Reporter = std::function<void(const std::string& day, const bronze::ArchiveProgress&)>;
  Result<ArchiveOutcome> ArchiveNow(const std::string& until, const CancelToken& cancel,
                                    const Reporter& on_progress);
  ArchiveState state();

 private:
  void Loop();
  /// Archives what is due, and removes what is old.
  Status Look();
  Status NoteNewest();
  /// Archives the oldest closed day as long as it is wanted.
  using Wanted = std::function<Result<bool>(const bronze::ClosedDay&)>;
  Status ArchiveWhile(const Wanted& wanted, const CancelToken& cancel, const Reporter& on_progress,
                      ArchiveOutcome& outcome);
  Result<ArchivedDay> Archive(const bronze::ClosedDay& day, const CancelToken& cancel,
                              const Reporter& on_progress);
  Status RemoveOld(const CancelToken& cancel, ArchiveOutcome& outcome);

  storage::Storage* storage_;
  const PipelineOptions& options_;
  const Clock* clock_;
  std::mutex work_;  ///< One archives at a time.
  CancelToken cancel_;

  std::mutex mutex_;
  std::condition_variable changed_;
  ArchiveState state_;        ///< Under mutex_.
  std::string flushed_day_;   ///< Of the newest flush; under mutex_.
  bool look_wanted_ = false;  ///< Under mutex_.
  std::thread thread_;
};

/// Archives in a lake that no tarn runs on: takes its lease. Errors: as ArchiveNow; kConflict when another
/// process writes the lake, kNotFound when there is none.
Result<ArchiveOutcome> ArchiveStopped(const PipelineOptions& options, const std::string& until,
                                      const BronzeArchive::Reporter& on_progress);

}  // namespace tarn::pipeline
