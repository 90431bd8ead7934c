#include "hudi/savepoint.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "avro/container.h"
#include "base/clock.h"
#include "base/fault.h"
#include "hudi/decoded_log.h"
#include "hudi/file_name.h"
#include "hudi/file_view.h"
#include "hudi/horizon.h"
#include "hudi/hudi_table.h"
#include "hudi/log_block.h"
#include "hudi/properties.h"
#include "hudi/service_schema.h"
#include "hudi/slice.h"

namespace tarn::hudi {
namespace {

using nlohmann::ordered_json;

constexpr const char* kAction = "savepoint";

std::string PathOf(const std::string& base_path, const std::string& instant, const char* state) {
  return base_path + "/.hoodie/" + TimelineFileName(instant, kAction, state);
}

std::string ToJson(const Savepoint& savepoint) {
  ordered_json partitions = ordered_json::object();
  for (const auto& [partition, names] : savepoint.files)
    partitions[partition] = {{"partitionPath", partition}, {"savepointDataFile", names}};
  return ordered_json{{"savepointedBy", savepoint.user},
                      {"savepointedAt", savepoint.created_micros / 1000},
                      {"comments", savepoint.comment},
                      {"partitionMetadata", std::move(partitions)},
                      {"version", 1}}
      .dump();
}

Result<Savepoint> ReadSavepoint(const storage::Storage& storage, const std::string& path,
                                const std::string& instant) {
  TARN_ASSIGN(const std::string bytes, storage.Read(path));
  const auto json = FirstRecord(bytes);
  if (!json) return Error(json.error()).In(path);
  Savepoint savepoint;
  savepoint.instant = instant;
  try {
    savepoint.user = json->at("savepointedBy");
    savepoint.comment = json->at("comments");
    savepoint.created_micros = json->at("savepointedAt").get<int64_t>() * 1000;
    for (const auto& [partition, metadata] : json->at("partitionMetadata").items())
      savepoint.files[partition] = metadata.at("savepointDataFile");
  } catch (const nlohmann::json::exception& error) {
    return MakeError(ErrorCode::kCorrupt, "savepoint '{}' cannot be read: {}", path, error.what());
  }
  return savepoint;
}

/// Whether a log has anything of commits up to `instant`.
Result<bool> HasBlockOf(const storage::Storage& storage, const std::string& path,
                        const std::string& instant) {
  TARN_ASSIGN(const std::string bytes, storage.Read(path));
  const auto blocks = ParseBlocks(bytes, path);
  if (!blocks) return false;
  return std::any_of(blocks->begin(), blocks->end(),
                     [&](const LogBlock& block) { return block.instant <= instant; });
}

/// Names the files that a reader of the savepoint's instant reads.
Status NameFiles(const storage::Storage& storage, const std::string& base_path, const Timeline& timeline,
                 Savepoint* savepoint) {
  const std::string& instant = savepoint->instant;
  TARN_ASSIGN(const auto replaced, ReplacedGroups(storage, base_path, timeline, instant));
  TARN_ASSIGN(const FileView view, FileView::Load(storage, base_path));
  for (const auto& [partition, groups] : view.partitions()) {
    for (const auto& [file_id, group] : groups) {
      const auto slice = ChooseSlice(group, timeline, instant);
      if (!slice || replaced.contains(file_id)) continue;
      auto& names = savepoint->files[partition];
      if (slice->base != nullptr) names.push_back(slice->base->name);
      for (const LogFile* log : slice->logs) {
        const std::string path = JoinPath(JoinPath(base_path, partition), log->name);
        TARN_ASSIGN(const bool is_of, HasBlockOf(storage, path, instant));
        if (is_of) names.push_back(log->name);
      }
      if (names.empty()) savepoint->files.erase(partition);
    }
  }
  return {};
}

Status CheckMayKeep(const storage::Storage& storage, const std::string& base_path, const Timeline& timeline,
                    const std::string& instant) {
  const auto commit = timeline.completed.find(instant);
  if (commit == timeline.completed.end() || !IsCommitAction(commit->second)) {
    const auto commits = timeline.Commits();
    return MakeError(
        ErrorCode::kNotFound, "'{}' has no completed commit at {} in its active timeline, which {}",
        base_path, instant,
        commits.empty() ? "has none" : fmt::format("goes from {} to {}", commits.front(), commits.back()));
  }
  if (timeline.savepoints.contains(instant))
    return MakeError(ErrorCode::kAlreadyExists, "'{}' has a savepoint at {} already", base_path, instant);
  TARN_ASSIGN(const std::string horizon, ReadHorizon(storage, base_path, timeline));
  if (instant >= horizon) return {};
  return MakeError(
      ErrorCode::kNotFound,
      "'{}' at {} cannot be kept: cleaning took files from before {}; take that or a later commit", base_path,
      instant, horizon);
}

}  // namespace

Result<std::vector<Savepoint>> ReadSavepoints(const storage::Storage& storage, const std::string& base_path,
                                              const Timeline& timeline) {
  std::vector<Savepoint> savepoints;
  for (const std::string& instant : timeline.savepoints) {
    const auto& names = timeline.files.at(instant);
    const auto name = std::find_if(names.begin(), names.end(),
                                   [](const auto& file) { return file.ends_with(".savepoint"); });
    TARN_ASSIGN(auto savepoint,
                ReadSavepoint(storage, base_path + "/.hoodie/" + timeline.StatePath(*name), instant));
    savepoints.push_back(std::move(savepoint));
  }
  return savepoints;
}

Result<std::set<std::string>> SavepointFiles(const storage::Storage& storage, const std::string& base_path,
                                             const Timeline& timeline) {
  TARN_ASSIGN(const auto savepoints, ReadSavepoints(storage, base_path, timeline));
  std::set<std::string> kept;
  for (const Savepoint& savepoint : savepoints) {
    for (const auto& [partition, names] : savepoint.files) kept.insert(names.begin(), names.end());
  }
  return kept;
}

Result<Savepoint> WriteSavepoint(storage::Storage& storage, const std::string& base_path,
                                 const std::string& instant, const std::string& user,
                                 const std::string& comment) {
  TARN_ASSIGN(const Properties properties, ReadProperties(storage, base_path));
  TARN_RETURN_IF_ERROR(OptionsOf(properties, true));
  TARN_ASSIGN(const Timeline timeline, ReadTimeline(storage, base_path));
  Savepoint savepoint{instant.empty() ? timeline.NewestCommit("") : instant, user, comment, 0, {}};
  if (savepoint.instant.empty())
    return MakeError(ErrorCode::kNotFound, "'{}' has no commit yet that could be kept", base_path);
  TARN_RETURN_IF_ERROR(CheckMayKeep(storage, base_path, timeline, savepoint.instant));
  TARN_RETURN_IF_ERROR(NameFiles(storage, base_path, timeline, &savepoint));
  savepoint.created_micros = Clock::System().NowMicros() / 1000 * 1000;
  TARN_ASSIGN(const std::string bytes, avro::WriteContainer(SavepointMetadataSchema(), ToJson(savepoint)));
  TARN_FAULT_POINT("hudi.savepoint.before_inflight");
  // One that is there already is of a savepoint that was cut off.
  const Status begun = storage.PutIfAbsent(PathOf(base_path, savepoint.instant, "inflight"), "");
  if (!begun && begun.error().code != ErrorCode::kAlreadyExists) return begun.error();
  TARN_FAULT_POINT("hudi.savepoint.after_inflight");
  TARN_RETURN_IF_ERROR(storage.PutIfAbsent(PathOf(base_path, savepoint.instant, ""), bytes));
  TARN_FAULT_POINT("hudi.savepoint.after_complete");
  return savepoint;
}

Status RemoveSavepoint(storage::Storage& storage, const std::string& base_path, const std::string& instant) {
  TARN_ASSIGN(const Properties properties, ReadProperties(storage, base_path));
  TARN_RETURN_IF_ERROR(OptionsOf(properties, true));
  TARN_ASSIGN(const Timeline timeline, ReadTimeline(storage, base_path));
  const bool is_begun = storage.Exists(PathOf(base_path, instant, "inflight"));
  if (!timeline.savepoints.contains(instant) && !is_begun) {
    return MakeError(
        ErrorCode::kNotFound, "'{}' has no savepoint at {}; it has {}", base_path, instant,
        timeline.savepoints.empty() ? "none" : fmt::format("{}", fmt::join(timeline.savepoints, ", ")));
  }
  TARN_RETURN_IF_ERROR(storage.Remove(PathOf(base_path, instant, "")));
  TARN_FAULT_POINT("hudi.savepoint.after_removed");
  return storage.Remove(PathOf(base_path, instant, "inflight"));
}

Result<Savepoint> HudiTable::CreateSavepoint(const std::string& instant, const std::string& user,
                                             const std::string& comment) {
  TARN_RETURN_IF_ERROR(Settle());
  TARN_ASSIGN(const auto lock, LockForService());
  return WriteSavepoint(*storage_, base_path_, instant, user, comment);
}

Status HudiTable::DeleteSavepoint(const std::string& instant) {
  TARN_RETURN_IF_ERROR(Settle());
  TARN_ASSIGN(const auto lock, LockForService());
  return RemoveSavepoint(*storage_, base_path_, instant);
}

Result<std::vector<Savepoint>> HudiTable::ListSavepoints() const {
  TARN_ASSIGN(const Timeline timeline, ReadTimeline(*storage_, base_path_));
  return ReadSavepoints(*storage_, base_path_, timeline);
}

}  // namespace tarn::hudi
