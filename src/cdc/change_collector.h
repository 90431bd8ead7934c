#pragma once

#include <arrow/type_fwd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "cdc/change_builder.h"
#include "cdc/pgoutput_decoder.h"
#include "cdc/shape_change.h"

namespace tarn::cdc {

/// A table's next rows in a segment, in commit order; or, with `rows` null, what else became of it at a
/// position, which may lie between rows of one batch: it was truncated, or, with `copy_again`, rows that came
/// earlier may not be as the source has them from there on (the reason).
struct TableEvent {
  std::shared_ptr<const schema::TableSchema> table;
  std::shared_ptr<arrow::RecordBatch> rows;
  schema::ChangePosition at = {};
  std::string copy_again = {};
};

/// A cut out of the stream: whole transactions in commit order, unless one is too large for memory.
struct Segment {
  std::vector<TableEvent> events;  ///< Of one table in order; tables are independent of each other.
  Lsn first_commit, last_commit;   ///< Commit LSNs of the first and last transaction.
  Lsn end;                         ///< What may be confirmed when all of it is durable; zero when `open`.
  int64_t last_commit_micros = 0;
  int64_t transactions = 0, rows = 0, bytes = 0;
  bool open = false;  ///< It ends inside a transaction whose rest follows in the next segment.
};

/// A commit that was read before.
struct KnownCommit {
  Lsn lsn;
  int64_t micros = 0;  ///< Its time on the source.
};

struct CollectorOptions {
  int64_t epoch = 0;
  Lsn skip_up_to;  ///< Transactions with a commit LSN at or below it were already taken.
  /// The stream brings it once more, before all later ones: else the source's log is another one than was
  /// read, set back and written on.
  std::optional<KnownCommit> known_commit = {};
  int64_t max_bytes = 64 << 20;  ///< The stream waits, or a transaction is cut, beyond it.
  TableMappings mappings = {};
  /// Asks the source's catalogue about a table whose shape changed. On the decoding thread.
  std::function<Result<std::optional<SourceTable>>(uint32_t oid)> describe = {};
};

/// Turns a stream into segments. One thread decodes into it, another takes; a full collector makes the
/// decoder wait, and with it the slot.
class ChangeCollector : public PgoutputHandler {
 public:
  explicit ChangeCollector(CollectorOptions options);
  ~ChangeCollector() override;

  /// From now on the table is known so. Changes with a commit LSN below its `start` are in its copy and are
  /// dropped.
  void Follow(FollowedTable table);

  /// Errors: kUnavailable when known_commit does not come again (see HasOtherHistory).
  Status OnBegin(const TransactionHead& head) override;
  Status OnRelation(StreamRelation relation) override;
  Status OnRow(char op, uint32_t relation, const std::vector<WireValue>& row,
               const std::vector<WireValue>& old_row) override;
  Status OnTruncate(const std::vector<uint32_t>& relations) override;
  Status OnCommit(Lsn end_lsn) override;

  /// The source has sent all up to `end`. Errors: as OnBegin.
  Status Reached(Lsn end);
  /// known_commit has not come yet: nothing may be confirmed to the source.
  bool AwaitsKnownCommit() const { return awaits_known_commit_.load(std::memory_order_relaxed); }
  /// known_commit did not come again.
  bool HasOtherHistory();

  /// Takes what is there, waiting up to `timeout` for the end of a transaction; nullopt when nothing came.
  /// What was taken counts as work until Done.
  std::optional<Segment> Take(std::chrono::milliseconds timeout);

  /// The stream stops before the first transaction with a commit LSN past `at` (zero: before the next
  /// one), and goes on when the barrier is moved past it or lifted. What came before can be taken meanwhile.
  void SetBarrier(std::optional<Lsn> at);
  /// True when the stream waits at the barrier.
  bool IsAtBarrier();

  /// Called by the decoding thread between messages: true when it must wait before it goes on.
  bool IsFull();
  /// The same question about the barrier alone, without a lock: asked behind every message.
  bool MustWait() const { return at_barrier_.load(std::memory_order_relaxed); }
  /// The segment taken last is where it belongs.
  void Done();
  /// True while whole or partial transactions wait to be taken, or a taken segment is not done.
  bool HasWork();
  /// A position on the source behind which everything was taken and which nothing is open beyond; for
  /// confirming an idle stream. Zero when changes are waiting.
  bool IsIdle();

 private:
  struct TableState;
  std::optional<FollowedTable> KnownAs(uint32_t oid);
  Result<std::optional<SourceTable>> Describe(const StreamRelation& relation,
                                              const std::optional<FollowedTable>& known);
  void FinishBuilder(TableState& state);
  Status TakeRow(TableState& state, char op, int64_t ordinal, const std::vector<WireValue>& row,
                 const std::vector<WireValue>& old_row);  ///< Under mutex_.
  Error LacksKnownCommit();                               ///< Under mutex_.
  bool IsInCopy(uint32_t oid) const;  ///< Whether the transaction is in the table's copy. Under mutex_.
  Segment CutLocked(bool open);

  const CollectorOptions options_;
  std::mutex mutex_;
  std::atomic<bool> awaits_known_commit_;  ///< Set under mutex_; asked without a lock behind every read.
  bool other_history_ = false;
  std::condition_variable changed_;
  std::map<uint32_t, std::unique_ptr<TableState>> tables_;
  std::map<uint32_t, FollowedTable> followed_;  ///< By object id, as they were when they were copied.
  Segment segment_;
  std::optional<Segment> ready_;
  TransactionHead transaction_;
  std::string commit_time_;
  int64_t ordinal_ = 0;
  bool in_transaction_ = false;
  bool skipping_ = false;
  bool cut_wanted_ = false;
  bool taken_ = false;  ///< A segment is out and not done.
  std::optional<Lsn> barrier_;
  std::atomic<bool> at_barrier_{false};  ///< A transaction has begun of which nothing may be taken in yet.
  int64_t open_rows_ = 0, open_bytes_ = 0;
};

}  // namespace tarn::cdc
