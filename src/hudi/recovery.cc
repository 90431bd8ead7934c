#include <nlohmann/json.hpp>

#include "avro/container.h"
#include "base/fault.h"
#include "base/log.h"
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

/// Base files carry the instant in their name, log files in their blocks.
Result<Leftovers> FindLeftovers(const storage::Storage& storage, const std::string& base_path,
                                const std::string& instant) {
  TARN_ASSIGN(const FileView view, FileView::Load(storage, base_path));
  Leftovers leftovers;
  for (const auto& [partition, groups] : view.partitions()) {
    for (const auto& [file_id, group] : groups) {
      for (const auto& [base_instant, base] : group.bases) {
        if (base_instant == instant) leftovers[partition].push_back(base.name);
      }
      // Only the newest log of a slice can be of the newest commit.
      for (const auto& [base_instant, logs] : group.logs) {
        const std::string path = JoinPath(JoinPath(base_path, partition), logs.back().name);
        TARN_ASSIGN(const std::string bytes, storage.Read(path));
        TARN_ASSIGN(const auto blocks, ParseBlocks(bytes, path));
        if (!blocks.empty() && blocks.back().instant == instant)
          leftovers[partition].push_back(logs.back().name);
      }
    }
  }
  return leftovers;
}

/// The instant one millisecond later.
Result<std::string> After(const std::string& instant) {
  TARN_ASSIGN(const int64_t micros, ParseInstant(instant));
  return FormatInstant(micros + 1000);
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
  TARN_ASSIGN(const Leftovers leftovers, FindLeftovers(*storage_, base_path_, failed.instant));
  spdlog::warn("table '{}': rolling back {} {} ({} partitions with files of it)", options_.name,
               failed.action, failed.instant, leftovers.size());
  TARN_ASSIGN(const std::string rollback, After(failed.instant));
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
    TARN_RETURN_IF_ERROR(RollBack(pending));
  }
  return {};
}

}  // namespace tarn::hudi
