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

/// A record of the archive, in Avro.
Result<std::string> EntryOf(const storage::Storage& storage, const std::string& path, const std::string& file,
                            const std::string& instant, const std::string& action) {
  const std::string state = StateOf(file);
  ordered_json entry{{"commitTime", instant},
                     {"actionType", action},
                     {"version", 1},
                     {"actionState", state},
                     {"stateTransitionTime", instant}};
  TARN_ASSIGN(const std::string bytes, storage.Read(path));
  if (state == "COMPLETED" && IsCommitAction(action) && action != "replacecommit") {
    const ordered_json commit = ordered_json::parse(bytes, nullptr, false);
    if (commit.is_object()) entry["hoodieCommitMetadata"] = CommitForArchive(commit);
  } else if (state == "COMPLETED" && (action == "clean" || action == "rollback")) {
    TARN_ASSIGN(const auto records, avro::ReadContainer(bytes));
    if (!records.empty()) {
      entry[action == "clean" ? "hoodieCleanMetadata" : "hoodieRollbackMetadata"] =
          ordered_json::parse(records[0]);
    }
  }
  return avro::EncodeJson(ArchivedEntrySchema(), entry.dump());
}

/// Replacecommits of which a file group still has files.
Result<std::set<std::string>> Replacing(const storage::Storage& storage, const std::string& base_path,
                                        const Timeline& timeline) {
  std::set<std::string> replacing;
  TARN_ASSIGN(const auto replaced, ReplacedGroups(storage, base_path, timeline, ""));
  if (replaced.empty()) return replacing;
  TARN_ASSIGN(const FileView view, FileView::Load(storage, base_path));
  for (const auto& [partition, groups] : view.partitions()) {
    for (const auto& [file_id, group] : groups) {
      if (const auto at = replaced.find(file_id); at != replaced.end()) replacing.insert(at->second);
    }
  }
  return replacing;
}

/// Instants to move, oldest first: nothing from the oldest pending one on, nor from the oldest savepoint on,
/// for a restore must find what came after it. The newest clean stays until a commit after it has repeated
/// what history is left. `replacing`: replacecommits without which old files would count again.
std::vector<std::string> Archivable(const Timeline& timeline, const ServiceOptions& options,
                                    const std::set<std::string>& replacing) {
  const auto keep = static_cast<size_t>(std::max(options.keep_active_instants, 2));
  std::string barrier;
  if (auto it = timeline.completed.rbegin(); it->second == "clean") barrier = it->first;
  for (const PendingAction& pending : timeline.pending) {
    if (barrier.empty() || pending.instant < barrier) barrier = pending.instant;
  }
  std::vector<std::string> instants;
  for (const auto& [instant, action] : timeline.completed) {
    if (timeline.completed.size() - instants.size() <= keep) break;
    if (!barrier.empty() && instant >= barrier) break;
    if (timeline.savepoints.contains(instant) || replacing.contains(instant)) break;
    instants.push_back(instant);
  }
  return instants;
}

/// One block with a record for each file of these instants: the schema, which is long, stands there once.
Status AppendArchived(const storage::Storage& storage, const std::string& hoodie, const Timeline& timeline,
                      const std::vector<std::string>& instants, std::string* content) {
  AvroBlockWriter writer({{kHeaderSchema, ArchivedEntrySchema()}}, content);
  for (const std::string& instant : instants) {
    for (const std::string& file : timeline.files.at(instant)) {
      TARN_ASSIGN(const std::string record,
                  EntryOf(storage, hoodie + "/" + file, file, instant, timeline.completed.at(instant)));
      writer.BeginRecord();
      content->append(record);
      writer.EndRecord();
    }
  }
  writer.End();
  return {};
}

/// Files of the archive, by number.
Result<std::map<int, std::string>> ArchiveFiles(const storage::Storage& storage, const std::string& folder) {
  TARN_ASSIGN(const auto entries, storage.List(folder));
  std::map<int, std::string> files;
  for (const auto& entry : entries) {
    int number = 0;
    if (std::sscanf(entry.name.c_str(), ".commits_.archive.%d_", &number) == 1)
      files[number] = folder + "/" + entry.name;
  }
  return files;
}

/// The newest instant in a file of the archive, which has them in order; empty when nothing tells.
Result<std::string> NewestIn(const storage::Storage& storage, const std::string& path) {
  TARN_ASSIGN(const std::string bytes, storage.Read(path));
  TARN_ASSIGN(const auto blocks, ParseBlocks(bytes, path));
  if (blocks.empty() || blocks.back().type != BlockType::kAvro) return std::string();
  TARN_ASSIGN(const auto records, AvroRecords(blocks.back().content, path));
  if (records.empty()) return std::string();
  TARN_ASSIGN(const std::string text, avro::DecodeJson(blocks.back().schema, records.back()));
  const auto entry = ordered_json::parse(text, nullptr, false);
  return entry.is_object() ? entry.value("commitTime", "") : "";
}

/// Removes files of the archive that have no instant that can still be read, but for the newest one: that
/// something was archived must stay known.
Status ForgetBefore(storage::Storage& storage, const std::map<int, std::string>& files,
                    const std::string& horizon) {
  for (auto file = files.begin(); file != files.end() && std::next(file) != files.end(); ++file) {
    TARN_ASSIGN(const std::string newest, NewestIn(storage, file->second));
    if (newest.empty() || newest >= horizon) break;
    TARN_RETURN_IF_ERROR(storage.Remove(file->second));
  }
  return {};
}

}  // namespace

Result<int64_t> HudiTable::Archive(const std::string& now_instant, const ServiceOptions& options) {
  TARN_RETURN_IF_ERROR(ParseInstant(now_instant));
  TARN_ASSIGN(const auto lock, LockForService());
  TARN_ASSIGN(const Timeline timeline, ReadTimeline(*storage_, base_path_));
  if (timeline.completed.size() <= 2 * static_cast<size_t>(std::max(options.keep_active_instants, 2)))
    return 0;
  TARN_ASSIGN(const auto replacing, Replacing(*storage_, base_path_, timeline));
  const std::vector<std::string> instants = Archivable(timeline, options, replacing);
  if (instants.empty()) return 0;
  const std::string folder = HoodiePath("archived");
  TARN_ASSIGN(const auto files, ArchiveFiles(*storage_, folder));
  const auto path_of = [&](int number) {
    return fmt::format("{}/.commits_.archive.{}_1-0-1", folder, number);
  };
  std::string path = files.empty() ? path_of(1) : files.rbegin()->second;
  std::string content;
  if (!files.empty()) {
    TARN_ASSIGN(content, storage_->Read(path));
  }
  if (content.size() >= kMostArchiveBytes) {
    TARN_RETURN_IF_ERROR(ForgetBefore(*storage_, files, horizon_));
    content.clear();
    path = path_of(files.rbegin()->first + 1);
  }
  TARN_RETURN_IF_ERROR(AppendArchived(*storage_, base_path_ + "/.hoodie", timeline, instants, &content));
  TARN_FAULT_POINT("hudi.archive.before_file");
  TARN_RETURN_IF_ERROR(storage_->Write(path, content));
  TARN_FAULT_POINT("hudi.archive.after_file");
  for (const std::string& instant : instants) {
    std::vector<std::string> names = timeline.files.at(instant);
    // Without its completed file an instant would look failed: that one goes last.
    std::stable_partition(names.begin(), names.end(),
                          [](const auto& name) { return StateOf(name) != "COMPLETED"; });
    for (const std::string& name : names) TARN_RETURN_IF_ERROR(storage_->Remove(HoodiePath(name)));
    TARN_FAULT_POINT("hudi.archive.after_instant");
  }
  return static_cast<int64_t>(instants.size());
}

}  // namespace tarn::hudi
