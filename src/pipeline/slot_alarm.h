#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/cancel.h"
#include "base/error.h"
#include "cdc/pg_connection.h"
#include "pipeline/options.h"

namespace tarn::pipeline {

/// The WAL that the source keeps for the slot, as it was seen last.
struct KeptWal {
  std::string alarm;  ///< Why somebody should look after it; empty when all is well.
  int64_t bytes = 0;
};

/// Looks at the WAL that the source keeps for the slot, also while tables are copied, and warns before the
/// disk there fills or the slot is invalidated. Threads: one of its own between Start and Stop; the calls
/// from any.
class SlotAlarm {
 public:
  /// `options` outlives it.
  explicit SlotAlarm(const PipelineOptions& options) : options_(options) {}
  ~SlotAlarm() { Stop(); }

  void Start();
  void Stop();
  KeptWal kept_wal();

 private:
  void Loop();
  Status Look();

  const PipelineOptions& options_;
  std::unique_ptr<cdc::PgConnection> connection_;
  std::mutex mutex_;
  std::condition_variable changed_;
  KeptWal kept_;
  int64_t told_micros_ = 0;
  CancelToken cancel_;
  std::thread thread_;
};

}  // namespace tarn::pipeline
