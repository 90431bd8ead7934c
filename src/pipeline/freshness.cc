#include <chrono>
#include <thread>

#include "base/clock.h"
#include "pipeline/runner.h"

namespace tarn::pipeline {
Result<Lsn> Runner::SourcePositionNow(const CancelToken& cancel) {
  TARN_ASSIGN(auto connection, cdc::PgConnection::Connect(
                                   options_.conninfo, cdc::PgConnection::Kind::kOrdinary, "fresh", &cancel));
  return cdc::CommittedUpTo(*connection);
}

bool Runner::IsVisible(Lsn at) {
  if (state_.tail_lsn >= at.value) return true;
  const std::lock_guard lock(collector_mutex_);
  return collector_ != nullptr && cdc::HasTakenIn(stream_->positions(), *collector_, at);
}

Status Runner::WaitUntilVisible(Lsn at, int64_t patience_micros, const CancelToken& cancel) {
  const int64_t deadline = MonotonicMicros() + patience_micros;
  while (!IsVisible(at)) {
    TARN_RETURN_IF_ERROR(cancel.Check());
    if (MonotonicMicros() > deadline) {
      return MakeError(
          ErrorCode::kUnavailable,
          "{} is not visible within {} s: statements see {}; `tarn status` tells which stage is behind",
          at.ToString(), static_cast<double>(patience_micros) / 1e6, Lsn{state_.tail_lsn}.ToString());
    }
    stream_->RequestPosition();
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return {};
}

double Runner::SecondsBehind() {
  const int64_t seen = state_.tail_commit_micros;
  const Lsn end{stream_->positions().server_end};
  if (seen == 0 || IsVisible(end)) return 0;
  return std::max(0.0, static_cast<double>(clock_->NowMicros() - seen) / 1e6);
}

}  // namespace tarn::pipeline
