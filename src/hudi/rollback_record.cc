#include "hudi/rollback_record.h"

#include <nlohmann/json.hpp>

#include "hudi/commit_metadata.h"
#include "hudi/file_name.h"

namespace tarn::hudi {

using nlohmann::ordered_json;

ordered_json RollbackPlanJson(const InstantAction& failed, const FilesByPartition& files,
                              const std::string& base_path) {
  ordered_json requests = ordered_json::array();
  for (const auto& [partition, names] : files) {
    ordered_json paths = ordered_json::array();
    for (const std::string& name : names) paths.push_back(JoinPath(JoinPath(base_path, partition), name));
    requests.push_back({{"partitionPath", partition},
                        {"fileId", ""},
                        {"latestBaseInstant", ""},
                        {"filesToBeDeleted", std::move(paths)},
                        {"logBlocksToBeDeleted", ordered_json::object()}});
  }
  return ordered_json{{"instantToRollback", {{"commitTime", failed.first}, {"action", failed.second}}},
                      {"RollbackRequests", std::move(requests)}};
}

ordered_json RollbackMetadataJson(const InstantAction& failed, const FilesByPartition& files,
                                  const std::string& base_path, const std::string& rollback) {
  ordered_json partitions = ordered_json::object();
  int64_t count = 0;
  for (const auto& [partition, names] : files) {
    ordered_json paths = ordered_json::array();
    for (const std::string& name : names) paths.push_back(JoinPath(JoinPath(base_path, partition), name));
    count += static_cast<int64_t>(names.size());
    partitions[partition] = {{"partitionPath", partition},
                             {"successDeleteFiles", std::move(paths)},
                             {"failedDeleteFiles", ordered_json::array()},
                             {"rollbackLogFiles", ordered_json::object()},
                             {"logFilesFromFailedCommit", ordered_json::object()}};
  }
  return ordered_json{
      {"startRollbackTime", rollback},
      {"timeTakenInMillis", 0},
      {"totalFilesDeleted", count},
      {"commitsRollback", ordered_json::array({failed.first})},
      {"partitionMetadata", std::move(partitions)},
      {"instantsRollback",
       ordered_json::array({ordered_json{{"commitTime", failed.first}, {"action", failed.second}}})}};
}

Result<bool> ToldFiles::Has(const std::string& name) {
  if (!names_) {
    std::set<std::string> names;
    for (const std::string& instant : timeline_.Commits()) {
      if (!newest_.empty() && instant > newest_) break;
      const std::string file = timeline_.CompletedPath(instant);
      TARN_ASSIGN(const std::string text, storage_.Read(base_path_ + "/.hoodie/" + file));
      TARN_ASSIGN(const CommitMetadata commit, ParseCommit(text, file));
      for (const WriteStat& stat : commit.stats) names.insert(stat.path.substr(stat.path.rfind('/') + 1));
    }
    names_ = std::move(names);
  }
  return names_->contains(name);
}

}  // namespace tarn::hudi
