#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "avro/container.h"
#include "hudi/file_name.h"
#include "hudi/file_view.h"
#include "hudi/log_block.h"
#include "hudi/service_schema.h"
#include "hudi/table_history.h"
#include "hudi/timeline.h"

namespace tarn::hudi {

/// For tests: a table as another writer leaves it that plans a compaction of all file groups, and then makes
/// one commit, whose logs carry the plan's instant. The table is closed afterwards. Gives the plan's instant.
inline std::string PlanAsOthersDo(History& history, const std::function<void(History&)>& commit) {
  using nlohmann::ordered_json;
  storage::Storage& storage = history.storage();
  ordered_json operations = ordered_json::array();
  const auto before = FileView::Load(storage, history.base());
  for (const auto& [partition, groups] : before->partitions()) {
    for (const auto& [file_id, group] : groups) {
      const auto& [instant, base] = *group.bases.rbegin();
      ordered_json logs = ordered_json::array();
      if (group.logs.contains(instant)) {
        for (const LogFile& log : group.logs.at(instant)) logs.push_back(log.name);
      }
      if (logs.empty()) continue;
      operations.push_back({{"baseInstantTime", instant},
                            {"deltaFilePaths", std::move(logs)},
                            {"dataFilePath", base.name},
                            {"fileId", file_id},
                            {"partitionPath", partition}});
    }
  }
  EXPECT_FALSE(operations.empty());
  const std::string plan = history.Next();
  commit(history);
  const std::string behind = history.table().LastInstant();
  EXPECT_TRUE(history.table().Close());
  const std::string file = history.base() + "/.hoodie/" + behind + ".deltacommit";
  std::string metadata = *storage.Read(file);
  const auto after = FileView::Load(storage, history.base());
  for (const auto& operation : operations) {
    const std::string partition = operation["partitionPath"], file_id = operation["fileId"];
    const std::string base_instant = operation["baseInstantTime"];
    const std::string folder = JoinPath(history.base(), partition) + "/";
    const LogFile& log = after->partitions().at(partition).at(file_id).logs.at(base_instant).back();
    const std::string bytes = *storage.Read(folder + log.name);
    if (ParseBlocks(bytes, log.name)->front().instant != behind) continue;
    const std::string name = FormatLogFileName(file_id, plan, 1, log.token);
    EXPECT_TRUE(storage.Write(folder + name, bytes) && storage.Remove(folder + log.name));
    for (size_t at = 0; (at = metadata.find(log.name)) != std::string::npos;)
      metadata.replace(at, log.name.size(), name);
  }
  EXPECT_TRUE(storage.Write(file, metadata));
  const auto bytes = avro::WriteContainer(
      CompactionPlanSchema(),
      ordered_json{{"operations", std::move(operations)}, {"version", 2}, {"preserveHoodieMetadata", true}}
          .dump());
  EXPECT_TRUE(storage.Write(history.base() + "/.hoodie/" + plan + ".compaction.requested", *bytes));
  return plan;
}

}  // namespace tarn::hudi
