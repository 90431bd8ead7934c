#include "pipeline/source_watch.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <chrono>

#include "base/clock.h"
#include "base/log.h"
#include "cdc/replication_objects.h"
#include "pipeline/table_copy.h"

namespace tarn::pipeline {
namespace {

constexpr int64_t kAlarmIntervalMicros = 300'000'000;
constexpr auto kWantedInterval =
    std::chrono::milliseconds(500);  ///< When something keeps a copy from being made.

}  // namespace

const cdc::FollowedTable* FindFollowed(const std::map<std::string, cdc::FollowedTable>& followed,
                                       const cdc::SourceTable& table) {
  const cdc::FollowedTable* same_name = nullptr;
  for (const auto& [name, known] : followed) {
    if (known.schema.oid == table.schema.oid) return &known;
    if (known.schema.QualifiedName() == table.schema.QualifiedName()) same_name = &known;
  }
  return same_name;
}

bool IsSameSource(const schema::TableSchema& known, const schema::TableSchema& source) {
  return known.oid == source.oid || known.QualifiedName() == source.QualifiedName();
}

Status CheckGivenNames(const catalog::TableRegistry& registry, const std::vector<cdc::SourceTable>& tables) {
  for (const cdc::SourceTable& table : tables) {
    if (!table.schema.named) continue;
    for (const auto& [name, other] : registry.tables) {
      if (!IsSameSource(other.source, table.schema) && cdc::NamesMeet(table.schema, other.source))
        return cdc::GivenNameTaken(table.schema, other.source);
    }
  }
  return {};
}

cdc::SourceTable UnderLakeNames(cdc::SourceTable table, const cdc::FollowedTable* known) {
  if (known != nullptr) table.schema = cdc::FollowShape(table, *known).table;
  return table;
}

void SourceWatch::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void SourceWatch::Stop() {
  cancel_.Cancel();
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
  return std::exchange(noticed_, {});
}

std::vector<std::pair<std::string, std::string>> SourceWatch::TakeStorages() {
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
  state.rows = progress_.rows.load();
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
      return cancel_.IsCancelled() || (looked && finished_.empty() && !state_.wanted.empty());
    });
  }
}

Status SourceWatch::LookAtSlot() {
  auto slot = cdc::GetSlot(*connection_, options_.names.slot);
  if (!slot) {
    connection_.reset();
    return std::move(slot).error();
  }
  const int64_t limit = options_.wal_warn_mb << 20;
  const bool much = slot->retained_bytes > limit;
  const bool soon_lost =
      slot->safe_bytes && *slot->safe_bytes < std::max<int64_t>(slot->retained_bytes / 3, 1);
  std::string alarm;
  if (slot->exists && (much || soon_lost)) {
    alarm = fmt::format("the source keeps {} MB of WAL for the slot '{}'", slot->retained_bytes >> 20,
                        options_.names.slot);
    if (slot->safe_bytes)
      alarm +=
          fmt::format(" and invalidates it after {} MB more", std::max<int64_t>(*slot->safe_bytes, 0) >> 20);
  }
  const std::lock_guard lock(mutex_);
  // Not at every look: when it begins and ends, and every few minutes between.
  const int64_t now = MonotonicMicros();
  const bool changed = alarm.empty() != state_.alarm.empty();
  if (!alarm.empty() && (changed || now - alarm_told_micros_ > kAlarmIntervalMicros)) {
    spdlog::warn("{}: see `tarn status` for the stage that is behind, and long transactions on the source",
                 alarm);
    alarm_told_micros_ = now;
  }
  if (alarm.empty() && changed) spdlog::info("the WAL that the source keeps is within bounds again");
  state_.alarm = std::move(alarm);
  state_.retained_bytes = slot->retained_bytes;
  return {};
}

Status SourceWatch::Look() {
  if (connection_ == nullptr) {
    TARN_ASSIGN(connection_, cdc::PgConnection::Connect(options_.conninfo, cdc::PgConnection::Kind::kOrdinary,
                                                        "watch", &cancel_));
  }
  TARN_RETURN_IF_ERROR(LookAtSlot());
  auto tables = cdc::LoadTables(*connection_, options_.patterns, cdc::Sizes::kNoted);
  auto chosen = tables ? Choose(*tables)
                       : Result<std::vector<std::pair<cdc::SourceTable, std::string>>>(
                             tl::unexpected(std::move(tables).error()));
  if (!chosen) {
    connection_.reset();
    return std::move(chosen).error();
  }
  for (const auto& [table, reason] : *chosen) {
    {
      // One at a time waits for its place in Silver: a second would only age.
      const std::lock_guard lock(mutex_);
      if (!finished_.empty()) return {};
    }
    Status copied = Copy(table, *tables, reason);
    if (!copied) {
      connection_.reset();
      return copied;
    }
  }
  return {};
}

std::string SourceWatch::WhyCopy(const cdc::SourceTable& table, const cdc::FollowedTable* known,
                                 bool published) const {
  if (known == nullptr) return "the table is new";
  const cdc::ShapeChange change = cdc::FollowShape(table, *known);
  const auto refused = refused_.find(change.table.lake_name);
  if (refused != refused_.end() && refused->second.oid == change.table.oid &&
      refused->second.columns == change.table.columns) {
    return "";
  }
  if (change.copy_again.empty() && !published) return "it was taken out of the publication";
  return change.copy_again;
}

void SourceWatch::NoteStorage(const cdc::SourceTable& table, const cdc::FollowedTable& known) {
  if (table.storage == known.storage) return;
  const cdc::ShapeChange change = cdc::FollowShape(table, known);
  // With the columns of the copy no DDL of columns came between: the stream, wherever it is, is behind none.
  if (change.copy_again.empty() && change.table.columns == known.schema.columns)
    storages_.emplace_back(known.schema.lake_name, table.storage);
}

Result<std::vector<std::pair<cdc::SourceTable, std::string>>> SourceWatch::Choose(
    const std::vector<cdc::SourceTable>& tables) {
  std::vector<std::pair<cdc::SourceTable, std::string>> chosen;
  TARN_ASSIGN(const auto published, cdc::FollowedByPublications(*connection_, options_.names));
  const std::lock_guard lock(mutex_);
  std::set<std::string> there;
  for (const cdc::SourceTable& table : tables) {
    const cdc::FollowedTable* known = pipeline::FindFollowed(followed_, table);
    const std::string name = known != nullptr ? known->schema.lake_name : table.schema.lake_name;
    there.insert(name);
    std::string reason = WhyCopy(table, known, published.contains(table.from));
    const bool waits = std::any_of(finished_.begin(), finished_.end(), [&](const FinishedCopy& copy) {
      return copy.load.table->lake_name == name;
    });
    if (waits) continue;
    if (known != nullptr) NoteStorage(table, *known);
    if (known != nullptr && !reason.empty() && !state_.wanted.contains(name))
      noticed_.emplace_back(name, reason);
    if (reason.empty() && state_.wanted.contains(name)) reason = state_.wanted.at(name);
    if (reason.empty()) continue;
    state_.wanted.emplace(name, reason);
    chosen.emplace_back(UnderLakeNames(table, known), reason);
  }
  state_.gone.clear();
  for (const auto& [name, known] : followed_) {
    if (there.contains(name)) continue;
    state_.gone[name] = known.schema.QualifiedName();
    state_.wanted.erase(name);  // There is nothing to copy.
  }
  std::sort(chosen.begin(), chosen.end(),
            [](const auto& a, const auto& b) { return a.first.size_bytes > b.first.size_bytes; });
  return chosen;
}

Result<cdc::SourceTable> SourceWatch::Measured(cdc::SourceTable table) {
  // Behind somebody's lock it is tried again later: a stop of tarn must not wait for it.
  TARN_RETURN_IF_ERROR(connection_->Execute("SET lock_timeout = '1s'"));
  TARN_ASSIGN(const cdc::Rows rows,
              connection_->Query(fmt::format(
                  "SELECT pg_relation_size({}) / current_setting('block_size')::bigint", table.schema.oid)));
  if (!rows.empty() && rows[0][0]) table.pages = std::stoll(*rows[0][0]);
  return table;
}

Status SourceWatch::Copy(const cdc::SourceTable& table, const std::vector<cdc::SourceTable>& all,
                         const std::string& reason) {
  const std::string& name = table.schema.lake_name;
  spdlog::info("copying {}: {}", table.from, reason);
  {
    const std::lock_guard lock(mutex_);
    state_.copying = name;
    state_.estimated_rows = std::max<int64_t>(table.estimated_rows, 0);
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
  TARN_RETURN_IF_ERROR(cdc::EnsurePublications(*connection_, options_.names, all));
  auto copy = CopyOnce(measured);
  const std::lock_guard lock(mutex_);
  state_.copying.clear();
  if (!copy) return std::move(copy).error();
  if (!*copy) return {};  // It changed meanwhile: the next look chooses it again.
  spdlog::info("copied {} again: {} rows at {}", table.from, (*copy)->load.rows,
               (*copy)->load.snapshot.ToString());
  state_.wanted.erase(name);
  finished_.push_back(std::move(**copy));
  return {};
}

Result<std::optional<FinishedCopy>> SourceWatch::CopyOnce(const cdc::SourceTable& table) {
  TARN_ASSIGN(const cdc::ExportedSnapshot snapshot, cdc::ExportSnapshot(options_.conninfo, &cancel_));
  cdc::CopyRate rate(options_.copy_mb_per_s << 20);
  TARN_ASSIGN(auto load, CopyIntoBronze(storage_, options_, {snapshot, epoch_, options_.copy_workers, &rate},
                                        table, cancel_, &progress_, nullptr));
  if (!load) return std::optional<FinishedCopy>();
  return std::optional(FinishedCopy{*std::move(load), table.storage});
}

}  // namespace tarn::pipeline
