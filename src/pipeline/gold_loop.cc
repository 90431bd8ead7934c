#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "base/clock.h"
#include "base/log.h"
#include "pipeline/runner.h"

namespace tarn::pipeline {

Status Runner::OpenGold() {
  std::vector<std::string> names;
  for (const auto& [name, table] : silver_->registry().tables) names.push_back(name);
  TARN_ASSIGN(gold_, GoldLayer::Open(storage_.get(), layout_, options_, names, versions_.get(), view_.get(),
                                     silver_->instants()));
  TARN_ASSIGN(const auto models, LoadSilverModels(*storage_, options_.models));
  const std::set<std::string> wanted = WantedHistories(models);
  for (const GoldModel& model : gold_->models()) {
    const bool is_taken = std::any_of(wanted.begin(), wanted.end(), [&](const std::string& table) {
      return HistoryTable::NameOf(table) == model.name;
    });
    if (!is_taken) continue;
    return MakeError(ErrorCode::kInvalidArgument,
                     "gold.{0} is a model and the history that models/silver asks for: rename gold/{0}.sql",
                     model.name);
  }
  histories_ = std::make_unique<HistoryLayer>(storage_.get(), layout_, options_, wanted, view_.get(),
                                              silver_->instants());
  opened_gold_ = gold_.get();
  return {};
}

int64_t Runner::PresentOf(const catalog::LakeVersion& version) {
  if (state_.phase != RunPhase::kStreaming || uncommitted_) return version.commit_micros;
  if (version.lsn.value < state_.tail_lsn || SecondsBehind() > 0) return version.commit_micros;
  const int64_t now = clock_->NowMicros();
  return std::max(version.commit_micros, now - now % kQuarterHourMicros);
}

int64_t Runner::UntilDayMayTurn() const {
  if (!gold_->DependsOnTime()) return 24LL * 3600 * 1'000'000;
  return kQuarterHourMicros - clock_->NowMicros() % kQuarterHourMicros;
}

Status Runner::Backfill(const std::string& model, const std::set<std::string>& partitions) {
  GoldLayer* gold = opened_gold_;
  if (gold == nullptr || state_.phase == RunPhase::kStarting) {
    return Error{ErrorCode::kUnavailable, "Gold has not begun yet; `tarn status` tells how far the start is"};
  }
  TARN_RETURN_IF_ERROR(gold->Backfill(model, partitions));
  {
    const std::lock_guard lock(gold_mutex_);
    gold_asked_ = true;
  }
  gold_wanted_.notify_all();
  return {};
}

Status Runner::RunGoldOnce(const CancelToken& cancel) {
  {
    const std::lock_guard lock(gold_mutex_);
    gold_touched_.clear();
    gold_asked_ = false;
  }
  TARN_ASSIGN(const catalog::LakeVersion version, versions_->Find(std::nullopt));
  TARN_RETURN_IF_ERROR(histories_->Run(version, cancel));
  gold_->PublishBeside(histories_->Names(), histories_->LastInstant());
  TARN_RETURN_IF_ERROR(gold_->Run(version, PresentOf(version), cancel));
  state_.gold_lsn = version.lsn.value;
  state_.gold_commit_micros = version.commit_micros;
  state_.gold_runs++;
  check_watch_->Committed();
  hudi::ServiceOptions services = options_.services;
  services.retain_micros = std::min<int64_t>(services.retain_micros, 3'600'000'000LL);
  TARN_RETURN_IF_ERROR(histories_->RunServices(options_.services));
  return gold_->RunServices(services);
}

void Runner::GoldLoop(const CancelToken& cancel) {
  // Models may take all of a core for long: the scheduler gives it to whoever follows the source first.
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), 10);
  bool first = true;
  while (true) {
    bool stop = false;
    {
      std::unique_lock lock(gold_mutex_);
      const auto is_wanted = [&] { return first || gold_stop_ || gold_asked_ || !gold_touched_.empty(); };
      gold_wanted_.wait_for(lock, std::chrono::microseconds(UntilDayMayTurn()), is_wanted);
      stop = gold_stop_;
      // At the end of a bounded run Gold still follows Silver; at an ordinary stop the next start does it.
      if (stop && gold_touched_.empty() && !first) return;
    }
    if (cancel.IsCancelled()) return;
    first = false;
    const int64_t started = MonotonicMicros();
    const Status done = RunGoldOnce(cancel);
    if (!done && done.error().code != ErrorCode::kCancelled) {
      spdlog::error("gold: {}", done.error().message);
      const std::lock_guard lock(state_.mutex);
      state_.last_error = done.error().message;
    }
    std::unique_lock lock(gold_mutex_);
    const int64_t wait = options_.gold_interval_ms * 1000 - (MonotonicMicros() - started);
    gold_wanted_.wait_for(lock, std::chrono::microseconds(std::max<int64_t>(wait, 0)),
                          [&] { return gold_stop_; });
  }
}

}  // namespace tarn::pipeline
