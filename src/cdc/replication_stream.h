#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "base/cancel.h"
#include "base/lsn.h"
#include "cdc/change_collector.h"
#include "cdc/replication_objects.h"
#include "cdc/transaction_spool.h"

namespace tarn::cdc {

/// Positions of a running stream; readable from any thread.
struct StreamPositions {
  std::atomic<uint64_t> received{0};    ///< End of the newest message, but those of open transactions.
  std::atomic<uint64_t> server_end{0};  ///< End of the source's WAL, as it last told.
  /// Up to here this connection brought all commits into the collector; zero without one, because what was
  /// brought and is not durable comes again.
  std::atomic<uint64_t> brought{0};
  std::atomic<int64_t> last_message_micros{0};
  std::atomic<uint64_t> confirmed{0};  ///< What was told to the source as durable.
  /// Large transactions that are open on the source (or just committed), and what is kept of them here.
  std::atomic<int64_t> open_transactions{0}, spooled_bytes{0};
};

/// Whether all that the source committed up to `at` was brought into the collector, taken from it and put
/// where it belongs. Threads: any.
bool HasTakenIn(const StreamPositions& positions, ChangeCollector& collector, Lsn at);

/// Streams a slot into a collector until cancelled, telling the source what is durable. Threads: Run on one;
/// Confirm and positions from any.
class ReplicationStream {
 public:
  /// Called before a newer position is confirmed to the source. On Run's thread.
  using BeforeConfirm = std::function<Status(Lsn)>;
  /// `spool`: where large transactions wait for their end.
  ReplicationStream(std::string conninfo, ReplicationNames names, SpoolOptions spool,
                    BeforeConfirm before_confirm)
      : conninfo_(std::move(conninfo)),
        names_(std::move(names)),
        spool_options_(std::move(spool)),
        before_confirm_(std::move(before_confirm)) {}

  /// Everything whose end is at or below `end` is durable. Never moves back.
  void Confirm(Lsn end);
  const StreamPositions& positions() const { return positions_; }
  /// Positions of before mean nothing any more: the source's log is another one. Not while Run runs.
  void Forget();

  /// Asks the source how far its WAL goes; positions().server_end follows soon.
  void RequestPosition() { position_wanted_ = true; }

  /// `from`: brings what committed behind it, of what is not confirmed. Returns kCancelled on request,
  /// kUnavailable when the connection broke (make a new collector and run again), kNotFound when the slot or
  /// a publication is not there (or was not, where the slot begins).
  Status Run(ChangeCollector& collector, Lsn from, const CancelToken& cancel);
  /// The newest Run ended by an internal error of the server (SQLSTATE class XX): it cannot decode its log
  /// here, and perhaps never will. Not while Run runs.
  bool failed_inside() const { return failed_inside_; }
  /// The newest Run ended with kNotFound. Not while Run runs.
  bool failed_missing() const { return failed_missing_; }

 private:
  Status Start(Lsn from);
  Status Follow(ChangeCollector& collector, TransactionSpool& spool, const CancelToken& cancel);
  /// Some messages, as many as are there; false when there are none.
  Result<bool> Read(ChangeCollector& collector, TransactionSpool& spool);
  Status HandleCopyData(TransactionSpool& spool, std::string_view message);
  /// The source has sent all of its WAL up to here.
  void Reached(uint64_t end);
  Status SendStatus(ChangeCollector& collector, bool force);
  Status WaitForSocket(int timeout_ms);
  /// Gives messages a moment to come in numbers.
  Status Gather();
  Error StreamEnded();

  const std::string conninfo_;
  const ReplicationNames names_;
  const SpoolOptions spool_options_;
  const BeforeConfirm before_confirm_;
  std::unique_ptr<PgConnection> connection_;
  StreamPositions positions_;
  std::atomic<uint64_t> durable_{0};
  std::atomic<bool> position_wanted_{false};
  int64_t last_status_micros_ = 0, last_idle_micros_ = 0;
  bool reply_wanted_ = false;
  bool failed_inside_ = false, failed_missing_ = false;
  bool read_any_ = false;  ///< The newest Read took messages.
};

}  // namespace tarn::cdc
