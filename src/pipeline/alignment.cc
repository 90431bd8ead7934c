#include <chrono>

#include "base/clock.h"
#include "pipeline/runner.h"

namespace tarn::pipeline {

Result<Runner::Aligned> Runner::AlignWithSource(const CancelToken& cancel, const AlignOptions& options) {
  const auto with_collector = [&](auto action) -> Status {
    const std::lock_guard lock(collector_mutex_);
    if (collector_ == nullptr) {
      return Error{ErrorCode::kUnavailable,
                   "the pipeline is not streaming now (see `tarn status`); try again when it is"};
    }
    action(*collector_);
    return {};
  };
  Aligned aligned;
  TARN_RETURN_IF_ERROR(with_collector([](cdc::ChangeCollector& c) { c.SetBarrier(Lsn{}); }));
  commit_wanted_ = true;
  struct Lift {
    decltype(with_collector)& run;
    std::atomic<bool>& commit_wanted;
    ~Lift() {
      commit_wanted = false;
      (void)run([](cdc::ChangeCollector& c) { c.SetBarrier(std::nullopt); }).has_value();
    }
  } lift{with_collector, commit_wanted_};
  // The stream holds still while the snapshot is made, so that it cannot pass it.
  TARN_ASSIGN(aligned.snapshot, cdc::ExportSnapshot(options_.conninfo, &cancel));
  if (options.when_exported) TARN_RETURN_IF_ERROR(options.when_exported(aligned.snapshot));
  const Lsn at = aligned.snapshot.lsn;
  TARN_RETURN_IF_ERROR(with_collector([at](cdc::ChangeCollector& c) { c.SetBarrier(at); }));
  const int64_t deadline = MonotonicMicros() + options.patience_micros;
  while (true) {
    TARN_RETURN_IF_ERROR(cancel.Check());
    bool reached = false;
    bool nothing_waits = false;
    TARN_RETURN_IF_ERROR(with_collector([&](cdc::ChangeCollector& c) {
      // The position first: what comes between the two looks must not pass for taken in.
      reached = c.IsAtBarrier() || stream_->positions().brought >= at.value;
      nothing_waits = !c.HasWork() && !uncommitted_ && !copy_awaited_;
    }));
    if (reached && nothing_waits) break;
    if (MonotonicMicros() > deadline) {
      return MakeError(ErrorCode::kUnavailable, "the stream did not reach {} within {} s; see `tarn status`",
                       at.ToString(), options.patience_micros / 1'000'000);
    }
    stream_->RequestPosition();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  TARN_ASSIGN(aligned.version, versions_->Find(std::nullopt));
  return aligned;
}

}  // namespace tarn::pipeline
