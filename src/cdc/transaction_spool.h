#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/lsn.h"
#include "cdc/pgoutput_decoder.h"
#include "cdc/spooled_messages.h"

namespace tarn::cdc {

struct SpoolOptions {
  std::string folder;              ///< Its files are those of open transactions; made when one needs it.
  int64_t memory_bytes = 8 << 20;  ///< Of all open transactions; what is more goes to files.
};

/// Makes one sequence of whole transactions out of pgoutput's protocol 2, in which the source sends large
/// transactions in blocks before they end. Their messages are kept until their commit, and are then replayed
/// into the handler as if they had come only now; what a subtransaction did that was rolled back is left
/// out. All other messages pass at once. The source keeps an open transaction's WAL and sends it again to the
/// next connection, so nothing here is durable. Source: PostgreSQL documentation, "Logical Streaming
/// Replication Protocol"; pgoutput.c. Threads: one.
class TransactionSpool {
 public:
  TransactionSpool(SpoolOptions options, PgoutputHandler* handler)
      : options_(std::move(options)), handler_(handler), decoder_(handler) {}

  /// Removes what a process that was killed left in the folder. Errors: kUnavailable.
  Status Clear();

  /// The next message, unless one is being replayed. Errors: the decoder's, SpooledMessages', kCorrupt for
  /// a message that does not frame or comes out of turn.
  Status Take(std::string_view message);
  /// True when the newest message was of a transaction that may still be rolled back.
  bool is_ahead() const { return ahead_; }

  /// True from a commit that Take met until all of its transaction has passed. The handler may be given time
  /// between two steps.
  bool is_replaying() const { return replayed_ != nullptr; }
  /// Passes on the next messages of the transaction, some at a time.
  Status ReplayStep();

  /// Of the transactions that are open or being replayed.
  int64_t transactions() const { return static_cast<int64_t>(open_.size()) + (replayed_ ? 1 : 0); }
  int64_t bytes() const;

 private:
  struct Transaction {
    explicit Transaction(std::string path) : messages(std::move(path)) {}
    bool IsRolledBack(uint32_t subxid) const;
    SpooledMessages messages;
    std::vector<uint32_t> rolled_back;  ///< Subtransactions, sorted; the server keeps far more of each.
    Lsn end;                            ///< Of a commit.
  };

  Status Begin(std::string_view message);
  Status End(std::string_view message);
  Status Keep(std::string_view message);
  Status Commit(std::string_view message);
  Status Abort(std::string_view message);

  const SpoolOptions options_;
  PgoutputHandler* handler_;
  PgoutputDecoder decoder_;
  std::map<uint32_t, std::unique_ptr<Transaction>> open_;
  Transaction* current_ = nullptr;  ///< Whose block the stream is in.
  std::unique_ptr<Transaction> replayed_;
  int64_t memory_bytes_ = 0;  ///< Of those in open_.
  bool ahead_ = false;
};

}  // namespace tarn::cdc
