#include "hudi/planned_compaction.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/log.h"
#include "hudi/file_name.h"
#include "hudi/hudi_table.h"
#include "hudi/rollback_record.h"

namespace tarn::hudi {
namespace {

std::string TextOf(const nlohmann::json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// The files of an operation among those that are there.
Result<Slice> PlannedSlice(const FileView& view, const PlannedCompaction::Operation& operation,
                           const std::string& instant) {
  const auto missing = [&](const std::string& name) {
    return MakeError(ErrorCode::kCorrupt, "'{}', which the compaction planned at {} takes, is not there",
                     JoinPath(operation.partition, name), instant);
  };
  const auto partition = view.partitions().find(operation.partition);
  if (partition == view.partitions().end()) return missing(operation.file_id);
  const auto group = partition->second.find(operation.file_id);
  if (group == partition->second.end()) return missing(operation.file_id);
  Slice slice;
  for (const auto& [base_instant, base] : group->second.bases) {
    if (base.name == operation.base_file) slice.base = &base;
  }
  if (slice.base == nullptr) return missing(operation.base_file);
  for (const std::string& name : operation.logs) {
    const auto parsed = ParseLogFileName(name);
    const auto logs = parsed ? group->second.logs.find(parsed->base_instant) : group->second.logs.end();
    if (logs == group->second.logs.end()) return missing(name);
    const auto log = std::find_if(logs->second.begin(), logs->second.end(),
                                  [&](const LogFile& file) { return file.name == name; });
    if (log == logs->second.end()) return missing(name);
    slice.logs.push_back(&*log);
  }
  std::sort(slice.logs.begin(), slice.logs.end(), [](const LogFile* a, const LogFile* b) {
    return std::tie(a->version, a->token) < std::tie(b->version, b->token);
  });
  return slice;
}

}  // namespace

Result<PlannedCompaction> ReadCompactionPlan(const storage::Storage& storage, const std::string& base_path,
                                             const std::string& instant) {
  const std::string path = base_path + "/.hoodie/" + TimelineFileName(instant, "compaction", "requested");
  TARN_ASSIGN(const std::string bytes, storage.Read(path));
  const auto json = FirstRecord(bytes);
  if (!json || !json->is_object())
    return MakeError(ErrorCode::kCorrupt, "'{}', the plan of a compaction, cannot be read", path);
  PlannedCompaction plan{instant, {}, false};
  const auto operations = json->find("operations");
  if (operations == json->end() || !operations->is_array()) return plan;
  for (const auto& operation : *operations) {
    // Plans of version 1 have whole paths.
    const auto bare = [](const std::string& name) { return name.substr(name.rfind('/') + 1); };
    PlannedCompaction::Operation parsed{TextOf(operation, "partitionPath"),
                                        TextOf(operation, "fileId"),
                                        bare(TextOf(operation, "dataFilePath")),
                                        {}};
    if (const auto logs = operation.find("deltaFilePaths"); logs != operation.end() && logs->is_array()) {
      for (const auto& log : *logs) {
        if (log.is_string()) parsed.logs.push_back(bare(log));
      }
    }
    plan.operations.push_back(std::move(parsed));
  }
  return plan;
}

Result<bool> HudiTable::IsWrittenBehind(const std::string& planned) const {
  TARN_ASSIGN(const FileView view, FileView::Load(*storage_, base_path_));
  for (const auto& [partition, groups] : view.partitions()) {
    for (const auto& [file_id, group] : groups) {
      if (group.logs.contains(planned)) return true;
    }
  }
  return false;
}

Status HudiTable::ReturnToPlan(const std::string& planned) {
  TARN_ASSIGN(const FileView view, FileView::Load(*storage_, base_path_));
  for (const auto& [partition, groups] : view.partitions()) {
    for (const auto& [file_id, group] : groups) {
      const auto base = group.bases.find(planned);
      if (base != group.bases.end()) TARN_RETURN_IF_ERROR(RemoveFiles(partition, {base->second.name}));
    }
  }
  TARN_RETURN_IF_ERROR(RemoveMarkers(planned));
  return storage_->Remove(HoodiePath(TimelineFileName(planned, "compaction", "inflight")));
}

Status HudiTable::LoadPlans(const Timeline& timeline) {
  plans_.clear();
  for (const PendingAction& pending : timeline.pending) {
    if (pending.action != "compaction") continue;
    TARN_ASSIGN(auto plan, ReadCompactionPlan(*storage_, base_path_, pending.instant));
    plan.is_begun = pending.files.size() > 1;
    for (const auto& operation : plan.operations) {
      const auto group = group_index_.find(operation.file_id);
      if (group != group_index_.end() && groups_[group->second].base.instant < plan.instant)
        groups_[group->second].planned = plan.instant;
    }
    plans_.push_back(std::move(plan));
  }
  return {};
}

Result<CommitResult> HudiTable::ExecutePlan(const PlannedCompaction& plan,
                                            const CommitProperties& properties) {
  spdlog::info("table '{}': making the compaction of {} file groups that was planned at {}", options_.name,
               plan.operations.size(), plan.instant);
  TARN_ASSIGN(const FileView view, FileView::Load(*storage_, base_path_));
  CommitContent content;
  content.instant = plan.instant;
  content.is_planned = true;
  content.metadata.operation = "COMPACT";
  content.metadata.compacted = true;
  for (const auto& operation : plan.operations) {
    TARN_ASSIGN(const Slice slice, PlannedSlice(view, operation, plan.instant));
    TARN_RETURN_IF_ERROR(CompactSlice({operation.partition, operation.file_id, slice}, &content, nullptr));
  }
  Describe(content, properties);
  // Of the plan's groups, newer logs stand behind the new base files now; all is read anew.
  TARN_RETURN_IF_ERROR(Publish(content));
  CommitResult result = ResultOf(content);
  needs_recovery_ = true;
  TARN_RETURN_IF_ERROR(Settle());
  return result;
}

Result<std::optional<CommitResult>> HudiTable::ExecutePlans(const CommitProperties& properties) {
  std::optional<CommitResult> last;
  // Each loads the state anew, and with it the plans that are left.
  for (;;) {
    const auto next = std::find_if(plans_.begin(), plans_.end(),
                                   [](const PlannedCompaction& plan) { return !plan.is_begun; });
    if (next == plans_.end()) break;
    const PlannedCompaction plan = *next;
    TARN_ASSIGN(last, ExecutePlan(plan, properties));
  }
  return last;
}

}  // namespace tarn::hudi
