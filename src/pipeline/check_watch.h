#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "catalog/lake_layout.h"
#include "engine/lake.h"
#include "engine/session.h"
#include "pipeline/check_list.h"
#include "pipeline/options.h"
#include "storage/storage.h"

namespace tarn::pipeline {

/// What the newest run of a check found.
struct CheckState {
  enum class Verdict { kHolds, kWrongRows, kCannotRun };
  ListedCheck listed;
  Verdict verdict = Verdict::kHolds;
  int64_t wrong_rows = 0;
  std::string error;         ///< Of kCannotRun.
  int64_t since_micros = 0;  ///< Since when the verdict is this one.
};

/// All of them, as of one run.
struct CheckStates {
  std::vector<CheckState> checks;
  int64_t at_micros = 0;  ///< When the newest run ended; 0: none has.
  double seconds = 0;     ///< What it took.
  std::string error;      ///< Why the models' checks could not be listed; empty when they were.
};

/// Runs the checks of the models behind the lake's commits, on a thread of its own that gives way to others:
/// at most every `check_interval_ms`, and so that it works no more than a tenth of the time. What a check
/// says anew is logged. Models are read again for each run, so that changed checks count at once. Threads:
/// any.
class CheckWatch {
 public:
  /// `storage` and `lake` outlive it.
  CheckWatch(const storage::Storage* storage, catalog::LakeLayout layout, const PipelineOptions& options,
             engine::Lake* lake, const Clock* clock);
  ~CheckWatch();

  /// No-op without models or with an interval of 0.
  void Start();
  void Stop();
  /// The lake has something new. Before the first call nothing is checked.
  void Committed();
  CheckStates states() const;

 private:
  void Loop();
  /// Waits until a run is due; false: stop.
  bool AwaitDue(int64_t not_before);
  CheckStates RunAll();
  CheckState RunOne(engine::Session& session, const ListedCheck& listed);
  void Tell(const CheckState& state) const;
  /// What the newest run said of a check; null: nothing.
  const CheckState* Before(const ListedCheck& listed) const;

  Result<std::vector<ListedCheck>> List() const;

  const storage::Storage* storage_;
  const catalog::LakeLayout layout_;
  const std::string models_;
  const int64_t interval_micros_;
  engine::SessionOptions session_options_;
  engine::Lake* lake_;
  const Clock* clock_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool committed_ = false;              ///< Under mutex_.
  bool stop_ = false;                   ///< Under mutex_.
  bool ended_ = false;                  ///< Under mutex_.
  engine::Session* running_ = nullptr;  ///< Under mutex_.
  CheckStates states_;                  ///< Under mutex_.
  std::thread thread_;
};

}  // namespace tarn::pipeline
