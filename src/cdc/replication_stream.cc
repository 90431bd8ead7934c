#include "cdc/replication_stream.h"

#include <libpq-fe.h>
#include <poll.h>

#include <thread>

#include "base/clock.h"
#include "cdc/wire_reader.h"

namespace tarn::cdc {
namespace {

constexpr auto kGatherTime = std::chrono::microseconds(100);
/// What is durable is confirmed soon: the source frees its WAL, and whoever waits for a position sees it.
constexpr int64_t kConfirmIntervalMicros = 100'000;
constexpr int64_t kIdleIntervalMicros = 1'000'000;     ///< A position behind which nothing is stored.
constexpr int64_t kStatusIntervalMicros = 10'000'000;  ///< Without anything new to confirm.
/// Taken between two looks at the clock and the collector.
constexpr int kMostMessages = 256;
constexpr int64_t kMostBytes = 1 << 20;
constexpr int64_t kPgEpochMicros = 946'684'800LL * 1'000'000;

void PutInt64(std::string& out, uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
}

void Raise(std::atomic<uint64_t>& target, uint64_t value) {
  uint64_t before = target.load();
  while (before < value && !target.compare_exchange_weak(before, value)) {
  }
}

}  // namespace

void ReplicationStream::Confirm(Lsn end) { Raise(durable_, end.value); }

void ReplicationStream::Forget() {
  durable_ = 0;
  positions_.received = positions_.server_end = positions_.brought = positions_.confirmed = 0;
}

Status ReplicationStream::WaitForSocket(int timeout_ms) {
  pollfd entry{PQsocket(connection_->raw()), POLLIN, 0};
  if (poll(&entry, 1, timeout_ms) > 0 && PQconsumeInput(connection_->raw()) == 0) {
    return MakeError(ErrorCode::kUnavailable, "the replication connection broke: {}",
                     connection_->LastError());
  }
  return {};
}

Status ReplicationStream::Gather() {
  // The source sends each message by itself: to wait for each alone costs both sides more than the message.
  std::this_thread::sleep_for(kGatherTime);
  if (PQconsumeInput(connection_->raw()) != 0) return {};
  return MakeError(ErrorCode::kUnavailable, "the replication connection broke: {}", connection_->LastError());
}

Status ReplicationStream::SendStatus(ChangeCollector& collector, bool force) {
  const int64_t now = MonotonicMicros();
  // On an idle stream the slot follows the source's WAL, which other databases and vacuum write, too.
  const uint64_t end = positions_.brought.load();
  const bool unsure = collector.AwaitsKnownCommit();
  const bool idle = !unsure && collector.IsIdle() && durable_.load() >= positions_.received.load();
  if (idle && now - last_idle_micros_ >= kIdleIntervalMicros) {
    Raise(durable_, end);
    last_idle_micros_ = now;
  }
  const bool moved = durable_.load() > positions_.confirmed.load();
  const bool due = now - last_status_micros_ >= (moved ? kConfirmIntervalMicros : kStatusIntervalMicros);
  if (!force && !due) return {};
  // Zero tells of no position.
  const uint64_t durable = unsure ? 0 : durable_.load();
  if (moved && !unsure) TARN_RETURN_IF_ERROR(before_confirm_(Lsn{durable}));
  std::string message = "r";
  PutInt64(message, std::max(positions_.received.load(), durable));
  PutInt64(message, durable);
  PutInt64(message, durable);
  PutInt64(message, static_cast<uint64_t>(Clock::System().NowMicros() - kPgEpochMicros));
  message += static_cast<char>(position_wanted_.exchange(false) ? 1 : 0);
  if (PQputCopyData(connection_->raw(), message.data(), static_cast<int>(message.size())) != 1 ||
      PQflush(connection_->raw()) != 0) {
    return MakeError(ErrorCode::kUnavailable, "the replication connection broke: {}",
                     connection_->LastError());
  }
  Raise(positions_.confirmed, durable);
  last_status_micros_ = now;
  reply_wanted_ = false;
  return {};
}

void ReplicationStream::Reached(uint64_t end) {
  Raise(positions_.server_end, end);
  Raise(positions_.brought, end);
}

Status ReplicationStream::HandleCopyData(TransactionSpool& spool, std::string_view message) {
  WireReader reader(message);
  const char kind = reader.Byte();
  positions_.last_message_micros = Clock::System().NowMicros();
  if (kind == 'k') {
    Reached(static_cast<uint64_t>(reader.Int64()));
    reader.Int64();
    reply_wanted_ = reader.Byte() != 0;
    return {};
  }
  if (kind != 'w') return MakeError(ErrorCode::kUnsupported, "unknown replication message '{}'", kind);
  const auto start = static_cast<uint64_t>(reader.Int64());
  const auto end = static_cast<uint64_t>(reader.Int64());
  reader.Int64();
  if (!reader.ok()) return Error{ErrorCode::kCorrupt, "a replication message is cut short"};
  TARN_RETURN_IF_ERROR(spool.Take(message.substr(25)));
  // What is open is not waited for: it may be rolled back, and then nothing of it is ever durable.
  if (!spool.is_ahead()) Raise(positions_.received, start);
  // The next message tells where a transaction ends that only now passes from the spool.
  if (!spool.is_replaying()) Reached(end);
  return {};
}

Error ReplicationStream::StreamEnded() {
  // Why is in the result behind the copy, not in the connection.
  std::string reason = connection_->LastError();
  bool missing = false;
  while (PGresult* result = PQgetResult(connection_->raw())) {
    const ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_FATAL_ERROR) {
      reason = PQresultErrorMessage(result);
      const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
      missing = state != nullptr && std::string_view(state) == "42704";  // undefined_object
      failed_inside_ = state != nullptr && std::string_view(state).starts_with("XX");
    }
    PQclear(result);
    if (status == PGRES_COPY_BOTH || status == PGRES_COPY_OUT || status == PGRES_COPY_IN) break;
  }
  while (!reason.empty() && reason.back() == '\n') reason.pop_back();
  return MakeError(missing ? ErrorCode::kNotFound : ErrorCode::kUnavailable,
                   "the source ended the replication stream: {}", reason);
}

Status ReplicationStream::Start(Lsn from) {
  TARN_ASSIGN(connection_, PgConnection::Connect(conninfo_, PgConnection::Kind::kReplication, "stream"));
  const std::string publications = names_.publication + "," + names_.append_publication();
  return connection_->StartCopy(fmt::format(
      "START_REPLICATION SLOT {} LOGICAL {} (proto_version '2', streaming 'on', publication_names {})",
      QuoteName(names_.slot), from.ToString(), QuoteText(publications)));
}

Result<bool> ReplicationStream::Read(ChangeCollector& collector, TransactionSpool& spool) {
  int64_t bytes = 0;
  read_any_ = false;
  for (int i = 0; i < kMostMessages && bytes < kMostBytes; i++) {
    if (collector.MustWait() || spool.is_replaying()) return true;
    char* buffer = nullptr;
    const int length = PQgetCopyData(connection_->raw(), &buffer, 1);
    if (length == 0) return false;
    if (length < 0) return StreamEnded();
    const std::unique_ptr<char, void (*)(void*)> owner(buffer, PQfreemem);
    TARN_RETURN_IF_ERROR(HandleCopyData(spool, {buffer, static_cast<size_t>(length)}));
    bytes += length;
    read_any_ = true;
  }
  return true;
}

Status ReplicationStream::Follow(ChangeCollector& collector, TransactionSpool& spool,
                                 const CancelToken& cancel) {
  while (true) {
    TARN_RETURN_IF_ERROR(cancel.Check());
    TARN_RETURN_IF_ERROR(SendStatus(collector, reply_wanted_ || position_wanted_));
    positions_.open_transactions = spool.transactions();
    positions_.spooled_bytes = spool.bytes();
    if (collector.IsFull()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    } else if (spool.is_replaying()) {
      TARN_RETURN_IF_ERROR(spool.ReplayStep());
    } else {
      TARN_ASSIGN(const bool is_more, Read(collector, spool));
      TARN_RETURN_IF_ERROR(collector.Reached(Lsn{positions_.brought.load()}));
      if (!is_more) TARN_RETURN_IF_ERROR(read_any_ ? Gather() : WaitForSocket(100));
    }
  }
}

bool HasTakenIn(const StreamPositions& positions, ChangeCollector& collector, Lsn at) {
  // The position first: what comes between the two looks must not pass for taken in.
  const bool brought = positions.brought.load() >= at.value;
  return brought && collector.IsIdle() && !collector.HasWork();
}

Status ReplicationStream::Run(ChangeCollector& collector, Lsn from, const CancelToken& cancel) {
  TransactionSpool spool(spool_options_, &collector);
  failed_inside_ = failed_missing_ = false;
  TARN_RETURN_IF_ERROR(spool.Clear());
  Status outcome = Start(from);
  if (outcome) outcome = Follow(collector, spool, cancel);
  failed_missing_ = !outcome && outcome.error().code == ErrorCode::kNotFound;
  // What became durable last is not sent again. A connection that is left open keeps the slot from the next.
  if (!outcome && outcome.error().code == ErrorCode::kCancelled)
    (void)SendStatus(collector, true).has_value();
  connection_.reset();
  // What this connection brought and nobody made durable comes again: until then the next one is behind.
  positions_.brought = 0;
  positions_.open_transactions = positions_.spooled_bytes = 0;
  return outcome;
}

}  // namespace tarn::cdc
