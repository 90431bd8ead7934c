#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "avro/container.h"
#include "base/fault.h"
#include "base/log.h"
#include "hudi/commit_metadata.h"
#include "hudi/file_name.h"
#include "hudi/hudi_table.h"
#include "hudi/log_block.h"
#include "hudi/positions.h"
#include "hudi/service_schema.h"

namespace tarn::hudi {
namespace {

using nlohmann::ordered_json;

/// One partition's files of a failed commit.
using Leftovers = std::map<std::string, std::vector<std::string>>;

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
  LeftoverSearch(const storage::Storage& storage, const std::string& base_path, const Timeline& timeline,
                 const std::string& failed)
      : storage_(storage), base_path_(base_path), timeline_(timeline), failed_(failed) {}

  Result<Leftovers> Run() {
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
  /// From the newest to the first that is older than the failed commit: instants rise with a slice's logs.
  Status SearchLogs(const std::string& partition, const std::vector<LogFile>& logs) {
    for (auto log = logs.rbegin(); log != logs.rend(); ++log) {
      const std::string path = JoinPath(JoinPath(base_path_, partition), log->name);
      TARN_ASSIGN(const std::string bytes, storage_.Read(path));
      TARN_ASSIGN(Whose whose, WhoseLog(bytes, path, failed_));
      if (whose == Whose::kOlder) return {};
      if (whose == Whose::kNobodys) {
        TARN_ASSIGN(const bool told, IsToldOf(log->name));
        if (!told) whose = Whose::kFailed;
      }
      if (whose == Whose::kFailed) leftovers_[partition].push_back(log->name);
    }
    return {};
  }
  /// Whether a completed commit has a log file among its own: then it is damage, not a leftover.
  Result<bool> IsToldOf(const std::string& name) {
    if (!told_) {
      told_.emplace();
      for (const std::string& instant : timeline_.Commits()) {
        const std::string file = timeline_.CompletedPath(instant);
        TARN_ASSIGN(const std::string text, storage_.Read(base_path_ + "/.hoodie/" + file));
        TARN_ASSIGN(const CommitMetadata commit, ParseCommit(text, file));
        for (const WriteStat& stat : commit.stats) told_->insert(stat.path.substr(stat.path.rfind('/') + 1));
      }
    }
    return told_->contains(name);
  }

  const storage::Storage& storage_;
  const std::string& base_path_;
  const Timeline& timeline_;
  const std::string& failed_;
  Leftovers leftovers_;
  std::optional<std::set<std::string>> told_;  ///< Names of files.
};

/// The first millisecond after the instant that no action of others has.
Result<std::string> After(const std::string& instant, const Timeline& timeline) {
  TARN_ASSIGN(int64_t micros, ParseInstant(instant));
  std::string next;
  do next = FormatInstant(micros += 1000);
  while (timeline.files.contains(next));
  return next;
}

std::string PlanJson(const PendingAction& failed, const Leftovers& leftovers, const std::string& base_path) {
  ordered_json requests = ordered_json::array();
  for (const auto& [partition, names] : leftovers) {
    ordered_json files = ordered_json::array();
    for (const std::string& name : names) files.push_back(JoinPath(JoinPath(base_path, partition), name));
    requests.push_back({{"partitionPath", partition},
                        {"fileId", ""},
                        {"latestBaseInstant", ""},
                        {"filesToBeDeleted", std::move(files)},
                        {"logBlocksToBeDeleted", ordered_json::object()}});
  }
  return ordered_json{{"instantToRollback", {{"commitTime", failed.instant}, {"action", failed.action}}},
                      {"RollbackRequests", std::move(requests)}}
      .dump();
}

std::string MetadataJson(const PendingAction& failed, const Leftovers& leftovers,
                         const std::string& base_path, const std::string& rollback) {
  ordered_json partitions = ordered_json::object();
  int64_t count = 0;
  for (const auto& [partition, names] : leftovers) {
    ordered_json files = ordered_json::array();
    for (const std::string& name : names) files.push_back(JoinPath(JoinPath(base_path, partition), name));
    count += static_cast<int64_t>(names.size());
    partitions[partition] = {{"partitionPath", partition},
                             {"successDeleteFiles", std::move(files)},
                             {"failedDeleteFiles", ordered_json::array()},
                             {"rollbackLogFiles", ordered_json::object()},
                             {"logFilesFromFailedCommit", ordered_json::object()}};
  }
  return ordered_json{
      {"startRollbackTime", rollback},
      {"timeTakenInMillis", 0},
      {"totalFilesDeleted", count},
      {"commitsRollback", ordered_json::array({failed.instant})},
      {"partitionMetadata", std::move(partitions)},
      {"instantsRollback",
       ordered_json::array({ordered_json{{"commitTime", failed.instant}, {"action", failed.action}}})}}
      .dump();
}

}  // namespace

Status HudiTable::RollBack(const PendingAction& failed) {
  TARN_ASSIGN(const Timeline timeline, ReadTimeline(*storage_, base_path_));
  TARN_ASSIGN(const Leftovers leftovers,
              LeftoverSearch(*storage_, base_path_, timeline, failed.instant).Run());
  spdlog::warn("table '{}': rolling back {} {} ({} partitions with files of it)", options_.name,
               failed.action, failed.instant, leftovers.size());
  TARN_ASSIGN(const std::string rollback, After(failed.instant, timeline));
  const auto put = [&](const char* state, const std::string& bytes) {
    return storage_->PutIfAbsent(HoodiePath(TimelineFileName(rollback, "rollback", state)), bytes);
  };
  if (!leftovers.empty()) {
    TARN_ASSIGN(const std::string plan,
                avro::WriteContainer(RollbackPlanSchema(), PlanJson(failed, leftovers, base_path_)));
    TARN_RETURN_IF_ERROR(put("requested", plan));
    TARN_FAULT_POINT("hudi.rollback.after_requested");
    TARN_RETURN_IF_ERROR(put("inflight", ""));
    TARN_FAULT_POINT("hudi.rollback.after_inflight");
    for (const auto& [partition, names] : leftovers) TARN_RETURN_IF_ERROR(RemoveFiles(partition, names));
    TARN_FAULT_POINT("hudi.rollback.after_files");
  }
  // Spark's writers keep the names of their files there, and a sign of life.
  TARN_RETURN_IF_ERROR(storage_->RemoveTree(HoodiePath(".temp/" + failed.instant)));
  TARN_RETURN_IF_ERROR(storage_->Remove(HoodiePath(".heartbeat/" + failed.instant)));
  // The requested file goes last: while one is left, the next start rolls back again.
  for (const char* state : {"inflight", "requested"}) {
    TARN_RETURN_IF_ERROR(
        storage_->Remove(HoodiePath(TimelineFileName(failed.instant, failed.action, state))));
    TARN_FAULT_POINT("hudi.rollback.after_instant");
  }
  if (leftovers.empty()) return {};
  TARN_ASSIGN(
      const std::string metadata,
      avro::WriteContainer(RollbackMetadataSchema(), MetadataJson(failed, leftovers, base_path_, rollback)));
  TARN_RETURN_IF_ERROR(put("", metadata));
  TARN_FAULT_POINT("hudi.rollback.after_complete");
  return {};
}

Status HudiTable::RefuseWrittenPlan(const PendingAction& plan) const {
  TARN_ASSIGN(const FileView view, FileView::Load(*storage_, base_path_));
  for (const auto& [partition, groups] : view.partitions()) {
    for (const auto& [file_id, group] : groups) {
      const auto logs = group.logs.find(plan.instant);
      if (logs == group.logs.end()) continue;
      return MakeError(
          ErrorCode::kUnsupported,
          "table '{}' has a compaction planned at {}, behind which others wrote ('{}'): without the plan "
          "these "
          "rows would be lost; have its writer run it (in Spark: call run_compaction), then start again",
          options_.name, plan.instant, JoinPath(partition, logs->second.front().name));
    }
  }
  return {};
}

Status HudiTable::Recover() {
  TARN_ASSIGN(const Timeline timeline, ReadTimeline(*storage_, base_path_));
  for (const PendingAction& pending : timeline.pending) {
    if (pending.action == "clean") {
      // Readers of the past must know what is gone.
      TARN_RETURN_IF_ERROR(GoOnCleaning(pending));
    } else if (pending.action == "rollback") {
      // Begun anew: what it removed is not missed.
      for (const std::string& name : pending.files) TARN_RETURN_IF_ERROR(storage_->Remove(HoodiePath(name)));
    } else {
      continue;
    }
    TARN_FAULT_POINT("hudi.recovery.after_service");
  }
  for (const PendingAction& pending : timeline.pending) {
    if (pending.action == "rollback" || pending.action == "clean") continue;
    if (!IsCommitAction(pending.action) && pending.action != "compaction") {
      return MakeError(
          ErrorCode::kUnsupported,
          "table '{}' has a pending {} at {}, which is not tarn's: let its writer finish or roll it back",
          options_.name, pending.action, pending.instant);
    }
    if (pending.action == "compaction") TARN_RETURN_IF_ERROR(RefuseWrittenPlan(pending));
    TARN_RETURN_IF_ERROR(RollBack(pending));
  }
  return {};
}

}  // namespace tarn::hudi
