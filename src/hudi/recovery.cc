#include <algorithm>
#include <nlohmann/json.hpp>

#include "avro/container.h"
#include "base/fault.h"
#include "base/log.h"
#include "hudi/file_name.h"
#include "hudi/hudi_table.h"
#include "hudi/log_block.h"
#include "hudi/rollback_record.h"
#include "hudi/service_schema.h"

namespace tarn::hudi {
namespace {

enum class Whose { kFailed, kOlder, kOther, kNobodys };

/// What a log file holds, as the rollback of `failed` sees it. A log without a single whole block was cut off
/// while it was written: no reader gets a row of it. Errors: kUnsupported when it has blocks of others, too.
Result<Whose> WhoseLog(std::string_view bytes, const std::string& path, const std::string& failed) {
  const auto blocks = ParseBlocks(bytes, path);
  if (!blocks || blocks->empty()) return Whose::kNobodys;
  size_t of_failed = 0;
  std::string newest;
  for (const LogBlock& block : *blocks) {
    newest = std::max(newest, block.instant);
    // A rollback that was cut off in its turn may have begun with a block that says so.
    if (block.instant == failed || block.target_instant == failed) of_failed++;
  }
  if (of_failed == blocks->size()) return Whose::kFailed;
  if (of_failed == 0) return newest < failed ? Whose::kOlder : Whose::kOther;
  return MakeError(
      ErrorCode::kUnsupported,
      "log file '{}' has blocks of the failed commit {} and of others: let its writer roll it back", path,
      failed);
}

/// Looks for the files of one failed commit: base files carry the instant in their name, logs in their
/// blocks.
class LeftoverSearch {
 public:
  /// `is_shared`: logs of living writers are among the table's.
  LeftoverSearch(const storage::Storage& storage, const std::string& base_path, const Timeline& timeline,
                 const std::string& failed, bool is_shared)
      : storage_(storage),
        base_path_(base_path),
        failed_(failed),
        is_shared_(is_shared),
        told_(storage, base_path, timeline) {}

  Result<FilesByPartition> Run() {
    TARN_ASSIGN(const FileView view, FileView::Load(storage_, base_path_));
    for (const auto& [partition, groups] : view.partitions()) {
      for (const auto& [file_id, group] : groups) {
        for (const auto& [base_instant, base] : group.bases) {
          if (base_instant == failed_) leftovers_[partition].push_back(base.name);
        }
        for (const auto& [base_instant, logs] : group.logs) TARN_RETURN_IF_ERROR(SearchLogs(partition, logs));
      }
    }
    return std::move(leftovers_);
  }

 private:
  /// From the newest to the first that is older than the failed commit: instants rise with a slice's logs,
  /// but for those that writers side by side wrote.
  Status SearchLogs(const std::string& partition, const std::vector<LogFile>& logs) {
    for (auto log = logs.rbegin(); log != logs.rend(); ++log) {
      const std::string path = JoinPath(JoinPath(base_path_, partition), log->name);
      const auto bytes = storage_.Read(path);
      if (!bytes && is_shared_ && bytes.error().code == ErrorCode::kNotFound) continue;
      if (!bytes) return bytes.error();
      TARN_ASSIGN(Whose whose, WhoseLog(*bytes, path, failed_));
      if (whose == Whose::kOlder && !is_shared_) return {};
      // Of a shared table it may be one that is being written.
      if (whose == Whose::kNobodys && !is_shared_) {
        // One that a completed commit tells of is damage, not a leftover.
        TARN_ASSIGN(const bool told, told_.Has(log->name));
        if (!told) whose = Whose::kFailed;
      }
      if (whose == Whose::kFailed) leftovers_[partition].push_back(log->name);
    }
    return {};
  }
  const storage::Storage& storage_;
  const std::string& base_path_;
  const std::string& failed_;
  const bool is_shared_;
  ToldFiles told_;
  FilesByPartition leftovers_;
};

/// The first millisecond after the instant that no action of others has.
Result<std::string> After(const std::string& instant, const Timeline& timeline) {
  TARN_ASSIGN(int64_t micros, ParseInstant(instant));
  std::string next;
  do next = FormatInstant(micros += 1000);
  while (timeline.files.contains(next));
  return next;
}

}  // namespace

Status HudiTable::RollBack(const PendingAction& failed) {
  TARN_ASSIGN(const Timeline timeline, ReadTimeline(*storage_, base_path_));
  TARN_ASSIGN(const FilesByPartition leftovers,
              LeftoverSearch(*storage_, base_path_, timeline, failed.instant, sharing_.has_value()).Run());
  spdlog::warn("table '{}': rolling back {} {} ({} partitions with files of it)", options_.name,
               failed.action, failed.instant, leftovers.size());
  TARN_ASSIGN(std::string rollback, After(failed.instant, timeline));
  std::unique_ptr<Heartbeat> claim;
  while (sharing_ && !claim) {
    // Another writer's commit may be about to take it.
    auto begun = Heartbeat::Begin(storage_, base_path_, rollback, *sharing_);
    if (begun) {
      claim = std::move(*begun);
    } else {
      if (begun.error().code != ErrorCode::kConflict) return begun.error();
      TARN_ASSIGN(rollback, After(rollback, timeline));
    }
  }
  const auto put = [&](const char* state, const std::string& bytes) {
    return storage_->PutIfAbsent(HoodiePath(TimelineFileName(rollback, "rollback", state)), bytes);
  };
  if (!leftovers.empty()) {
    TARN_ASSIGN(const std::string plan,
                avro::WriteContainer(
                    RollbackPlanSchema(),
                    RollbackPlanJson({failed.instant, failed.action}, leftovers, base_path_).dump()));
    TARN_RETURN_IF_ERROR(put("requested", plan));
    TARN_FAULT_POINT("hudi.rollback.after_requested");
    TARN_RETURN_IF_ERROR(put("inflight", ""));
    TARN_FAULT_POINT("hudi.rollback.after_inflight");
    for (const auto& [partition, names] : leftovers) TARN_RETURN_IF_ERROR(RemoveFiles(partition, names));
    TARN_FAULT_POINT("hudi.rollback.after_files");
  }
  TARN_RETURN_IF_ERROR(RemoveMarkers(failed.instant));
  // The requested file goes last: while one is left, the next start rolls back again.
  for (const char* state : {"inflight", "requested"}) {
    TARN_RETURN_IF_ERROR(
        storage_->Remove(HoodiePath(TimelineFileName(failed.instant, failed.action, state))));
    TARN_FAULT_POINT("hudi.rollback.after_instant");
  }
  if (leftovers.empty()) {
    if (claim) claim->End();
    return {};
  }
  TARN_ASSIGN(
      const std::string metadata,
      avro::WriteContainer(
          RollbackMetadataSchema(),
          RollbackMetadataJson({failed.instant, failed.action}, leftovers, base_path_, rollback).dump()));
  TARN_RETURN_IF_ERROR(put("", metadata));
  if (claim) claim->End();
  TARN_FAULT_POINT("hudi.rollback.after_complete");
  return {};
}

Status HudiTable::RemoveMarkers(const std::string& instant) {
  TARN_RETURN_IF_ERROR(storage_->RemoveTree(HoodiePath(".temp/" + instant)));
  return storage_->Remove(HoodiePath(".heartbeat/" + instant));
}

Status HudiTable::RecoverServices() {
  TARN_ASSIGN(const Timeline timeline, ReadTimeline(*storage_, base_path_));
  for (const PendingAction& pending : timeline.pending) {
    if (pending.action == "clean") {
      // Readers of the past must know what is gone.
      TARN_RETURN_IF_ERROR(GoOnCleaning(pending));
    } else if (pending.action == "rollback") {
      // Begun anew: what it removed is not missed.
      for (const std::string& name : pending.files) TARN_RETURN_IF_ERROR(storage_->Remove(HoodiePath(name)));
    } else if (pending.action == "restore") {
      TARN_RETURN_IF_ERROR(GoOnRestoring(pending));
    } else {
      continue;
    }
    TARN_FAULT_POINT("hudi.recovery.after_service");
  }
  for (const auto& [instant, names] : timeline.files) {
    const std::string begun = TimelineFileName(instant, "savepoint", "inflight");
    // Another writer could not make one there.
    if (!timeline.savepoints.contains(instant) && std::find(names.begin(), names.end(), begun) != names.end())
      TARN_RETURN_IF_ERROR(storage_->Remove(HoodiePath(begun)));
  }
  return {};
}

Status HudiTable::Recover() {
  if (sharing_) return RecoverShared();
  TARN_RETURN_IF_ERROR(RecoverServices());
  TARN_ASSIGN(const Timeline timeline, ReadTimeline(*storage_, base_path_));
  for (const PendingAction& pending : timeline.pending) {
    if (!IsCommitAction(pending.action) && pending.action != "compaction") {
      return MakeError(
          ErrorCode::kUnsupported,
          "table '{}' has a pending {} at {}, which is not tarn's: let its writer finish or roll it back",
          options_.name, pending.action, pending.instant);
    }
    if (pending.action == "compaction") {
      TARN_ASSIGN(const bool is_written_behind, IsWrittenBehind(pending.instant));
      if (is_written_behind) {
        TARN_RETURN_IF_ERROR(ReturnToPlan(pending.instant));
        continue;
      }
    }
    TARN_RETURN_IF_ERROR(RollBack(pending));
  }
  return {};
}

}  // namespace tarn::hudi
