#include <chrono>
#include <condition_variable>

#include "pipeline/runner.h"

namespace tarn::pipeline {

/// One request, and what came of it.
struct Runner::Return {
  const std::string table, rule;
  CancelToken cancel{};
  std::atomic<int64_t> judged{0};
  std::mutex mutex{};
  std::condition_variable done{};
  std::optional<Result<ReturnedRows>> outcome{};  ///< Under mutex.

  void End(Result<ReturnedRows> with) {
    const std::lock_guard lock(mutex);
    outcome = std::move(with);
    done.notify_all();
  }
};

Result<ReturnedRows> Runner::ReturnRows(const std::string& table, const std::string& rule,
                                        const ReturnReporter& report, const CancelToken& cancel) {
  const std::shared_ptr<Return> asked(new Return{table, rule});
  {
    const std::lock_guard lock(returns_mutex_);
    if (returns_ended_)
      return Error{ErrorCode::kUnavailable, "this tarn is stopping; ask again when it runs"};
    returns_.push_back(asked);
  }
  std::unique_lock lock(asked->mutex);
  while (!asked->done.wait_for(lock, std::chrono::milliseconds(500),
                               [&] { return asked->outcome.has_value(); })) {
    if (cancel.IsCancelled()) {
      asked->cancel.Cancel();
      return Error{ErrorCode::kCancelled, "nobody waits for the rows any more"};
    }
    const int64_t judged = asked->judged;
    lock.unlock();
    if (judged > 0) report(judged);
    lock.lock();
  }
  return std::move(*asked->outcome);
}

Status Runner::TakeReturns(const CancelToken& cancel) {
  std::vector<std::shared_ptr<Return>> asked;
  {
    const std::lock_guard lock(returns_mutex_);
    asked.swap(returns_);
  }
  for (const auto& request : asked) {
    const Status committed = CommitSilver();
    if (!committed) {
      request->End(committed.error());
      return committed;
    }
    const auto report = [&](int64_t rows) {
      request->judged = rows;
      if (cancel.IsCancelled()) request->cancel.Cancel();
    };
    const auto outcome = silver_->ReturnRows(request->table, request->rule, report, request->cancel);
    if (outcome) Committed(silver_->position().lsn, state_.silver_commit_micros);
    request->End(outcome);
    // Anything else happened to the tables, and not to the request.
    const bool is_refusal = !outcome && (outcome.error().code == ErrorCode::kInvalidArgument ||
                                         outcome.error().code == ErrorCode::kUnavailable ||
                                         outcome.error().code == ErrorCode::kCancelled);
    if (!outcome && !is_refusal) return outcome.error();
  }
  return {};
}

void Runner::EndReturns() {
  const std::lock_guard lock(returns_mutex_);
  returns_ended_ = true;
  for (const auto& request : returns_)
    request->End(Error{ErrorCode::kUnavailable, "this tarn stopped before; ask again when it runs"});
  returns_.clear();
}

Result<ReturnedRows> Runner::ReturnRowsAlone(const std::string& table, const std::string& rule,
                                             const ReturnReporter& report, const CancelToken& cancel) {
  if (!options_.with_silver)
    return Error{ErrorCode::kInvalidArgument, "silver.enabled is false: there is no quarantine"};
  const auto registered = silver_->registry().tables;
  for (const auto& [name, known] : registered) {
    if (known.start.lsn != Lsn{}) TARN_RETURN_IF_ERROR(silver_->AddTable(known));
  }
  TARN_RETURN_IF_ERROR(silver_->FinishReturns(cancel));
  // As the next start would: a step that a crash cut off is brought to its end before.
  TARN_RETURN_IF_ERROR(ReplayFromBronze(silver_->position(), "", cancel));
  auto returned = silver_->ReturnRows(table, rule, report, cancel);
  TARN_RETURN_IF_ERROR(silver_->Close());
  return returned;
}

}  // namespace tarn::pipeline
