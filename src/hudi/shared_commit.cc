#include <arrow/api.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/fault.h"
#include "base/log.h"
#include "hudi/avro_schema.h"
#include "hudi/file_name.h"
#include "hudi/hudi_table.h"
#include "hudi/properties.h"
#include "hudi/write_conflict.h"
#include "parquet/parquet_reader.h"

namespace tarn::hudi {
Result<std::unique_ptr<TableLock>> HudiTable::LockIfShared(int64_t lease_micros) const {
  if (!sharing_) return std::unique_ptr<TableLock>();
  return TableLock::Acquire(storage_, base_path_, *sharing_, lease_micros);
}

Result<std::unique_ptr<TableLock>> HudiTable::LockForService() const {
  return LockIfShared(sharing_ ? kServiceLeases * sharing_->lock_lease_micros : 0);
}

Status HudiTable::Refresh() {
  if (!sharing_) return {};
  if (bulk_open_) {
    return MakeError(ErrorCode::kConflict, "table '{}' is being loaded: finish or drop the bulk insert first",
                     options_.name);
  }
  TARN_ASSIGN(const Timeline timeline, ReadTimeline(*storage_, base_path_));
  if (NewerThan(timeline, known_instants_).empty() && timeline.Newest() == last_instant_) return Settle();
  needs_recovery_ = true;
  return Settle();
}

void HudiTable::CatchUp() {
  if (!sharing_) return;
  // The commit is complete whatever becomes of this; the next call begins with it again.
  const Status settled = Settle();
  if (!settled) spdlog::warn("table '{}': {}", options_.name, settled.error().message);
}

Status HudiTable::PublishShared(CommitContent& content) {
  last_instant_ = std::max(last_instant_, content.instant);
  TARN_ASSIGN(const auto heartbeat, Heartbeat::Begin(storage_, base_path_, content.instant, *sharing_));
  TARN_FAULT_POINT("hudi.shared.after_heartbeat");
  needs_recovery_ = true;
  const Status published = PublishAlive(content, *heartbeat);
  if (published) {
    heartbeat->End();
    known_instants_.insert(content.instant);
    last_commit_ = std::max(last_commit_, content.instant);
    return {};
  }
  // While something is left of the commit its instant stays taken.
  if (content.is_taken || failed_instants_.contains(content.instant))
    heartbeat->Stop();
  else
    heartbeat->End();
  // Whatever it was, the caller must look at the newest state before it tries again. Where that fails, too,
  // the next call begins with it.
  const Status settled = Settle();
  if (!settled) spdlog::warn("table '{}': {}", options_.name, settled.error().message);
  return published;
}

Status HudiTable::AnnounceShared(CommitContent& content) {
  Status announced = Announce(content);
  if (!announced && announced.error().code == ErrorCode::kAlreadyExists) {
    content.is_taken = true;
    return MakeError(ErrorCode::kConflict, "table '{}': another writer has the instant {}: take a later one",
                     options_.name, content.instant);
  }
  if (!announced) failed_instants_.insert(content.instant);
  return announced;
}

Status HudiTable::PublishAlive(CommitContent& content, const Heartbeat& heartbeat) {
  // Under an instant that something else has, a rollback for one, what is written would count at once.
  TARN_ASSIGN(const Timeline before, ReadTimeline(*storage_, base_path_));
  if (!content.is_planned && before.files.contains(content.instant)) {
    return MakeError(ErrorCode::kConflict, "table '{}': another writer has the instant {}: take a later one",
                     options_.name, content.instant);
  }
  if (content.is_clustering() || (content.is_compaction() && !content.is_planned)) {
    // From here on other writers see the plan: nothing may be missing in it, and none of them that has begun
    // may be older than it says.
    TARN_ASSIGN(const auto lock, LockIfShared(sharing_->lock_lease_micros));
    TARN_ASSIGN(const Timeline timeline, ReadTimeline(*storage_, base_path_));
    if (timeline.Newest() >= content.instant) {
      return MakeError(ErrorCode::kConflict, "table '{}': the instant {} is not after {}: take a later one",
                       options_.name, content.instant, timeline.Newest());
    }
    TARN_RETURN_IF_ERROR(CheckConflicts(timeline, content));
    TARN_RETURN_IF_ERROR(lock->CheckHeld());
    TARN_RETURN_IF_ERROR(AnnounceShared(content));
  } else {
    TARN_RETURN_IF_ERROR(AnnounceShared(content));
  }
  Status completed = CompleteAlive(content, heartbeat);
  if (!completed) failed_instants_.insert(content.instant);
  return completed;
}

Status HudiTable::CompleteAlive(CommitContent& content, const Heartbeat& heartbeat) {
  TARN_RETURN_IF_ERROR(PublishData(content));
  TARN_ASSIGN(const auto lock, LockIfShared(sharing_->lock_lease_micros));
  TARN_FAULT_POINT("hudi.shared.after_lock");
  TARN_ASSIGN(const std::string text, storage_->Read(HoodiePath("hoodie.properties")));
  TARN_RETURN_IF_ERROR(OptionsOf(ParseProperties(text), true));
  TARN_ASSIGN(const Timeline timeline, ReadTimeline(*storage_, base_path_));
  const auto own = std::find_if(timeline.pending.begin(), timeline.pending.end(), [&](const auto& pending) {
    return pending.instant == content.instant && pending.files.size() == 2;
  });
  if (own == timeline.pending.end() || heartbeat.HasLapsed()) {
    return MakeError(ErrorCode::kConflict,
                     "table '{}': the commit {} took so long without a sign of life that other writers may "
                     "have rolled it back: try again",
                     options_.name, content.instant);
  }
  TARN_RETURN_IF_ERROR(CheckConflicts(timeline, content));
  TARN_RETURN_IF_ERROR(lock->CheckHeld());
  TARN_RETURN_IF_ERROR(PutCompleted(content));
  // What others committed meanwhile is not in our state: it is read before anything is looked up again.
  needs_recovery_ = !NewerThan(timeline, known_instants_).empty();
  return {};
}

Status HudiTable::CheckConflicts(const Timeline& timeline, const CommitContent& content) {
  OwnWrites own{content.instant, {}, content.whole_partitions, content.is_whole_table, options_.schema};
  for (const WriteStat& stat : content.metadata.stats) own.file_ids.insert(stat.file_id);
  for (const auto& [partition, ids] : content.metadata.replaced_groups)
    own.file_ids.insert(ids.begin(), ids.end());
  std::unordered_set<Hash128, HashOfHash> fresh(content.fresh.begin(), content.fresh.end());
  for (const PendingAction& pending : timeline.pending) {
    if (pending.instant == content.instant) continue;
    const bool is_new_plan = pending.action == "compaction" && !known_instants_.contains(pending.instant);
    // Nobody may write to what is being clustered, however long that was known.
    if (is_new_plan || pending.action == "replacecommit")
      TARN_RETURN_IF_ERROR(CheckAgainstPlan(*storage_, base_path_, pending, own));
  }
  for (const std::string& instant : NewerThan(timeline, known_instants_)) {
    if (instant == content.instant) continue;
    const auto completed = timeline.completed.find(instant);
    if (completed == timeline.completed.end()) continue;  // A plan, see below.
    if (completed->second == "restore") {
      TARN_RETURN_IF_ERROR(CheckAgainstCommit(instant, completed->second, {}, own));
      continue;
    }
    const std::string name = timeline.CompletedPath(instant);
    TARN_ASSIGN(const std::string text, storage_->Read(HoodiePath(name)));
    TARN_ASSIGN(const CommitMetadata commit, ParseCommit(text, name));
    TARN_RETURN_IF_ERROR(CheckAgainstCommit(instant, completed->second, commit, own));
    if (fresh.empty() || commit.operation == "COMPACT" || commit.operation == "CLUSTER") continue;
    const auto keys = [&](const std::string& key) -> Status {
      if (!fresh.contains(keys_.IdentityOf(key))) return {};
      return MakeError(
          ErrorCode::kConflict,
          "table '{}': commit {} inserts or deletes '{}', which {} has inserted meanwhile: look at the table "
          "again and retry",
          options_.name, content.instant, key, instant);
    };
    for (const WriteStat& stat : commit.stats) {
      if (stat.inserts > 0 || stat.prev_commit == "null")
        TARN_RETURN_IF_ERROR(ForEachKey(Context(&timeline), options_.schema, stat, keys));
    }
  }
  return {};
}

Status HudiTable::DropUnfinishedLogs(const Timeline& timeline) {
  known_instants_ = KnownInstants(timeline);
  const bool is_written = std::any_of(timeline.pending.begin(), timeline.pending.end(),
                                      [](const auto& pending) { return IsCommitAction(pending.action); });
  if (!is_written) return {};
  for (WriterGroup& group : groups_) {
    std::vector<LogFile> kept;
    for (LogFile& log : group.logs) {
      TARN_ASSIGN(const bool counts,
                  HasDoneBlock(*storage_, JoinPath(FolderOf(group.partition), log.name), timeline));
      if (counts)
        kept.push_back(std::move(log));
      else
        group.log_bytes -= log.size_bytes;
    }
    group.logs = std::move(kept);
  }
  return {};
}

}  // namespace tarn::hudi
