#include "pipeline/check_watch.h"

#include <arrow/record_batch.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>

#include "base/log.h"
#include "catalog/table_registry.h"
#include "govern/decision.h"

namespace tarn::pipeline {
namespace {

using std::chrono::microseconds;

/// Of the time it may take itself, one part in so many.
constexpr int64_t kRestShare = 9;
/// Interrupting has no effect on a statement that has not begun: it is done again and again.
constexpr auto kInterruptInterval = std::chrono::milliseconds(20);

}  // namespace

CheckWatch::CheckWatch(const storage::Storage* storage, catalog::LakeLayout layout,
                       const PipelineOptions& options, engine::Lake* lake, const Clock* clock)
    : storage_(storage),
      layout_(std::move(layout)),
      models_(options.models),
      interval_micros_(options.check_interval_ms * 1000),
      lake_(lake),
      clock_(clock) {
  session_options_.memory_limit_bytes = options.query_memory_bytes;
  session_options_.threads = 1;
  session_options_.spill_folder = layout_.Internal("spill");
}

CheckWatch::~CheckWatch() { Stop(); }

void CheckWatch::Start() {
  if (models_.empty() || interval_micros_ == 0) return;
  thread_ = std::thread([this] {
    // As Gold's: whoever follows the source, or asks, goes first.
    ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), 10);
    Loop();
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  });
}

void CheckWatch::Stop() {
  if (!thread_.joinable()) return;
  {
    std::unique_lock lock(mutex_);
    stop_ = true;
    changed_.notify_all();
    while (!ended_) {
      if (running_ != nullptr) running_->Interrupt();
      changed_.wait_for(lock, kInterruptInterval, [this] { return ended_; });
    }
  }
  thread_.join();
}

void CheckWatch::Committed() {
  const std::lock_guard lock(mutex_);
  committed_ = true;
  changed_.notify_all();
}

CheckStates CheckWatch::states() const {
  const std::lock_guard lock(mutex_);
  return states_;
}

bool CheckWatch::AwaitDue(int64_t not_before) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stop_ || committed_; });
  const int64_t rest = not_before - MonotonicMicros();
  if (rest > 0) changed_.wait_for(lock, microseconds(rest), [this] { return stop_; });
  committed_ = false;
  return !stop_;
}

void CheckWatch::Loop() {
  int64_t not_before = 0;
  while (AwaitDue(not_before)) {
    const int64_t started = MonotonicMicros();
    CheckStates states = RunAll();
    const int64_t took = MonotonicMicros() - started;
    states.seconds = static_cast<double>(took) / 1e6;
    states.at_micros = clock_->NowMicros();
    not_before = started + std::max(interval_micros_, took * (1 + kRestShare));
    const std::lock_guard lock(mutex_);
    // One that was broken off says nothing.
    if (stop_) return;
    states_ = std::move(states);
  }
}

Result<std::vector<ListedCheck>> CheckWatch::List() const {
  TARN_ASSIGN(const auto registry, catalog::TableRegistry::Read(*storage_, layout_));
  return ListChecks(*storage_, models_, registry.LakeNames());
}

CheckStates CheckWatch::RunAll() {
  CheckStates states;
  const auto checks = List();
  auto session = engine::Session::Open(lake_, govern::DecideForSystem("checks"), session_options_);
  if (!checks || !session) {
    states.error = !checks ? checks.error().message : session.error().message;
    spdlog::warn("checks: {}", states.error);
    return states;
  }
  {
    const std::lock_guard lock(mutex_);
    running_ = session->get();
  }
  for (const ListedCheck& listed : *checks) {
    CheckState state = RunOne(**session, listed);
    const std::lock_guard lock(mutex_);
    if (stop_) break;
    const CheckState* before = Before(listed);
    const bool is_new = before == nullptr || before->verdict != state.verdict;
    state.since_micros = is_new ? clock_->NowMicros() : before->since_micros;
    if (is_new && (before != nullptr || state.verdict != CheckState::Verdict::kHolds)) Tell(state);
    states.checks.push_back(std::move(state));
  }
  const std::lock_guard lock(mutex_);
  running_ = nullptr;
  return states;
}

CheckState CheckWatch::RunOne(engine::Session& session, const ListedCheck& listed) {
  CheckState state;
  state.listed = listed;
  const auto count = [&]() -> Status {
    TARN_ASSIGN(const auto rows, session.Query(listed.check.sql));
    while (true) {
      TARN_ASSIGN(const auto batch, rows->Next());
      if (batch == nullptr) return {};
      state.wrong_rows += batch->num_rows();
    }
  };
  const Status counted = count();
  if (!counted) {
    state.verdict = CheckState::Verdict::kCannotRun;
    state.error = counted.error().message;
    state.wrong_rows = 0;
  } else if (state.wrong_rows > 0) {
    state.verdict = CheckState::Verdict::kWrongRows;
  }
  return state;
}

const CheckState* CheckWatch::Before(const ListedCheck& listed) const {
  for (const CheckState& state : states_.checks) {
    if (state.listed.schema == listed.schema && state.listed.table == listed.table &&
        state.listed.check.name == listed.check.name)
      return &state;
  }
  return nullptr;
}

void CheckWatch::Tell(const CheckState& state) const {
  const std::string name = state.listed.TableName() + " " + state.listed.check.name;
  switch (state.verdict) {
    case CheckState::Verdict::kHolds:
      spdlog::info("check {}: holds again", name);
      return;
    case CheckState::Verdict::kWrongRows:
      spdlog::warn("check {}: {} wrong rows. {}", name, state.wrong_rows, state.listed.check.explain);
      return;
    case CheckState::Verdict::kCannotRun:
      spdlog::warn("check {}: cannot be run: {}", name, state.error);
      return;
  }
}

}  // namespace tarn::pipeline
