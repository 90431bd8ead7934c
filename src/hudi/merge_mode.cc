#include <nlohmann/json.hpp>
#include <sstream>

#include "hudi/merge_rules.h"
#include "hudi/properties.h"

namespace tarn::hudi {
namespace {

using Winner = MergeRules::Winner;
using Fill = MergeRules::Fill;

constexpr const char* kEventTimeStrategy = "eeb8d96f-b1e4-49fd-bbf8-28ac514178e5";
constexpr const char* kCommitTimeStrategy = "ce9acb64-bde0-424c-9b91-f6ebba25356d";
/// What later versions put before a property of the payload that the table once had.
constexpr const char* kMergeProperty = "hoodie.record.merge.property.";

std::string Get(const Properties& properties, const std::string& key) {
  const auto found = properties.find(key);
  return found == properties.end() ? "" : found->second;
}

std::string MergeProperty(const Properties& properties, const std::string& key) {
  const std::string later = Get(properties, kMergeProperty + key);
  return later.empty() ? Get(properties, key) : later;
}

Error Unknown(const char* property, const std::string& value) {
  return MakeError(
      ErrorCode::kUnsupported,
      "{} is '{}', whose way of merging rows only its own code knows: compact the table and read "
      "it with --read-optimized",
      property, value);
}

/// By the simple name of the payload class, for tables before version 9.
Status UsePayload(const std::string& payload, bool before_8, MergeRules* rules) {
  const std::string name = payload.substr(payload.rfind('.') + 1);
  if (name == "OverwriteWithLatestAvroPayload" || name == "AWSDmsAvroPayload") {
    rules->winner = before_8 ? Winner::kOrderingInLogs : Winner::kArrival;
    if (name == "AWSDmsAvroPayload") {
      rules->delete_field = "Op";
      rules->delete_marker = "D";
    }
  } else if (name == "OverwriteNonDefaultsWithLatestAvroPayload") {
    rules->winner = before_8 ? Winner::kOrderingInLogs : Winner::kArrival;
    rules->fill = before_8 ? Fill::kWhereNullOfBase : Fill::kWhereNull;
  } else if (name == "PartialUpdateAvroPayload") {
    rules->fill = Fill::kWhereNull;
    rules->meta_of_latest = true;
  } else if (name != "DefaultHoodieRecordPayload" && name != "EventTimeAvroPayload") {
    return Unknown("hoodie.compaction.payload.class", payload);
  }
  return {};
}

/// By hoodie.table.partial.update.mode, of version 9.
Status UsePartialMode(const Properties& properties, MergeRules* rules) {
  const std::string mode = Get(properties, "hoodie.table.partial.update.mode");
  if (mode == "IGNORE_DEFAULTS") {
    rules->fill = Fill::kWhereNull;
  } else if (mode == "FILL_UNAVAILABLE") {
    rules->fill = Fill::kWhereMarked;
    rules->unavailable = MergeProperty(properties, "hoodie.payload.partial.update.custom.marker");
    if (rules->unavailable.empty())
      rules->unavailable = MergeProperty(properties, "partial.update.custom.marker");
    if (rules->unavailable.empty()) rules->unavailable = "__debezium_unavailable_value";
  } else if (!mode.empty() && mode != "NONE" && mode != "KEEP_VALUES") {
    return Unknown("hoodie.table.partial.update.mode", mode);
  }
  return {};
}

}  // namespace

Result<MergeRules> MergeRulesOf(const Properties& properties) {
  MergeRules rules;
  rules.widens_floats_by_text = !properties.contains("tarn.identity.fields");
  const std::string version = Get(properties, "hoodie.table.version");
  std::string ordering = Get(properties, "hoodie.table.ordering.fields");
  if (ordering.empty()) ordering = Get(properties, "hoodie.table.precombine.field");
  std::stringstream stream(ordering);
  for (std::string name; std::getline(stream, name, ',');) rules.ordering_fields.push_back(name);
  if (Get(properties, "hoodie.populate.meta.fields") == "false") {
    std::stringstream keys(Get(properties, "hoodie.table.recordkey.fields"));
    for (std::string name; std::getline(keys, name, ',');) rules.key_fields.push_back(name);
  }
  rules.delete_field = MergeProperty(properties, "hoodie.payload.delete.field");
  rules.delete_marker = MergeProperty(properties, "hoodie.payload.delete.marker");
  if (Get(properties, "hoodie.table.type") == "COPY_ON_WRITE") return rules;
  const std::string payload = Get(properties, "hoodie.compaction.payload.class");
  const std::string mode = Get(properties, "hoodie.record.merge.mode");
  std::string strategy = Get(properties, "hoodie.record.merge.strategy.id");
  if (strategy.empty()) strategy = Get(properties, "hoodie.compaction.record.merger.strategy");
  if (mode == "COMMIT_TIME_ORDERING") {
    rules.winner = Winner::kArrival;
  } else if (mode.empty() || mode == "CUSTOM") {
    // Merging is the payload's, unless the table has a merger of somebody's own.
    if (!payload.empty()) {
      TARN_RETURN_IF_ERROR(UsePayload(payload, version == "6", &rules));
    } else if (mode == "CUSTOM") {
      return Unknown("hoodie.record.merge.strategy.id", strategy);
    } else if (strategy == kCommitTimeStrategy) {
      rules.winner = Winner::kArrival;
    } else if (!strategy.empty() && strategy != kEventTimeStrategy) {
      return Unknown("hoodie.compaction.record.merger.strategy", strategy);
    }
  } else if (mode != "EVENT_TIME_ORDERING") {
    return Unknown("hoodie.record.merge.mode", mode);
  }
  TARN_RETURN_IF_ERROR(UsePartialMode(properties, &rules));
  if (rules.ordering_fields.empty()) rules.winner = Winner::kArrival;
  return rules;
}

}  // namespace tarn::hudi
