#include <algorithm>
#include <map>

#include "base/log.h"
#include "hudi/hudi_table.h"

namespace tarn::hudi {
namespace {

/// When each pending action wrote something of the timeline last.
Result<std::map<std::string, int64_t>> LastWritten(const storage::Storage& storage,
                                                   const std::string& base_path, const Timeline& timeline) {
  TARN_ASSIGN(const auto files, storage.List(base_path + "/.hoodie"));
  std::map<std::string, int64_t> times;
  for (const PendingAction& pending : timeline.pending) {
    int64_t& newest = times[pending.instant];
    for (const auto& file : files) {
      const auto& names = pending.files;
      if (std::find(names.begin(), names.end(), file.name) != names.end())
        newest = std::max(newest, file.modified_micros);
    }
  }
  return times;
}

}  // namespace

Result<bool> HudiTable::IsAlive(const PendingAction& pending) const {
  if (failed_instants_.contains(pending.instant)) return false;
  TARN_ASSIGN(const Life life, LifeOf(*storage_, base_path_, pending.instant, *sharing_));
  // Without a sign of life a commit is dead, as for Hudi's lazy cleaning; but compactions of Spark have none.
  return life == Life::kAlive || (life == Life::kUnknown && !IsCommitAction(pending.action));
}

Result<std::vector<PendingAction>> HudiTable::AbandonedIn(const Timeline& timeline) const {
  TARN_ASSIGN(const auto written, LastWritten(*storage_, base_path_, timeline));
  const int64_t late = sharing_->clock->NowMicros() - kServiceLeases * sharing_->lock_lease_micros;
  std::vector<PendingAction> abandoned;
  bool is_rolling_back = false;
  for (const PendingAction& pending : timeline.pending) {
    if (pending.action == "restore") {
      return MakeError(ErrorCode::kConflict,
                       "table '{}' is being restored at {}: try again when that is done, or open the table "
                       "alone to go on with it",
                       options_.name, pending.instant);
    }
    if (pending.action == "clean" || pending.action == "rollback") {
      const bool is_late = written.at(pending.instant) < late;
      if (is_late) abandoned.push_back(pending);
      if (!is_late && pending.action == "rollback") is_rolling_back = true;
      continue;
    }
    if (!IsCommitAction(pending.action) && pending.action != "compaction") continue;
    TARN_ASSIGN(const bool alive, IsAlive(pending));
    if (!alive) abandoned.push_back(pending);
  }
  if (is_rolling_back) {
    // Another writer may be at these; our own are nobody else's.
    std::erase_if(abandoned, [&](const PendingAction& pending) {
      return IsCommitAction(pending.action) && !failed_instants_.contains(pending.instant);
    });
  }
  return abandoned;
}

Status HudiTable::RecoverShared() {
  TARN_ASSIGN(Timeline timeline, ReadTimeline(*storage_, base_path_));
  TARN_ASSIGN(auto abandoned, AbandonedIn(timeline));
  if (abandoned.empty() && failed_instants_.empty()) return {};
  TARN_ASSIGN(const auto lock, LockForService());
  // Nothing completes while we have the lock: what is pending now was not merely slow.
  TARN_ASSIGN(timeline, ReadTimeline(*storage_, base_path_));
  TARN_ASSIGN(abandoned, AbandonedIn(timeline));
  for (const PendingAction& pending : abandoned) {
    if (pending.action == "clean") {
      TARN_RETURN_IF_ERROR(GoOnCleaning(pending));
    } else if (pending.action == "rollback") {
      for (const std::string& name : pending.files) TARN_RETURN_IF_ERROR(storage_->Remove(HoodiePath(name)));
    } else if (pending.action == "compaction") {
      // Others may have written behind the plan, or be about to: it stays, and the next compaction makes it.
      TARN_RETURN_IF_ERROR(ReturnToPlan(pending.instant));
    } else {
      TARN_RETURN_IF_ERROR(RollBack(pending));
    }
  }
  // What failed before it was announced, or after it was complete, left its sign of life.
  for (const std::string& instant : failed_instants_)
    TARN_RETURN_IF_ERROR(storage_->Remove(HoodiePath(".heartbeat/" + instant)));
  failed_instants_.clear();
  return RemoveDeadHeartbeats(*storage_, base_path_, timeline, *sharing_);
}

}  // namespace tarn::hudi
