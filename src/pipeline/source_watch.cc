#include "pipeline/source_watch.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <chrono>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "bronze/copy_progress.h"
#include "cdc/replication_objects.h"
#include "pipeline/table_copy.h"

namespace tarn::pipeline {
namespace {

constexpr auto kWantedInterval =
    std::chrono::milliseconds(500);  ///< When something keeps a copy from being made.
constexpr int64_t kFirstPauseMicros = 500'000;
constexpr int64_t kLongestPauseMicros = 3'600'000'000;
/// What attempts that cost nothing wait for at most: 500 ms, doubled seven times, is about a minute.
constexpr int kMostDoublings = 7;

}  // namespace

void SourceWatch::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void SourceWatch::Stop() {
  {
    // Not between its look at the token and its wait, which would last a whole interval.
    const std::lock_guard lock(mutex_);
    cancel_.Cancel();
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void SourceWatch::SetFollowed(std::map<std::string, cdc::FollowedTable> followed) {
  const std::lock_guard lock(mutex_);
  followed_ = std::move(followed);
}

void SourceWatch::Want(const std::string& lake_name, const std::string& reason) {
  {
    const std::lock_guard lock(mutex_);
    // One that is under way, or waits to be taken, answers the wish.
    const bool finished = std::any_of(finished_.begin(), finished_.end(), [&](const FinishedCopy& copy) {
      return copy.load.table->lake_name == lake_name;
    });
    if (finished || !state_.wanted.emplace(lake_name, reason).second) return;
  }
  changed_.notify_all();
}

std::vector<std::pair<std::string, std::string>> SourceWatch::TakeNoticed() {
  const std::lock_guard lock(mutex_);
  marking_ |= !noticed_.empty();
  return std::exchange(noticed_, {});
}

void SourceWatch::Marked() {
  {
    const std::lock_guard lock(mutex_);
    marking_ = false;
  }
  changed_.notify_all();
}

bool SourceWatch::WaitForMarks() {
  std::unique_lock lock(mutex_);
  const auto marked = [&] { return noticed_.empty() && !marking_; };
  changed_.wait_for(lock, kWantedInterval, [&] { return cancel_.IsCancelled() || marked(); });
  return marked();
}

std::vector<SeenStorage> SourceWatch::TakeStorages() {
  const std::lock_guard lock(mutex_);
  return std::exchange(storages_, {});
}

std::map<std::string, std::string> SourceWatch::Coming() {
  const std::lock_guard lock(mutex_);
  std::map<std::string, std::string> coming;
  const auto add = [&](const std::string& name) {
    if (!followed_.contains(name))
      coming[name] = "it is being copied for the first time; `tarn status` tells how far";
  };
  for (const auto& [name, reason] : state_.wanted) add(name);
  for (const FinishedCopy& copy : finished_) add(copy.load.table->lake_name);
  return coming;
}

void SourceWatch::AddFinished(FinishedCopy copy) {
  const std::lock_guard lock(mutex_);
  finished_.push_back(std::move(copy));
}

std::optional<FinishedCopy> SourceWatch::Finished() {
  const std::lock_guard lock(mutex_);
  if (finished_.empty()) return std::nullopt;
  return finished_.front();
}

void SourceWatch::Took(bool accepted) {
  {
    const std::lock_guard lock(mutex_);
    const schema::TableSchema& table = *finished_.front().load.table;
    refused_.erase(table.lake_name);
    if (!accepted) refused_.emplace(table.lake_name, table);
    finished_.erase(finished_.begin());
  }
  changed_.notify_all();
}

WatchState SourceWatch::state() {
  const std::lock_guard lock(mutex_);
  WatchState state = state_;
  if (!state.copying.empty()) {
    state.progress.rows = progress_.rows.load();
    state.progress.bytes = progress_.bytes.load();
    state.progress.elapsed_micros = MonotonicMicros() - copy_started_;
  }
  for (const auto& [name, lost] : lost_) {
    const auto wanted = state.wanted.find(name);
    if (wanted == state.wanted.end()) continue;
    wanted->second += fmt::format(
        "; {} copies came to nothing, as it was truncated or changed when they began or went on", lost.count);
    const int64_t left = (lost.next_micros - MonotonicMicros() + 999'999) / 1'000'000;
    if (left > 0 && name != state.copying)
      wanted->second += fmt::format(": the next one begins in {} s", left);
  }
  for (const FinishedCopy& copy : finished_)
    state.wanted.emplace(copy.load.table->lake_name,
                         "it is copied and waits for the stream to pass the copy");
  return state;
}

void SourceWatch::Loop() {
  std::string told;
  while (!cancel_.IsCancelled()) {
    const Status looked = Look();
    std::unique_lock lock(mutex_);
    state_.looks++;
    state_.last_error = looked ? "" : looked.error().message;
    if (!looked && looked.error().code != ErrorCode::kCancelled && told != looked.error().message) {
      spdlog::warn("looking at the source's tables: {}", looked.error().message);
    }
    told = state_.last_error;
    const auto interval = std::chrono::milliseconds(options_.watch_interval_ms);
    changed_.wait_for(lock, state_.wanted.empty() ? interval : std::min(interval, kWantedInterval), [&] {
      return cancel_.IsCancelled() || (looked && finished_.empty() && IsAnythingDue());
    });
  }
}

bool SourceWatch::IsPutOff(const std::string& lake_name) const {
  const auto lost = lost_.find(lake_name);
  return lost != lost_.end() && MonotonicMicros() < lost->second.next_micros;
}

bool SourceWatch::IsAnythingDue() const {
  return std::any_of(state_.wanted.begin(), state_.wanted.end(),
                     [&](const auto& entry) { return !IsPutOff(entry.first); });
}

void SourceWatch::PutOff(const std::string& lake_name, int64_t lost_micros) {
  LostCopies& lost = lost_[lake_name];
  // Copies take at most half of the time, and what is over at once is tried less and less often.
  const int64_t pause = std::max(lost_micros, kFirstPauseMicros << std::min(lost.count++, kMostDoublings));
  lost.next_micros = MonotonicMicros() + std::min(pause, kLongestPauseMicros);
  spdlog::info("{} was truncated or changed when its copy began or went on; the next one begins in {:.1f} s",
               lake_name, static_cast<double>(std::min(pause, kLongestPauseMicros)) / 1e6);
}

Status SourceWatch::Look() {
  if (connection_ == nullptr) {
    TARN_ASSIGN(connection_, cdc::PgConnection::Connect(options_.conninfo, cdc::PgConnection::Kind::kOrdinary,
                                                        "watch", &cancel_));
  }
  std::vector<cdc::SourceTable> tables;
  auto chosen = LookAtTables(tables);
  if (!chosen) {
    connection_.reset();
    return std::move(chosen).error();
  }
  if (!chosen->empty() && !WaitForMarks()) return {};
  for (const auto& [table, reason] : *chosen) {
    {
      // One at a time waits for its place in Silver: a second would only age.
      const std::lock_guard lock(mutex_);
      if (!finished_.empty()) return {};
      if (IsPutOff(table.schema.lake_name)) continue;
    }
    Status copied = Copy(table, tables, reason);
    {
      const std::lock_guard lock(mutex_);
      state_.copying.clear();
    }
    if (!copied) {
      connection_.reset();
      return copied;
    }
  }
  return {};
}

Result<SourceWatch::Chosen> SourceWatch::LookAtTables(std::vector<cdc::SourceTable>& tables) {
  TARN_ASSIGN(const Lsn before, cdc::CommittedUpTo(*connection_));
  TARN_ASSIGN(tables, cdc::LoadTables(*connection_, selection_->patterns(), cdc::Sizes::kNoted));
  TARN_ASSIGN(const Lsn behind, cdc::CommittedUpTo(*connection_));
  return Choose(tables, before, behind);
}

Result<cdc::SourceTable> SourceWatch::Measured(cdc::SourceTable table) {
  // Behind somebody's lock it is tried again later: a stop of tarn must not wait for it.
  TARN_RETURN_IF_ERROR(connection_->Execute("SET lock_timeout = '1s'"));
  TARN_RETURN_IF_ERROR(cdc::Measure(*connection_, table));
  return table;
}

Status SourceWatch::Copy(const cdc::SourceTable& table, const std::vector<cdc::SourceTable>& all,
                         const std::string& reason) {
  const std::string& name = table.schema.lake_name;
  spdlog::info("copying {}: {}", table.from, reason);
  {
    const std::lock_guard lock(mutex_);
    state_.copying = name;
    state_.progress = {.estimated_rows = table.estimated_rows, .size_bytes = table.size_bytes};
    copy_started_ = MonotonicMicros();
    progress_.rows = 0;
    progress_.bytes = 0;
  }
  bool followed = false;
  {
    const std::lock_guard lock(mutex_);
    followed = std::any_of(followed_.begin(), followed_.end(),
                           [&](const auto& entry) { return entry.second.schema.oid == table.schema.oid; });
  }
  TARN_ASSIGN(const cdc::SourceTable measured, Measured(table));
  if (!followed) hooks_.follow({table.schema, Lsn{}, table.storage});
  TARN_ASSIGN(const auto faults, cdc::FindPublicationFaults(*connection_, options_.names));
  TARN_ASSIGN(const auto published, cdc::FollowedByPublications(*connection_, options_.names));
  // What changed since an earlier copy of it was cut off is not known then.
  if (!published.contains(table.from) || cdc::FindFaultOf(faults, options_.names, table) != nullptr)
    TARN_RETURN_IF_ERROR(bronze::ForgetCopyProgress(*storage_, options_.bronze(), name));
  TARN_RETURN_IF_ERROR(cdc::MendPublications(*connection_, faults));
  TARN_RETURN_IF_ERROR(cdc::EnsurePublications(*connection_, options_.names, all));
  TARN_FAULT_POINT("copy.after_publications");
  auto copy = CopyOnce(measured);
  const std::lock_guard lock(mutex_);
  if (!copy) return std::move(copy).error();
  if (!*copy) {  // It changed meanwhile: a later look chooses it again.
    PutOff(name, MonotonicMicros() - copy_started_);
    return {};
  }
  lost_.erase(name);
  spdlog::info("copied {} again: {} rows at {}", table.from, (*copy)->load.rows,
               (*copy)->load.snapshot.ToString());
  state_.wanted.erase(name);
  finished_.push_back(std::move(**copy));
  return {};
}

Result<std::optional<FinishedCopy>> SourceWatch::CopyOnce(const cdc::SourceTable& table) {
  TARN_ASSIGN(const cdc::ExportedSnapshot snapshot, cdc::ExportSnapshot(options_.conninfo, &cancel_));
  TARN_ASSIGN(const uint64_t oldest_xid, cdc::OldestTransaction(options_.conninfo, snapshot, &cancel_));
  cdc::CopyRate rate(options_.copy_mb_per_s << 20);
  TARN_ASSIGN(auto load,
              CopyIntoBronze(storage_, options_, {snapshot, oldest_xid, epoch_, options_.copy_workers, &rate},
                             table, cancel_, &progress_, nullptr));
  if (!load) return std::optional<FinishedCopy>();
  return std::optional(FinishedCopy{*std::move(load), table.storage});
}

}  // namespace tarn::pipeline
