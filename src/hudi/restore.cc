#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/fault.h"
#include "base/log.h"
#include "hudi/file_name.h"
#include "hudi/hudi_table.h"
#include "hudi/log_block.h"
#include "hudi/restore_plan.h"
#include "hudi/rollback_record.h"
#include "hudi/savepoint.h"

namespace tarn::hudi {
namespace {

/// Looks for what came after a savepoint: base files carry their instant in their names, logs in their
/// blocks.
class NewerFiles {
 public:
  NewerFiles(const storage::Storage& storage, const std::string& base_path, const Timeline& timeline,
             const RestorePlan& plan)
      : storage_(storage),
        base_path_(base_path),
        plan_(plan),
        told_(storage, base_path, timeline, plan.savepoint) {}

  /// By the instant of the plan that they belong to; those of none (what earlier rollbacks left) under "".
  /// Errors: kUnsupported names a log with blocks from before and after.
  Result<std::map<std::string, FilesByPartition>> Find() {
    TARN_ASSIGN(const FileView view, FileView::Load(storage_, base_path_));
    for (const auto& [partition, groups] : view.partitions()) {
      for (const auto& [file_id, group] : groups) {
        for (const auto& [instant, base] : group.bases) {
          if (instant > plan_.savepoint) Add(instant, partition, base.name);
        }
        for (const auto& [instant, logs] : group.logs) {
          for (const LogFile& log : logs)
            TARN_RETURN_IF_ERROR(LookAt(partition, log, instant > plan_.savepoint));
        }
      }
    }
    // Blocks that take others back go after those.
    for (const auto& [partition, name] : commands_) found_[""][partition].push_back(name);
    return std::move(found_);
  }

 private:
  void Add(const std::string& instant, const std::string& partition, const std::string& name) {
    const bool is_planned = std::any_of(plan_.rolled_back.begin(), plan_.rolled_back.end(),
                                        [&](const auto& one) { return one.first == instant; });
    found_[is_planned ? instant : ""][partition].push_back(name);
  }
  /// `is_newer`: of a slice that began after the savepoint.
  Status LookAt(const std::string& partition, const LogFile& log, bool is_newer) {
    const std::string path = JoinPath(JoinPath(base_path_, partition), log.name);
    TARN_ASSIGN(const std::string bytes, storage_.Read(path));
    const auto blocks = ParseBlocks(bytes, path);
    if (!blocks || blocks->empty()) {
      // Cut off while it was written; one that a kept commit tells of is damage, and stays what it is.
      TARN_ASSIGN(const bool told, told_.Has(log.name));
      if (is_newer || !told) Add("", partition, log.name);
      return {};
    }
    size_t newer = 0;
    bool has_data = false;
    std::string newest;
    for (const LogBlock& block : *blocks) {
      // A block that takes others back belongs to them.
      const bool is_command = !block.target_instant.empty();
      const std::string& instant = is_command ? block.target_instant : block.instant;
      if (is_newer || instant > plan_.savepoint) newer++;
      newest = std::max(newest, instant);
      has_data = has_data || !is_command;
    }
    if (newer == 0) return {};
    if (newer < blocks->size()) {
      return MakeError(ErrorCode::kUnsupported,
                       "log file '{}' has blocks from before and after the savepoint {}: let its writer "
                       "restore the table",
                       path, plan_.savepoint);
    }
    if (has_data)
      Add(newest, partition, log.name);
    else
      commands_.emplace_back(partition, log.name);
    return {};
  }

  const storage::Storage& storage_;
  const std::string& base_path_;
  const RestorePlan& plan_;
  ToldFiles told_;
  std::map<std::string, FilesByPartition> found_;
  std::vector<std::pair<std::string, std::string>> commands_;
};

RestorePlan PlanOf(const Timeline& timeline, const std::string& instant, const std::string& savepoint) {
  RestorePlan plan{instant, savepoint, {}};
  for (auto it = timeline.files.rbegin(); it != timeline.files.rend() && it->first > savepoint; ++it) {
    const auto completed = timeline.completed.find(it->first);
    const auto pending =
        std::find_if(timeline.pending.begin(), timeline.pending.end(),
                     [&](const PendingAction& action) { return action.instant == it->first; });
    const std::string action = completed != timeline.completed.end() ? completed->second
                               : pending != timeline.pending.end()   ? pending->action
                                                                     : std::string();
    if (WritesData(action)) plan.rolled_back.emplace_back(it->first, action);
  }
  return plan;
}

/// Whether everything that the savepoint's state is read from is there.
Status CheckKept(const storage::Storage& storage, const std::string& base_path, const Timeline& timeline,
                 const Savepoint& savepoint) {
  ToldFiles told(storage, base_path, timeline, savepoint.instant);
  for (const auto& [partition, names] : savepoint.files) {
    for (const std::string& name : names) {
      const std::string path = JoinPath(JoinPath(base_path, partition), name);
      if (storage.Exists(path)) continue;
      // Another writer may have named logs of later commits, which an earlier restore took.
      if (ParseLogFileName(name)) {
        TARN_ASSIGN(const bool is_told, told.Has(name));
        if (!is_told) continue;
      }
      return MakeError(ErrorCode::kCorrupt, "'{}', which the savepoint {} keeps, is not there", path,
                       savepoint.instant);
    }
  }
  return {};
}

Status CheckRestorable(const storage::Storage& storage, const std::string& base_path,
                       const Timeline& timeline, const std::string& savepoint) {
  const auto& savepoints = timeline.savepoints;
  if (!savepoints.contains(savepoint)) {
    return MakeError(ErrorCode::kNotFound, "'{}' has no savepoint at {}; it has {}", base_path, savepoint,
                     savepoints.empty() ? "none" : fmt::format("{}", fmt::join(savepoints, ", ")));
  }
  if (!IsCommitAction(timeline.completed.at(savepoint)))
    return MakeError(ErrorCode::kCorrupt, "'{}' lacks the commit of its savepoint {}", base_path, savepoint);
  if (const std::string& last = *savepoints.rbegin(); last != savepoint) {
    return MakeError(ErrorCode::kConflict,
                     "'{}' has a later savepoint at {}, which a restore to {} would undo: delete it first",
                     base_path, last, savepoint);
  }
  TARN_ASSIGN(const auto all, ReadSavepoints(storage, base_path, timeline));
  return CheckKept(storage, base_path, timeline, all.back());
}

}  // namespace

Result<RestoreResult> HudiTable::Restore(const std::string& instant, const std::string& savepoint) {
  if (sharing_) {
    return MakeError(
        ErrorCode::kUnsupported,
        "table '{}' is open together with other writers, whose commits a restore takes away: stop "
        "them, and open it alone",
        options_.name);
  }
  TARN_RETURN_IF_ERROR(Begin(instant));
  TARN_ASSIGN(const Timeline timeline, ReadTimeline(*storage_, base_path_));
  TARN_RETURN_IF_ERROR(CheckRestorable(*storage_, base_path_, timeline, savepoint));
  const RestorePlan plan = PlanOf(timeline, instant, savepoint);
  if (plan.rolled_back.empty()) return RestoreResult();
  TARN_ASSIGN(const auto newer, NewerFiles(*storage_, base_path_, timeline, plan).Find());
  TARN_ASSIGN(const std::string bytes, FormatRestorePlan(plan));
  const auto put = [&](const char* state, const std::string& content) {
    return storage_->PutIfAbsent(HoodiePath(TimelineFileName(instant, "restore", state)), content);
  };
  last_instant_ = instant;
  needs_recovery_ = true;
  TARN_FAULT_POINT("hudi.restore.before_requested");
  TARN_RETURN_IF_ERROR(put("requested", bytes));
  TARN_FAULT_POINT("hudi.restore.after_requested");
  TARN_RETURN_IF_ERROR(put("inflight", ""));
  TARN_FAULT_POINT("hudi.restore.after_inflight");
  TARN_ASSIGN(RestoreResult result, FinishRestore(plan, newer));
  TARN_RETURN_IF_ERROR(Settle());
  return result;
}

Result<RestoreResult> HudiTable::FinishRestore(const RestorePlan& plan,
                                               const std::map<std::string, FilesByPartition>& newer) {
  spdlog::warn("table '{}': restoring to {}: rolling back {} commits", options_.name, plan.savepoint,
               plan.rolled_back.size());
  RestoreResult result;
  const auto remove = [&](const std::string& instant) -> Status {
    const auto files = newer.find(instant);
    if (files == newer.end()) return {};
    for (const auto& [partition, names] : files->second) {
      TARN_RETURN_IF_ERROR(RemoveFiles(partition, names));
      result.files += static_cast<int64_t>(names.size());
    }
    return {};
  };
  TARN_RETURN_IF_ERROR(remove(""));
  for (const auto& [instant, action] : plan.rolled_back) {
    // Nobody may take it for there while its files go.
    TARN_RETURN_IF_ERROR(storage_->Remove(HoodiePath(TimelineFileName(instant, action, ""))));
    TARN_FAULT_POINT("hudi.restore.after_unpublished");
    TARN_RETURN_IF_ERROR(remove(instant));
    TARN_FAULT_POINT("hudi.restore.after_files");
    TARN_RETURN_IF_ERROR(RemovePending(instant));
    result.rolled_back.push_back(instant);
    TARN_FAULT_POINT("hudi.restore.after_instant");
  }
  TARN_ASSIGN(const std::string metadata, FormatRestore(plan, newer, base_path_));
  TARN_FAULT_POINT("hudi.restore.before_complete");
  TARN_RETURN_IF_ERROR(
      storage_->PutIfAbsent(HoodiePath(TimelineFileName(plan.instant, "restore", "")), metadata));
  TARN_FAULT_POINT("hudi.restore.after_complete");
  return result;
}

Status HudiTable::RemovePending(const std::string& instant) {
  TARN_RETURN_IF_ERROR(RemoveMarkers(instant));
  TARN_ASSIGN(const Timeline timeline, ReadTimeline(*storage_, base_path_));
  const auto files = timeline.files.find(instant);
  if (files == timeline.files.end()) return {};
  // The requested file goes last.
  for (const bool is_requested : {false, true}) {
    for (const std::string& name : files->second) {
      if (name.ends_with(".requested") == is_requested)
        TARN_RETURN_IF_ERROR(storage_->Remove(HoodiePath(name)));
    }
  }
  return {};
}

Status HudiTable::GoOnRestoring(const PendingAction& pending) {
  TARN_ASSIGN(const Timeline timeline, ReadTimeline(*storage_, base_path_));
  TARN_ASSIGN(const auto plan, ReadRestorePlan(*storage_, base_path_, timeline, pending.instant));
  if (!plan) {
    // It was cut off before it began.
    for (const std::string& name : pending.files) TARN_RETURN_IF_ERROR(storage_->Remove(HoodiePath(name)));
    return {};
  }
  if (plan->savepoint.empty()) {
    return MakeError(
        ErrorCode::kUnsupported,
        "table '{}': the restore at {} does not name its savepoint: let its writer go on with it",
        options_.name, pending.instant);
  }
  TARN_ASSIGN(const auto newer, NewerFiles(*storage_, base_path_, timeline, *plan).Find());
  TARN_ASSIGN([[maybe_unused]] const RestoreResult result, FinishRestore(*plan, newer));
  return {};
}

}  // namespace tarn::hudi
