#include <algorithm>
#include <nlohmann/json.hpp>

#include "avro/container.h"
#include "base/fault.h"
#include "hudi/hudi_table.h"
#include "hudi/log_block.h"
#include "hudi/service_schema.h"

namespace tarn::hudi {
namespace {

using nlohmann::ordered_json;

constexpr int32_t kHeaderSchema = 2;
/// A larger archive file is left alone and the next one begun.
constexpr size_t kMostArchiveBytes = 4 << 20;

std::string StateOf(const std::string& file) {
  if (file.ends_with(".requested")) return "REQUESTED";
  if (file.ends_with("inflight")) return "INFLIGHT";
  return "COMPLETED";
}

/// The commit's JSON as HoodieCommitMetadata, whose Avro form is narrower.
ordered_json CommitForArchive(const ordered_json& commit) {
  ordered_json out = commit;
  for (auto& [partition, stats] : out["partitionToWriteStats"].items()) {
    for (auto& stat : stats) {
      ordered_json kept = ordered_json::object();
      for (const char* key : {"fileId", "path", "prevCommit", "numWrites", "numDeletes", "numUpdateWrites",
                              "totalWriteBytes", "totalWriteErrors", "partitionPath", "totalLogRecords",
                              "totalUpdatedRecordsCompacted", "numInserts", "totalLogBlocks",
                              "totalCorruptLogBlock", "totalRollbackBlocks", "fileSizeInBytes"}) {
        if (stat.contains(key)) kept[key] = stat[key];
      }
      stat = std::move(kept);
    }
  }
  out["version"] = 1;
  return out;
}

Result<std::string> EntryOf(const storage::Storage& storage, const std::string& path, const std::string& file,
                            const std::string& instant, const std::string& action) {
  const std::string state = StateOf(file);
  ordered_json entry{{"commitTime", instant},
                     {"actionType", action},
                     {"version", 1},
                     {"actionState", state},
                     {"stateTransitionTime", instant}};
  TARN_ASSIGN(const std::string bytes, storage.Read(path));
  if (state == "COMPLETED" && IsCommitAction(action)) {
    const ordered_json commit = ordered_json::parse(bytes, nullptr, false);
    if (commit.is_object()) entry["hoodieCommitMetadata"] = CommitForArchive(commit);
  } else if (state == "COMPLETED" && (action == "clean" || action == "rollback")) {
    TARN_ASSIGN(const auto records, avro::ReadContainer(bytes));
    if (!records.empty()) {
      entry[action == "clean" ? "hoodieCleanMetadata" : "hoodieRollbackMetadata"] =
          ordered_json::parse(records[0]);
    }
  }
  TARN_ASSIGN(const std::string record, avro::EncodeJson(ArchivedEntrySchema(), entry.dump()));
  std::string block;
  AvroBlockWriter writer({{kHeaderSchema, ArchivedEntrySchema()}}, &block);
  writer.BeginRecord();
  block.append(record);
  writer.EndRecord();
  writer.End();
  return block;
}

/// Instants to move, oldest first: nothing from the oldest pending one on, nor from the oldest savepoint on,
/// for a restore must find what came after it. The newest clean stays until a commit after it has repeated
/// what history is left.
std::vector<std::string> Archivable(const Timeline& timeline, const ServiceOptions& options) {
  const auto keep = static_cast<size_t>(std::max(options.keep_active_instants, 2));
  if (timeline.completed.size() <= keep * 2) return {};
  std::string barrier;
  if (auto it = timeline.completed.rbegin(); it->second == "clean") barrier = it->first;
  for (const PendingAction& pending : timeline.pending) {
    if (barrier.empty() || pending.instant < barrier) barrier = pending.instant;
  }
  std::vector<std::string> instants;
  for (const auto& [instant, action] : timeline.completed) {
    if (timeline.completed.size() - instants.size() <= keep) break;
    if (!barrier.empty() && instant >= barrier) break;
    if (timeline.savepoints.contains(instant) || action == "replacecommit") break;
    instants.push_back(instant);
  }
  return instants;
}

}  // namespace

Result<int64_t> HudiTable::Archive(const std::string& now_instant, const ServiceOptions& options) {
  TARN_RETURN_IF_ERROR(ParseInstant(now_instant));
  TARN_ASSIGN(const Timeline timeline, ReadTimeline(*storage_, base_path_));
  const std::vector<std::string> instants = Archivable(timeline, options);
  if (instants.empty()) return 0;
  const std::string folder = HoodiePath("archived");
  TARN_ASSIGN(const auto entries, storage_->List(folder));
  int number = 1;
  std::string content;
  for (const auto& entry : entries) {
    int found = 0;
    if (std::sscanf(entry.name.c_str(), ".commits_.archive.%d_", &found) == 1)
      number = std::max(number, found);
  }
  const auto name = [&] { return folder + "/.commits_.archive." + std::to_string(number) + "_1-0-1"; };
  auto present = storage_->Read(name());
  if (!present && present.error().code != ErrorCode::kNotFound) return present.error();
  if (present && present->size() < kMostArchiveBytes)
    content = std::move(*present);
  else if (present)
    number++;
  for (const std::string& instant : instants) {
    std::vector<std::string> files = timeline.files.at(instant);
    for (const std::string& file : files) {
      TARN_ASSIGN(const std::string block,
                  EntryOf(*storage_, HoodiePath(file), file, instant, timeline.completed.at(instant)));
      content += block;
    }
  }
  TARN_FAULT_POINT("hudi.archive.before_file");
  TARN_RETURN_IF_ERROR(storage_->Write(name(), content));
  TARN_FAULT_POINT("hudi.archive.after_file");
  for (const std::string& instant : instants) {
    std::vector<std::string> files = timeline.files.at(instant);
    // Without its completed file an instant would look failed: that one goes last.
    std::stable_partition(files.begin(), files.end(),
                          [](const auto& file) { return StateOf(file) != "COMPLETED"; });
    for (const std::string& file : files) TARN_RETURN_IF_ERROR(storage_->Remove(HoodiePath(file)));
    TARN_FAULT_POINT("hudi.archive.after_instant");
  }
  return static_cast<int64_t>(instants.size());
}

}  // namespace tarn::hudi
