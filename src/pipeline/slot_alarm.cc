#include "pipeline/slot_alarm.h"

#include <algorithm>
#include <chrono>

#include "base/clock.h"
#include "base/log.h"
#include "cdc/replication_objects.h"

namespace tarn::pipeline {
namespace {

constexpr int64_t kTellIntervalMicros = 300'000'000;

/// Why somebody should look after the slot; empty when all is well.
std::string AlarmAbout(const cdc::SlotState& slot, const PipelineOptions& options) {
  const bool much = slot.retained_bytes > options.wal_warn_mb << 20;
  const bool soon_lost = slot.safe_bytes && *slot.safe_bytes < std::max<int64_t>(slot.retained_bytes / 3, 1);
  if (!slot.exists || !(much || soon_lost)) return "";
  std::string alarm = fmt::format("the source keeps {} MB of WAL for the slot '{}'",
                                  slot.retained_bytes >> 20, options.names.slot);
  if (slot.safe_bytes)
    alarm +=
        fmt::format(" and invalidates it after {} MB more", std::max<int64_t>(*slot.safe_bytes, 0) >> 20);
  return alarm;
}

}  // namespace

void SlotAlarm::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void SlotAlarm::Stop() {
  {
    // Not between its look at the token and its wait, which would last a whole interval.
    const std::lock_guard lock(mutex_);
    cancel_.Cancel();
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

KeptWal SlotAlarm::kept_wal() {
  const std::lock_guard lock(mutex_);
  return kept_;
}

void SlotAlarm::Loop() {
  while (!cancel_.IsCancelled()) {
    // What keeps it from looking keeps the stream or the copies from going on, which tell of it.
    if (const Status looked = Look(); !looked) connection_.reset();
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(options_.watch_interval_ms),
                      [&] { return cancel_.IsCancelled(); });
  }
}

Status SlotAlarm::Look() {
  if (connection_ == nullptr) {
    TARN_ASSIGN(connection_, cdc::PgConnection::Connect(options_.conninfo, cdc::PgConnection::Kind::kOrdinary,
                                                        "slot watch", &cancel_));
  }
  TARN_ASSIGN(const cdc::SlotState slot, cdc::GetSlot(*connection_, options_.names.slot));
  std::string alarm = AlarmAbout(slot, options_);
  const std::lock_guard lock(mutex_);
  // Not at every look: when it begins and ends, and every few minutes between.
  const int64_t now = MonotonicMicros();
  const bool changed = alarm.empty() != kept_.alarm.empty();
  if (!alarm.empty() && (changed || now - told_micros_ > kTellIntervalMicros)) {
    spdlog::warn("{}: see `tarn status` for the stage that is behind, and long transactions on the source",
                 alarm);
    told_micros_ = now;
  }
  if (alarm.empty() && changed) spdlog::info("the WAL that the source keeps is within bounds again");
  kept_ = {std::move(alarm), slot.retained_bytes};
  return {};
}

}  // namespace tarn::pipeline
