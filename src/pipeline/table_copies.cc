#include <arrow/record_batch.h>

#include <algorithm>

#include "base/log.h"
#include "bronze/copy_progress.h"
#include "pipeline/runner.h"

namespace tarn::pipeline {

std::map<std::string, cdc::FollowedTable> Runner::Followed() {
  const std::lock_guard lock(followed_mutex_);
  return followed_;
}

Status Runner::SettleNames(const std::vector<cdc::SourceTable>& tables) {
  auto& registered = silver_->registry().tables;
  TARN_RETURN_IF_ERROR(CheckGivenNames(silver_->registry(), tables));
  bool changed = false;
  for (const cdc::SourceTable& table : tables) {
    const auto own = registered.find(table.schema.lake_name);
    bool was_left = own != registered.end() && own->second.left;
    for (auto& [name, other] : registered) {
      const bool given = table.schema.named || other.source.named;
      if (name == table.schema.lake_name || !given || !IsSameSource(other.source, table.schema)) continue;
      // Who was followed last was copied last; a registry made from Bronze does not tell otherwise.
      if (own != registered.end() && own->second.start < other.start) was_left = true;
      changed |= !other.left;
      if (!other.left)
        spdlog::info("{} is '{}' in the lake from now on; '{}' keeps what it has", table.from,
                     table.schema.lake_name, name);
      other.left = true;
    }
    if (!was_left) continue;
    own->second.left = false;
    TARN_RETURN_IF_ERROR(
        silver_->MarkCopyAgain(own->first, "its source table had another name in between", true));
  }
  return changed ? silver_->SaveRegistry() : Status{};
}

void Runner::UpdateFollowed() {
  std::map<std::string, cdc::FollowedTable> followed;
  for (const auto& [name, table] : silver_->registry().tables) {
    if (table.start.lsn == Lsn{} || table.left) continue;
    // A copy of an earlier epoch has none of this one's changes.
    const bool same_epoch = table.start.epoch == identity_.epoch;
    followed[name] = {table.source, same_epoch ? table.start.lsn : Lsn{}, table.storage};
  }
  {
    const std::lock_guard lock(followed_mutex_);
    followed_ = followed;
  }
  {
    const std::lock_guard lock(collector_mutex_);
    for (const auto& [name, table] : followed) {
      if (collector_ != nullptr) collector_->Follow(table);
    }
  }
  watch_->SetFollowed(std::move(followed));
  for (const auto& [name, reason] : silver_->WantedCopies()) watch_->Want(name, reason);
  registry_seen_ = silver_->registry_changes();
}

void Runner::FollowComing(const cdc::FollowedTable& table) {
  {
    const std::lock_guard lock(followed_mutex_);
    coming_[table.schema.oid] = table;
  }
  const std::lock_guard lock(collector_mutex_);
  if (collector_ != nullptr) collector_->Follow(table);
}

Result<std::vector<std::string>> Runner::RequestCopies(const std::vector<std::string>& tables) {
  const auto followed = Followed();
  std::vector<std::string> names;
  for (const std::string& wanted : tables) {
    const auto found = std::find_if(followed.begin(), followed.end(), [&](const auto& entry) {
      return entry.first == wanted || entry.second.schema.QualifiedName() == wanted;
    });
    if (found == followed.end()) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "the lake has no table '{}'; `tarn tables` lists those that it has", wanted);
    }
    names.push_back(found->first);
  }
  const std::lock_guard lock(followed_mutex_);
  requested_.insert(requested_.end(), names.begin(), names.end());
  return names;
}

Status Runner::TakeStorages(cdc::ChangeCollector& collector, Reasons* noticed) {
  for (SeenStorage& seen : watch_->TakeStorages()) storages_.See(std::move(seen));
  const auto decided = storages_.Decide([&](Lsn at) { return HasPassed(collector, {identity_.epoch, at}); });
  for (const std::string& name : decided.untold) {
    noticed->emplace_back(
        name, "its partitions were truncated, or rewritten, by their own names, which no message tells");
  }
  return decided.noted.empty() ? Status{} : silver_->NoteStorages(decided.noted);
}

Status Runner::MarkCopies(cdc::ChangeCollector& collector) {
  std::vector<std::string> requested;
  {
    const std::lock_guard lock(followed_mutex_);
    requested.swap(requested_);
  }
  for (const std::string& name : requested)
    TARN_RETURN_IF_ERROR(silver_->MarkCopyAgain(name, "asked for by `tarn resync`", false));
  Reasons noticed = watch_->TakeNoticed();
  const bool watch_waits = !noticed.empty();
  TARN_RETURN_IF_ERROR(TakeStorages(collector, &noticed));
  for (const auto& [name, reason] : noticed) TARN_RETURN_IF_ERROR(silver_->MarkCopyAgain(name, reason, true));
  if (watch_waits) watch_->Marked();
  const bool told = silver_->SetComing(watch_->Coming());
  if (registry_seen_ != silver_->registry_changes()) UpdateFollowed();
  if (noticed.empty() && !told) return {};
  TARN_RETURN_IF_ERROR(CommitSilver());
  // What was right until now stays so for statements that ask for the past.
  return silver_->Publish(silver_->position(),
                          std::max(state_.silver_commit_micros.load(), clock_->NowMicros()));
}

bool Runner::HasPassed(cdc::ChangeCollector& collector, const SourcePosition& at) {
  // Not what the lake's version says: a first copy may be ahead of the stream. All of an earlier epoch is
  // behind.
  if (at.epoch < identity_.epoch || passed_ >= at.lsn ||
      cdc::HasTakenIn(stream_->positions(), collector, at.lsn))
    return true;
  stream_->RequestPosition();
  return false;
}

Status Runner::AdvanceTo(const SourcePosition& position, int64_t micros) {
  const auto& last = bronze_->last();
  const bool same_epoch = last && last->epoch == position.epoch;
  if (!same_epoch || last->end < position.lsn) {
    // Who rebuilds from Bronze must know that nothing is missing up to here.
    bronze::FlushInput nothing;
    nothing.epoch = position.epoch;
    nothing.last_commit = same_epoch ? last->last_commit : Lsn{};
    nothing.last_commit_micros = same_epoch ? last->last_commit_micros : micros;
    nothing.end = position.lsn;
    TARN_RETURN_IF_ERROR(bronze_->Flush(nothing));
  }
  TARN_RETURN_IF_ERROR(silver_->Publish(position, micros));
  state_.tail_lsn = std::max(state_.tail_lsn.load(), position.lsn.value);
  state_.bronze_lsn = std::max(state_.bronze_lsn.load(), position.lsn.value);
  state_.tail_commit_micros = std::max(state_.tail_commit_micros.load(), micros);
  Committed(position.lsn, micros);
  bronze_end_ = std::max(bronze_end_.load(), position.lsn.value);
  stream_->Confirm(position.lsn);
  return {};
}

Status Runner::AdmitCopied(cdc::ChangeCollector& collector) {
  const auto awaited = silver_->AwaitedCopy(identity_.epoch);
  copy_awaited_ = awaited.has_value();
  if (!awaited || !HasPassed(collector, *awaited)) return {};
  TARN_RETURN_IF_ERROR(CommitSilver());
  if (silver_->position() >= *awaited) return {};
  // What the source was when the copy's snapshot was taken, not when somebody came to say so here.
  int64_t micros = state_.silver_commit_micros;
  TARN_ASSIGN(const auto loads, bronze::ChangeLog::ReadLoads(*storage_, options_.bronze_root()));
  for (const auto& [name, copies] : loads) {
    for (const bronze::LoadManifest& load : copies) {
      if (load.position() == *awaited) micros = std::max(micros, load.snapshot_micros);
    }
  }
  return AdvanceTo(*awaited, micros);
}

CopySource Runner::CopyFiles(const std::string& table) const {
  return {storage_.get(), options_.bronze(), layout_.Internal("copies") + "/" + table};
}

Status Runner::TakeFinishedCopy(cdc::ChangeCollector& collector, const CancelToken& cancel) {
  const auto copy = watch_->Finished();
  if (!copy) return {};
  const bronze::LoadManifest& load = copy->load;
  if (!HasPassed(collector, load.position())) return {};
  TARN_RETURN_IF_ERROR(CommitSilver());
  if (!options_.with_silver) return FollowFinishedCopy(*copy);
  const std::string& name = load.table->lake_name;
  TARN_ASSIGN(const std::string spoiled, WhySpoiled(CopyFiles(name), load));
  if (!spoiled.empty()) return CopyOnceMore(name, spoiled);
  const auto known = silver_->registry().tables.find(name);
  catalog::RegisteredTable table =
      known != silver_->registry().tables.end() ? known->second : Register(*load.table);
  table.source = *load.table;
  table.storage = copy->storage;
  spdlog::info("silver {}: taking the copy of {} rows at {}", name, load.rows, load.snapshot.ToString());
  const Status taken = silver_->TakeCopy(table, load.position(), [&](const auto& take) {
    return ReadCopy(CopyFiles(name), load, cancel, take);
  });
  if (!taken && taken.error().code == ErrorCode::kNotFound)
    return CopyOnceMore(name, "its copy cannot be read: " + taken.error().message);
  TARN_RETURN_IF_ERROR(taken);
  const bool accepted = silver_->registry().tables.at(name).held.empty();
  TARN_RETURN_IF_ERROR(ReplayFromBronze(load.position(), name, cancel));
  TARN_RETURN_IF_ERROR(silver_->SaveRegistry());
  copy_awaited_ = true;  // Until the version that has it is published.
  Took(*copy, accepted);
  silver_->SetComing(watch_->Coming());
  const bool ahead = load.position() > silver_->position();
  const int64_t micros = ahead ? std::max(state_.silver_commit_micros.load(), load.snapshot_micros)
                               : state_.silver_commit_micros.load();
  const SourcePosition version = std::max(load.position(), silver_->position());
  return AdvanceTo(version, micros);
}

void Runner::Took(const FinishedCopy& copy, bool accepted) {
  // First what the table is now: else the watch would find that it is not what it was before the copy.
  UpdateFollowed();
  watch_->Took(accepted);
  {
    const std::lock_guard lock(followed_mutex_);
    coming_.erase(copy.load.table->oid);
  }
  UpdateFollowed();
}

Status Runner::CopyOnceMore(const std::string& name, const std::string& reason) {
  spdlog::warn("{} is copied once more: {}", name, reason);
  TARN_RETURN_IF_ERROR(bronze::ForgetCopyProgress(*storage_, options_.bronze(), name));
  TARN_RETURN_IF_ERROR(silver_->MarkCopyAgain(name, reason, true));
  watch_->Took(true);
  UpdateFollowed();
  return {};
}

Status Runner::AddUntakenCopies() {
  TARN_ASSIGN(const auto loads, bronze::ChangeLog::ReadLoads(*storage_, options_.bronze_root()));
  for (const auto& [name, copies] : loads) {
    const auto known = silver_->registry().tables.find(name);
    if (known != silver_->registry().tables.end() && copies.back().position() <= known->second.start)
      continue;
    // The storage of a copy from before this process is not known any more; if it was replaced since, the
    // columns tell.
    const std::lock_guard lock(followed_mutex_);
    const auto coming = coming_.find(copies.back().table->oid);
    watch_->AddFinished({copies.back(), coming == coming_.end() ? "" : coming->second.storage});
  }
  return {};
}

}  // namespace tarn::pipeline
