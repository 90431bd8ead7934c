#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "avro/container.h"
#include "hudi/log_block.h"
#include "hudi/timeline.h"

namespace tarn::hudi {

/// For tests: instants of completed commits, here and in the archive.
inline std::set<std::string> KnownCommits(const storage::Storage& storage, const std::string& base_path) {
  std::set<std::string> found;
  const auto timeline = ReadTimeline(storage, base_path);
  EXPECT_TRUE(timeline);
  for (const std::string& instant : timeline->Commits()) found.insert(instant);
  const std::string folder = base_path + "/.hoodie/archived";
  const auto files = storage.List(folder);
  for (const auto& file : *files) {
    const auto bytes = storage.Read(folder + "/" + file.name);
    const auto blocks = ParseBlocks(*bytes, file.name);
    for (const LogBlock& block : blocks ? *blocks : std::vector<LogBlock>()) {
      const auto records = AvroRecords(block.content, file.name);
      for (const std::string_view record : *records) {
        const auto entry = nlohmann::json::parse(*avro::DecodeJson(block.schema, record));
        if (IsCommitAction(entry["actionType"]) && entry["actionState"] == "COMPLETED")
          found.insert(entry["commitTime"]);
      }
    }
  }
  return found;
}

}  // namespace tarn::hudi
