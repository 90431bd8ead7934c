#include "hudi/restore_plan.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "avro/container.h"
#include "hudi/service_schema.h"

namespace tarn::hudi {
namespace {

using nlohmann::ordered_json;

ordered_json InstantsJson(const RestorePlan& plan) {
  ordered_json instants = ordered_json::array();
  for (const auto& [instant, action] : plan.rolled_back)
    instants.push_back({{"commitTime", instant}, {"action", action}});
  return instants;
}

std::optional<RestorePlan> PlanOf(const nlohmann::json& json, const std::string& instant) {
  RestorePlan plan{instant, "", {}};
  try {
    for (const auto& one : json.at("instantsToRollback"))
      plan.rolled_back.emplace_back(one.at("commitTime"), one.at("action"));
    const auto savepoint = json.find("savepointToRestoreTimestamp");
    if (savepoint != json.end() && savepoint->is_string()) plan.savepoint = *savepoint;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
  return plan;
}

}  // namespace

Result<std::optional<RestorePlan>> ReadRestorePlan(const storage::Storage& storage,
                                                   const std::string& base_path, const Timeline& timeline,
                                                   const std::string& instant) {
  const std::string requested = TimelineFileName(instant, "restore", "requested");
  const auto& names = timeline.files.at(instant);
  if (std::find(names.begin(), names.end(), requested) == names.end()) {
    return MakeError(ErrorCode::kUnsupported,
                     "'{}': the restore at {} has no plan: let its writer go on with it", base_path, instant);
  }
  TARN_ASSIGN(const std::string bytes, storage.Read(base_path + "/.hoodie/" + timeline.StatePath(requested)));
  const auto json = FirstRecord(bytes);
  auto plan = json && json->is_object() ? PlanOf(*json, instant) : std::nullopt;
  if (!plan && names.size() > 1) {
    return MakeError(ErrorCode::kCorrupt, "'{}/.hoodie/{}', the plan of a restore that has begun, is broken",
                     base_path, timeline.StatePath(requested));
  }
  return plan;
}

Result<std::string> FormatRestorePlan(const RestorePlan& plan) {
  return avro::WriteContainer(RestorePlanSchema(),
                              ordered_json{{"instantsToRollback", InstantsJson(plan)},
                                           {"version", 2},
                                           {"savepointToRestoreTimestamp", plan.savepoint}}
                                  .dump());
}

Result<std::string> FormatRestore(const RestorePlan& plan,
                                  const std::map<std::string, FilesByPartition>& files,
                                  const std::string& base_path) {
  ordered_json rollbacks = ordered_json::object(), instants = ordered_json::array();
  for (const auto& [instant, action] : plan.rolled_back) {
    instants.push_back(instant);
    const auto found = files.find(instant);
    rollbacks[instant] = ordered_json::array(
        {RollbackMetadataJson({instant, action}, found == files.end() ? FilesByPartition() : found->second,
                              base_path, plan.instant)});
  }
  return avro::WriteContainer(RestoreMetadataSchema(),
                              ordered_json{{"startRestoreTime", plan.instant},
                                           {"timeTakenInMillis", 0},
                                           {"instantsToRollback", std::move(instants)},
                                           {"hoodieRestoreMetadata", std::move(rollbacks)},
                                           {"version", 1},
                                           {"restoreInstantInfo", InstantsJson(plan)}}
                                  .dump());
}

}  // namespace tarn::hudi
