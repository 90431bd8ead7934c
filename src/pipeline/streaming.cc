#include <arrow/record_batch.h>

#include <algorithm>
#include <chrono>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "pipeline/runner.h"

namespace tarn::pipeline {
namespace {

using std::chrono::microseconds;

/// A step takes what came during this time: more in one step cost less each.
constexpr int64_t kStepMicros = 10'000;
constexpr int64_t kTakeMicros = 50'000;
constexpr int64_t kServiceIntervalMicros = 5'000'000;
constexpr int64_t kReleaseIntervalMicros = 30'000'000;
/// A backlog is not staged but committed as it comes: nobody waits for single changes of it.
constexpr int64_t kBacklogBytes = 4 << 20;
constexpr int64_t kMostUnflushedBytes = 32 << 20;
constexpr int64_t kMostStagedBytes = 64 << 20;

/// Adds a segment to what the next flush of Bronze will hold.
void AddTo(bronze::FlushInput& input, const cdc::Segment& segment, int64_t epoch) {
  for (const cdc::TableEvent& event : segment.events)
    input.events.push_back({event.table, event.rows, event.at, event.copy_again});
  input.epoch = epoch;
  input.last_commit = segment.last_commit;
  input.end = segment.end;
  input.last_commit_micros = segment.last_commit_micros;
  input.transactions += segment.transactions;
  input.rows += segment.rows;
  input.open = segment.open;
}

SilverStep StepOf(const cdc::Segment& segment, int64_t epoch) {
  SilverStep step;
  for (const cdc::TableEvent& event : segment.events)
    step.events.push_back({event.table, event.rows, event.at, event.copy_again});
  step.position = {epoch, segment.last_commit};
  step.commit_micros = segment.last_commit_micros;
  step.rows = segment.rows;
  step.open = segment.open;
  return step;
}

/// The server cannot decode its log at some place, as often as it is asked: an error of its own, not of the
/// connection, behind which no change can be had.
class Stuck {
 public:
  bool Note(const cdc::ReplicationStream& stream, const std::string& message) {
    const uint64_t at = stream.positions().received.load();
    const bool again = stream.failed_inside() && message == message_ && at == at_;
    times_ = again ? times_ + 1 : 1;
    message_ = stream.failed_inside() ? message : "";
    at_ = at;
    return times_ >= kAttempts;
  }

 private:
  static constexpr int kAttempts = 5;  ///< With the waits between them some six seconds.
  int times_ = 0;
  std::string message_;
  uint64_t at_ = 0;
};

}  // namespace

Status Runner::Stream(const CancelToken& cancel, std::optional<Lsn> until) {
  int failures = 0;
  bool was_missing = false;
  Stuck stuck;
  while (true) {
    state_.phase = RunPhase::kStreaming;
    const int64_t started = MonotonicMicros();
    const uint64_t received = stream_->positions().received;
    Status outcome = failures == 0 ? Status{} : FollowOn(cancel);
    const bool followed = outcome.has_value();
    if (outcome) outcome = StreamOnce(cancel, until);
    const bool missing =
        !outcome && outcome.error().code == ErrorCode::kNotFound && (!followed || stream_->failed_missing());
    // A slot or publication that is not there any more is a break in the stream, which FollowOn sees to.
    if (outcome || !(missing || IsRetryable(outcome.error().code))) return outcome;
    state_.phase = RunPhase::kReconnecting;
    // Once more after FollowOn made again what was missing: then the slot begins before it was made.
    const bool is_stuck = stuck.Note(*stream_, outcome.error().message);
    undecodable_ = is_stuck || (missing && was_missing) ? outcome.error().message : "";
    was_missing = missing;
    // The waits grow while nothing comes of it; a connection that brought something new was a good one.
    const bool brought = stream_->positions().received > received;
    if (brought || MonotonicMicros() - started > 60'000'000) failures = 0;
    const int wait_ms = std::min(200 << std::min(failures++, 5), 5'000);
    {
      const std::lock_guard lock(state_.mutex);
      state_.last_error = outcome.error().message;
    }
    spdlog::warn("{}; trying again in {} ms", outcome.error().message, wait_ms);
    for (int waited = 0; waited < wait_ms; waited += 50) {
      TARN_RETURN_IF_ERROR(cancel.Check());
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
}

Status Runner::FollowOn(const CancelToken& cancel) {
  std::vector<cdc::SourceTable> tables;
  TARN_RETURN_IF_ERROR(PrepareSource(tables, cancel));
  UpdateFollowed();
  return {};
}

Status Runner::StreamOnce(const CancelToken& cancel, std::optional<Lsn> until) {
  cdc::CollectorOptions collector_options;
  collector_options.epoch = identity_.epoch;
  collector_options.max_bytes = options_.piece_bytes();
  collector_options.mappings = options_.patterns.mappings;
  // A flush that failed may be durable all the same.
  TARN_RETURN_IF_ERROR(bronze_->Recover());
  // Positions of an earlier epoch say nothing in this one.
  const auto& last = bronze_->last();
  const bool same_epoch = last && last->epoch == identity_.epoch;
  if (same_epoch) collector_options.skip_up_to = last->last_commit;
  // What the source knows to be durable it has itself; of anything else it proves that it still has it.
  const bool proves = same_epoch && last->transactions > 0 && slot_confirmed_ <= last->last_commit;
  if (proves) collector_options.known_commit = {{last->last_commit, last->last_commit_micros}};
  passed_ = same_epoch ? last->end : Lsn{};
  bronze_end_ = passed_.value;
  unflushed_ = {};
  unflushed_bytes_ = 0;
  in_open_transaction_ = uncommitted_ = false;
  TARN_RETURN_IF_ERROR(silver_->DropStaged());
  TARN_RETURN_IF_ERROR(silver_->MarkHalfApplied());
  TARN_RETURN_IF_ERROR(silver_->FinishReturns(cancel));
  // What Bronze has and Silver lacks (a commit that failed) does not come from the source again.
  if (last && silver_->position() < last->position()) {
    TARN_RETURN_IF_ERROR(CatchUpFromBronze(cancel));
    state_.phase = RunPhase::kStreaming;
  }
  std::unique_ptr<cdc::PgConnection> catalogue;
  collector_options.describe = [&](uint32_t oid) -> Result<std::optional<cdc::SourceTable>> {
    if (catalogue == nullptr) {
      TARN_ASSIGN(catalogue, cdc::PgConnection::Connect(options_.conninfo, cdc::PgConnection::Kind::kOrdinary,
                                                        "catalogue"));
    }
    return cdc::DescribeTable(*catalogue, oid, options_.patterns.mappings);
  };
  cdc::ChangeCollector collector(collector_options);
  {
    const std::lock_guard lock(followed_mutex_);
    for (const auto& [name, table] : followed_) collector.Follow(table);
    for (const auto& [oid, table] : coming_) collector.Follow(table);
  }
  copy_awaited_ = silver_->AwaitedCopy(identity_.epoch).has_value();
  {
    const std::lock_guard lock(collector_mutex_);
    collector_ = &collector;
  }
  if (same_epoch) stream_->Confirm(last->end);
  // A commit comes again to who asks for what is behind its own position.
  const Lsn from = !same_epoch ? Lsn{} : proves ? last->last_commit : last->end;
  CancelToken stream_cancel;
  std::atomic<bool> stream_ended{false};
  Status stream_status;
  std::thread stream_thread([&] {
    stream_status = stream_->Run(collector, from, stream_cancel);
    stream_ended = true;
  });
  Status applied = ApplySegments(collector, stream_ended, cancel, until);
  stream_cancel.Cancel();
  stream_thread.join();
  {
    const std::lock_guard lock(collector_mutex_);
    collector_ = nullptr;
  }
  if (collector.HasOtherHistory()) other_history_ = stream_status.error().message;
  if (!applied) return applied;
  if (!stream_status && stream_status.error().code != ErrorCode::kCancelled) return stream_status;
  return cancel.Check();
}

Status Runner::ApplySegments(cdc::ChangeCollector& collector, const std::atomic<bool>& stream_ended,
                             const CancelToken& cancel, std::optional<Lsn> until) {
  int64_t last_step = 0;
  while (!cancel.IsCancelled()) {
    const bool ended = stream_ended;
    const int64_t rest = last_step + kStepMicros - MonotonicMicros();
    if (rest > 0 && !collector.IsFull()) std::this_thread::sleep_for(microseconds(rest));
    auto segment = collector.Take(std::chrono::duration_cast<std::chrono::milliseconds>(
        microseconds(std::min(kTakeMicros, UntilDue()))));
    if (segment) {
      last_step = MonotonicMicros();
      TARN_RETURN_IF_ERROR(TakeIn(*segment));
      if (!segment->open) passed_ = std::max(passed_, segment->last_commit);
      state_.apply_micros = MonotonicMicros() - last_step;
      collector.Done();
    }
    const bool passed = until && (state_.tail_lsn >= until->value ||
                                  cdc::HasTakenIn(stream_->positions(), collector, *until));
    const bool reached = passed && !watch_->Finished();  // A copy that waits for its place belongs to it.
    const bool last = reached || (ended && !segment);
    const bool commit_now = last || commit_wanted_ || MonotonicMicros() >= commit_due_;
    if (commit_now) {
      TARN_RETURN_IF_ERROR(CommitSilver());
    } else if (MonotonicMicros() >= flush_due_ || unflushed_bytes_ > kMostUnflushedBytes) {
      TARN_RETURN_IF_ERROR(FlushBronze());
    }
    if (last) return {};
    if (until) stream_->RequestPosition();
    // The rest of a transaction comes first: what follows wants tables that have the whole of it, or nothing.
    if (in_open_transaction_) continue;
    TARN_RETURN_IF_ERROR(MarkCopies(collector));
    TARN_RETURN_IF_ERROR(TakeReturns(cancel));
    TARN_RETURN_IF_ERROR(TakeFinishedCopy(collector, cancel));
    TARN_RETURN_IF_ERROR(AdmitCopied(collector));
    if (!uncommitted_) TARN_RETURN_IF_ERROR(RunServicesWhenDue());
  }
  return {};
}

int64_t Runner::UntilDue() const {
  int64_t due = INT64_MAX;
  if (uncommitted_) due = commit_due_;
  if (!unflushed_.events.empty()) due = std::min(due, flush_due_);
  return due == INT64_MAX ? due : std::max<int64_t>(due - MonotonicMicros(), 0);
}

Status Runner::RunServicesWhenDue() {
  const auto tables = static_cast<int64_t>(std::max<size_t>(silver_->table_count(), 1));
  if (MonotonicMicros() - last_service_ < kServiceIntervalMicros / tables) return {};
  TARN_RETURN_IF_ERROR(silver_->RunServices());
  TARN_ASSIGN([[maybe_unused]] const int64_t pruned,
              versions_->Prune(*storage_, clock_->NowMicros() - options_.services.retain_micros));
  last_service_ = MonotonicMicros();
  if (last_service_ - last_release_ > kReleaseIntervalMicros && state_.tail_rows != released_at_rows_) {
    ReleaseFreedMemory();
    last_release_ = last_service_;
    released_at_rows_ = state_.tail_rows;
  }
  return {};
}

Status Runner::TakeIn(const cdc::Segment& segment) {
  for (const cdc::TableEvent& event : segment.events) {
    if (event.rows == nullptr && event.copy_again.empty())
      storages_.Truncated(event.table->lake_name, OrderingLsn(event.at.lsn));
  }
  // The end of a transaction that came in pieces may come by itself.
  if (segment.events.empty() && !segment.open && !in_open_transaction_) {
    // Transactions of which nothing is followed: nothing to store, so they are as durable as what is before
    // them.
    if (unflushed_.events.empty()) {
      stream_->Confirm(segment.end);
    } else {
      unflushed_.end = segment.end;
    }
    state_.tail_lsn = segment.last_commit.value;
    return {};
  }
  const bool alone = options_.commit_interval_ms == 0 || segment.open || in_open_transaction_ ||
                     segment.bytes >= kBacklogBytes;
  if (!alone) {
    TARN_ASSIGN(const bool staged, silver_->Stage(StepOf(segment, identity_.epoch)));
    if (staged) return Keep(segment);
  }
  TARN_RETURN_IF_ERROR(CommitSilver());
  return ApplySegment(segment);
}

Status Runner::Keep(const cdc::Segment& segment) {
  const int64_t now = MonotonicMicros();
  if (unflushed_.events.empty()) flush_due_ = now + options_.flush_interval_ms * 1000;
  if (!uncommitted_) commit_due_ = now + options_.commit_interval_ms * 1000;
  AddTo(unflushed_, segment, identity_.epoch);
  unflushed_bytes_ += segment.bytes;
  uncommitted_ = true;
  state_.tail_commit_micros = segment.last_commit_micros;
  state_.tail_lsn = segment.last_commit.value;
  state_.tail_rows += segment.rows;
  if (silver_->staged_bytes() > kMostStagedBytes) commit_due_ = now;
  return {};
}

Status Runner::FlushBronze() {
  if (unflushed_.last_commit == Lsn{}) return {};
  const int64_t rows = unflushed_.rows;
  TARN_ASSIGN(const auto manifest, bronze_->Flush(std::exchange(unflushed_, {})));
  unflushed_bytes_ = 0;
  state_.bronze_rows += rows;
  if (!manifest) return {};
  archive_->Flushed(*manifest);
  state_.bronze_lsn = manifest->last_commit.value;
  state_.bronze_commit_micros = manifest->last_commit_micros;
  state_.bronze_flushes++;
  bronze_end_ = manifest->end.value;
  // Last: who sees a position confirmed sees that Bronze has it.
  stream_->Confirm(manifest->end);
  return {};
}

Status Runner::CommitSilver() {
  TARN_RETURN_IF_ERROR(FlushBronze());
  if (silver_->has_staged()) {
    TARN_FAULT_POINT("runner.before_staged_commit");
    TARN_RETURN_IF_ERROR(silver_->CommitStaged());
    Committed(silver_->position().lsn, state_.tail_commit_micros);
    state_.silver_rows = state_.tail_rows.load();
  }
  uncommitted_ = false;
  return {};
}

void Runner::Committed(Lsn lsn, int64_t commit_micros) {
  state_.silver_lsn = lsn.value;
  state_.silver_commit_micros = commit_micros;
  state_.silver_commits++;
  // Else Gold's run behind the commit tells of it.
  if (!HasFollowers()) check_watch_->Committed();
  const std::lock_guard lock(gold_mutex_);
  for (std::string& name : silver_->TakeTouched()) gold_touched_.push_back(std::move(name));
  gold_wanted_.notify_all();
}

Status Runner::ApplySegment(const cdc::Segment& segment) {
  AddTo(unflushed_, segment, identity_.epoch);
  TARN_RETURN_IF_ERROR(FlushBronze());
  in_open_transaction_ = segment.open;
  TARN_FAULT_POINT("runner.between_layers");
  TARN_RETURN_IF_ERROR(silver_->Apply(StepOf(segment, identity_.epoch)));
  state_.silver_rows += segment.rows;
  state_.tail_rows = state_.silver_rows.load();
  if (segment.open) return {};
  state_.tail_lsn = segment.last_commit.value;
  state_.tail_commit_micros = segment.last_commit_micros;
  Committed(segment.last_commit, segment.last_commit_micros);
  return {};
}

}  // namespace tarn::pipeline
