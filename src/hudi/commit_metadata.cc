#include "hudi/commit_metadata.h"

#include <nlohmann/json.hpp>

#include "avro/container.h"
#include "hudi/file_name.h"

namespace tarn::hudi {
namespace {

using nlohmann::ordered_json;

ordered_json StatJson(const WriteStat& stat) {
  ordered_json json{{"fileId", stat.file_id},
                    {"path", stat.path},
                    {"cdcStats", nullptr},
                    {"prevCommit", stat.prev_commit},
                    {"numWrites", stat.writes},
                    {"numDeletes", stat.deletes},
                    {"numUpdateWrites", stat.updates},
                    {"numInserts", stat.inserts},
                    {"totalWriteBytes", stat.bytes},
                    {"totalWriteErrors", 0},
                    {"tempPath", nullptr},
                    {"partitionPath", stat.partition},
                    {"totalLogRecords", stat.log_records},
                    {"totalLogFilesCompacted", stat.logs_compacted},
                    {"totalLogSizeCompacted", stat.log_bytes_compacted},
                    {"totalUpdatedRecordsCompacted", stat.log_records},
                    {"totalLogBlocks", stat.logs_compacted},
                    {"totalCorruptLogBlock", 0},
                    {"totalRollbackBlocks", 0},
                    {"fileSizeInBytes", stat.bytes},
                    {"minEventTime", nullptr},
                    {"maxEventTime", nullptr},
                    {"runtimeStats", nullptr}};
  if (stat.is_log) {
    json["logVersion"] = stat.log_version;
    json["logOffset"] = 0;
    json["baseFile"] = stat.base_file;
    json["logFiles"] = stat.log_files;
  }
  return json;
}

std::string Text(const ordered_json& json, const char* key) {
  const auto it = json.find(key);
  return it != json.end() && it->is_string() ? it->get<std::string>() : std::string();
}

int64_t Number(const ordered_json& json, const char* key) {
  const auto it = json.find(key);
  return it != json.end() && it->is_number_integer() ? it->get<int64_t>() : 0;
}

WriteStat ParseStat(const ordered_json& json, const std::string& partition) {
  WriteStat stat;
  stat.partition = partition;
  stat.file_id = Text(json, "fileId");
  stat.path = Text(json, "path");
  stat.prev_commit = Text(json, "prevCommit");
  stat.writes = Number(json, "numWrites");
  stat.inserts = Number(json, "numInserts");
  stat.updates = Number(json, "numUpdateWrites");
  stat.deletes = Number(json, "numDeletes");
  stat.bytes = Number(json, "fileSizeInBytes");
  stat.base_file = Text(json, "baseFile");
  const auto logs = json.find("logFiles");
  stat.is_log = logs != json.end() && logs->is_array();
  if (stat.is_log) {
    for (const auto& log : *logs) {
      if (log.is_string()) stat.log_files.push_back(log);
    }
  }
  return stat;
}

}  // namespace

std::string FormatCommit(const CommitMetadata& commit) {
  ordered_json partitions = ordered_json::object();
  for (const WriteStat& stat : commit.stats) {
    auto& list = partitions[stat.partition];
    if (list.is_null()) list = ordered_json::array();
    list.push_back(StatJson(stat));
  }
  ordered_json json{{"partitionToWriteStats", std::move(partitions)},
                    {"compacted", commit.compacted},
                    {"extraMetadata", commit.extra},
                    {"operationType", commit.operation}};
  if (!commit.replaced_groups.empty()) json["partitionToReplaceFileIds"] = commit.replaced_groups;
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace);
}

Result<CommitMetadata> ParseCommit(const std::string& text, const std::string& name) {
  ordered_json json;
  if (text.starts_with("Obj\x01")) {
    // Version 8 on: the same fields, as an Avro record.
    auto records = avro::ReadContainer(text);
    if (!records) return std::move(records).error().In(name);
    if (!records->empty()) json = ordered_json::parse(records->front(), nullptr, false);
  } else {
    json = ordered_json::parse(text, nullptr, false);
  }
  if (!json.is_object()) return MakeError(ErrorCode::kCorrupt, "commit '{}' is not a JSON object", name);
  CommitMetadata commit;
  commit.operation = Text(json, "operationType");
  commit.compacted = json.value("compacted", ordered_json()) == ordered_json(true);
  if (const auto it = json.find("partitionToWriteStats"); it != json.end() && it->is_object()) {
    for (const auto& [partition, stats] : it->items()) {
      for (const auto& stat : stats) {
        if (stat.is_object()) commit.stats.push_back(ParseStat(stat, partition));
      }
    }
  }
  if (const auto it = json.find("extraMetadata"); it != json.end() && it->is_object()) {
    for (const auto& [key, value] : it->items()) {
      if (value.is_string()) commit.extra[key] = value;
    }
  }
  if (const auto it = json.find("partitionToReplaceFileIds"); it != json.end() && it->is_object()) {
    for (const auto& [partition, ids] : it->items()) {
      for (const auto& id : ids) {
        if (id.is_string()) commit.replaced_groups[partition].push_back(id);
      }
    }
  }
  return commit;
}

}  // namespace tarn::hudi
