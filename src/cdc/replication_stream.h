#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "base/cancel.h"
#include "base/lsn.h"
#include "cdc/change_collector.h"
#include "cdc/replication_objects.h"

namespace tarn::cdc {

/// Positions of a running stream; readable from any thread.
struct StreamPositions {
  std::atomic<uint64_t> received{0};    ///< End of the newest message.
  std::atomic<uint64_t> server_end{0};  ///< End of the source's WAL, as it last told.
  std::atomic<int64_t> last_message_micros{0};
  std::atomic<uint64_t> confirmed{0};  ///< What was told to the source as durable.
};

/// Streams a slot into a collector until cancelled, telling the source what is durable. Threads: Run on one;
/// Confirm and positions from any.
class ReplicationStream {
 public:
  ReplicationStream(std::string conninfo, ReplicationNames names)
      : conninfo_(std::move(conninfo)), names_(std::move(names)) {}

  /// Everything whose end is at or below `end` is durable. Never moves back.
  void Confirm(Lsn end);
  const StreamPositions& positions() const { return positions_; }
  /// Positions of before mean nothing any more: the source's log is another one. Not while Run runs.
  void Forget();

  /// Asks the source how far its WAL goes; positions().server_end follows soon.
  void RequestPosition() { position_wanted_ = true; }

  /// Returns kCancelled on request, kUnavailable when the connection broke (make a new collector and run
  /// again), kNotFound when the slot or a publication is not there (or was not, where the slot begins).
  Status Run(ChangeCollector& collector, Lsn from, const CancelToken& cancel);

 private:
  Status HandleCopyData(ChangeCollector& collector, class PgoutputDecoder& decoder, std::string_view message);
  Status SendStatus(ChangeCollector& collector, bool force);
  Status WaitForSocket(int timeout_ms);
  Error StreamEnded();

  const std::string conninfo_;
  const ReplicationNames names_;
  std::unique_ptr<PgConnection> connection_;
  StreamPositions positions_;
  std::atomic<uint64_t> durable_{0};
  std::atomic<bool> position_wanted_{false};
  int64_t last_status_micros_ = 0;
  bool reply_wanted_ = false;
};

}  // namespace tarn::cdc
