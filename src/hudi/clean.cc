#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "avro/container.h"
#include "base/fault.h"
#include "hudi/file_name.h"
#include "hudi/hudi_table.h"
#include "hudi/positions.h"
#include "hudi/savepoint.h"
#include "hudi/service_schema.h"

namespace tarn::hudi {
namespace {

using nlohmann::ordered_json;

constexpr const char* kPolicy = "KEEP_LATEST_COMMITS";
/// Behind all instants.
constexpr const char* kNever = "~";

/// Whether savepoints keep something of the slice that begins at `instant`.
bool IsKept(const GroupFiles& group, const std::string& instant, const std::set<std::string>& kept) {
  const auto base = group.bases.find(instant);
  if (base != group.bases.end() && kept.contains(base->second.name)) return true;
  const auto logs = group.logs.find(instant);
  return logs != group.logs.end() && std::any_of(logs->second.begin(), logs->second.end(),
                                                 [&](const auto& log) { return kept.contains(log.name); });
}

/// All files of a group that readers do not read any more, but what savepoints keep.
void AddAll(const GroupFiles& group, const std::set<std::string>& kept, std::vector<std::string>* files) {
  for (const auto& [instant, logs] : group.logs) {
    if (IsKept(group, instant, kept)) continue;
    for (const LogFile& log : logs) files->push_back(log.name);
  }
  for (const auto& [instant, base] : group.bases) {
    if (!IsKept(group, instant, kept)) files->push_back(base.name);
  }
}

/// Files of slices that no reader at or after `retained` needs, logs before their base file; but those that
/// savepoints keep.
std::map<std::string, std::vector<std::string>> OldFiles(const FileView& view, const std::string& retained,
                                                         const std::set<std::string>& kept,
                                                         const ReplacedInstants& replaced) {
  std::map<std::string, std::vector<std::string>> files;
  for (const auto& [partition, groups] : view.partitions()) {
    for (const auto& [file_id, group] : groups) {
      if (const auto at = replaced.find(file_id); at != replaced.end() && at->second <= retained) {
        if (!group.bases.empty() || !group.logs.empty()) AddAll(group, kept, &files[partition]);
        continue;
      }
      // The newest slice at or before the retained instant is what a reader of that instant reads.
      auto keep = group.bases.upper_bound(retained);
      if (keep == group.bases.begin()) continue;
      --keep;
      for (const auto& [instant, logs] : group.logs) {
        if (instant >= keep->first || IsKept(group, instant, kept)) continue;
        for (const LogFile& log : logs) files[partition].push_back(log.name);
      }
      for (auto base = group.bases.begin(); base != keep; ++base) {
        if (!IsKept(group, base->first, kept)) files[partition].push_back(base->second.name);
      }
    }
  }
  std::erase_if(files, [](const auto& entry) { return entry.second.empty(); });
  return files;
}

/// What `retained` must reach for more files to be old than are now; kNever when no slice has a successor.
std::string NextOld(const FileView& view, const std::string& retained, const std::set<std::string>& kept,
                    const ReplacedInstants& replaced) {
  std::string next = kNever;
  for (const auto& [partition, groups] : view.partitions()) {
    for (const auto& [file_id, group] : groups) {
      if (const auto at = replaced.find(file_id); at != replaced.end() && at->second > retained)
        next = std::min(next, at->second);
      for (auto base = group.bases.upper_bound(retained); base != group.bases.end(); ++base) {
        if (base == group.bases.begin() || IsKept(group, std::prev(base)->first, kept)) continue;
        next = std::min(next, base->first);
        break;
      }
    }
  }
  return next;
}

std::string CleanPlanJson(const std::map<std::string, std::vector<std::string>>& files,
                          const std::string& base_path, const std::string& retained,
                          const std::string& action, const std::string& last_commit) {
  ordered_json partitions = ordered_json::object();
  for (const auto& [partition, names] : files) {
    ordered_json list = ordered_json::array();
    for (const std::string& name : names) {
      list.push_back(
          {{"filePath", JoinPath(JoinPath(base_path, partition), name)}, {"isBootstrapBaseFile", false}});
    }
    partitions[partition] = std::move(list);
  }
  return ordered_json{
      {"earliestInstantToRetain", {{"timestamp", retained}, {"action", action}, {"state", "COMPLETED"}}},
      {"lastCompletedCommitTimestamp", last_commit},
      {"policy", kPolicy},
      {"filesToBeDeletedPerPartition", ordered_json::object()},
      {"version", 2},
      {"filePathsToBeDeletedPerPartition", std::move(partitions)},
      {"partitionsToBeDeleted", ordered_json::array()},
      {"extraMetadata", ordered_json::object()}}
      .dump();
}

/// What CleanPlanJson says; nullopt when it is none.
std::optional<HudiTable::CleanPlan> ReadPlan(const std::string& bytes, const std::string& instant) {
  const auto json = FirstRecord(bytes);
  if (!json) return std::nullopt;
  HudiTable::CleanPlan plan{instant, "", "", {}};
  try {
    plan.retained = json->at("earliestInstantToRetain").at("timestamp");
    plan.last_commit = json->at("lastCompletedCommitTimestamp");
    for (const auto& [partition, files] : json->at("filePathsToBeDeletedPerPartition").items()) {
      for (const auto& file : files) {
        const std::string path = file.at("filePath");
        plan.files[partition].push_back(path.substr(path.rfind('/') + 1));
      }
    }
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
  return plan;
}

std::string CleanMetadataJson(const std::map<std::string, std::vector<std::string>>& files,
                              const std::string& instant, const std::string& retained,
                              const std::string& last_commit, int64_t count) {
  ordered_json partitions = ordered_json::object();
  for (const auto& [partition, names] : files) {
    partitions[partition] = {{"partitionPath", partition},
                             {"policy", kPolicy},
                             {"deletePathPatterns", names},
                             {"successDeleteFiles", names},
                             {"failedDeleteFiles", ordered_json::array()},
                             {"isPartitionDeleted", false}};
  }
  return ordered_json{{"startCleanTime", instant},
                      {"timeTakenInMillis", 0},
                      {"totalFilesDeleted", count},
                      {"earliestCommitToRetain", retained},
                      {"lastCompletedCommitTimestamp", last_commit},
                      {"partitionMetadata", std::move(partitions)},
                      {"version", 2},
                      {"bootstrapPartitionMetadata", ordered_json::object()},
                      {"extraMetadata", ordered_json::object()}}
      .dump();
}

}  // namespace

Result<int64_t> HudiTable::Clean(const std::string& instant, const ServiceOptions& options) {
  TARN_RETURN_IF_ERROR(Begin(instant));
  TARN_ASSIGN(const auto lock, LockForService());
  TARN_ASSIGN(const int64_t now, ParseInstant(instant));
  std::string cutoff = FormatInstant(now - options.retain_micros);
  TARN_ASSIGN(const Timeline timeline, ReadTimeline(*storage_, base_path_));
  // What other writers are at goes on from files of today.
  if (sharing_ && !timeline.pending.empty()) cutoff = std::min(cutoff, timeline.pending.front().instant);
  // The newest commit before the window is what a reader at its beginning sees. Where it is archived already,
  // the beginning itself stands for it.
  std::string retained = timeline.NewestCommit(cutoff);
  std::string action = retained.empty() ? "commit" : timeline.completed.at(retained);
  if (retained.empty()) retained = cutoff;
  // Under a long window there are very many files to list, and services run all the time.
  if (retained < next_clean_.retained && timeline.savepoints == next_clean_.savepoints) return 0;
  TARN_ASSIGN(const FileView view, FileView::Load(*storage_, base_path_));
  TARN_ASSIGN(const auto kept, SavepointFiles(*storage_, base_path_, timeline));
  TARN_ASSIGN(const auto replaced, ReplacedGroups(*storage_, base_path_, timeline, ""));
  const auto files = OldFiles(view, retained, kept, replaced);
  next_clean_ = {NextOld(view, retained, kept, replaced), timeline.savepoints};
  if (files.empty()) return 0;
  TARN_ASSIGN(const std::string plan,
              avro::WriteContainer(CleanPlanSchema(),
                                   CleanPlanJson(files, base_path_, retained, action, last_commit_)));
  std::unique_ptr<Heartbeat> claim;
  if (sharing_) {
    TARN_ASSIGN(claim, Heartbeat::Begin(storage_, base_path_, instant, *sharing_));
    TARN_ASSIGN(const Timeline claimed, ReadTimeline(*storage_, base_path_));
    if (claimed.files.contains(instant)) {
      claim->End();
      return MakeError(ErrorCode::kConflict,
                       "table '{}': another writer has the instant {}: take a later one", options_.name,
                       instant);
    }
  }
  last_instant_ = instant;
  needs_recovery_ = true;
  const auto put = [&](const char* state) {
    return storage_->PutIfAbsent(HoodiePath(TimelineFileName(instant, "clean", state)), plan);
  };
  TARN_FAULT_POINT("hudi.clean.before_requested");
  TARN_RETURN_IF_ERROR(put("requested"));
  TARN_FAULT_POINT("hudi.clean.after_requested");
  TARN_RETURN_IF_ERROR(put("inflight"));
  TARN_FAULT_POINT("hudi.clean.after_inflight");
  TARN_ASSIGN(const int64_t count, FinishClean({instant, retained, last_commit_, files}));
  needs_recovery_ = false;
  if (claim) claim->End();
  return count;
}

Result<int64_t> HudiTable::FinishClean(const CleanPlan& plan) {
  int64_t count = 0;
  for (const auto& [partition, names] : plan.files) {
    TARN_RETURN_IF_ERROR(RemoveFiles(partition, names));
    count += static_cast<int64_t>(names.size());
    TARN_FAULT_POINT("hudi.clean.after_files");
  }
  TARN_ASSIGN(
      const std::string metadata,
      avro::WriteContainer(CleanMetadataSchema(), CleanMetadataJson(plan.files, plan.instant, plan.retained,
                                                                    plan.last_commit, count)));
  TARN_FAULT_POINT("hudi.clean.before_complete");
  TARN_RETURN_IF_ERROR(
      storage_->PutIfAbsent(HoodiePath(TimelineFileName(plan.instant, "clean", "")), metadata));
  TARN_FAULT_POINT("hudi.clean.after_complete");
  horizon_ = std::max(horizon_, plan.retained);
  return count;
}

Status HudiTable::GoOnCleaning(const PendingAction& pending) {
  TARN_ASSIGN(const std::string bytes, storage_->Read(HoodiePath(pending.files.front())));
  const auto plan = ReadPlan(bytes, pending.instant);
  if (plan) {
    TARN_ASSIGN([[maybe_unused]] const int64_t count, FinishClean(*plan));
    return {};
  }
  // Without a plan nothing was removed.
  for (const std::string& name : pending.files) TARN_RETURN_IF_ERROR(storage_->Remove(HoodiePath(name)));
  return {};
}

Status HudiTable::RemoveFiles(const std::string& partition, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    TARN_RETURN_IF_ERROR(storage_->Remove(JoinPath(JoinPath(base_path_, partition), name)));
    const auto log = ParseLogFileName(name);
    if (!log || options_.sidecar_folder.empty()) continue;
    TARN_RETURN_IF_ERROR(storage_->Remove(PositionsPath(options_.sidecar_folder, log->file_id, name)));
  }
  return {};
}

}  // namespace tarn::hudi
