#include "pipeline/gold_runs.h"

#include <nlohmann/json.hpp>

namespace tarn::pipeline {
namespace {

std::string RunsFolder(const catalog::LakeLayout& layout) { return layout.Internal("runs"); }
std::string BackfillPath(const catalog::LakeLayout& layout) { return layout.Internal("gold_backfill.json"); }

nlohmann::json ToJson(const GoldRun& run) {
  return {{"model", run.model},
          {"source_instant", run.source_instant},
          {"started_micros", run.started_micros},
          {"seconds", run.seconds},
          {"all", run.kind == GoldStep::Kind::kAll},
          {"reason", run.reason},
          {"partitions_computed", run.partitions_computed},
          {"partitions_changed", run.partitions_changed},
          {"rows", run.rows},
          {"bytes_read", run.bytes_read},
          {"bytes_written", run.bytes_written},
          {"error", run.error}};
}

GoldRun RunFromJson(const nlohmann::json& json) {
  GoldRun run;
  run.model = json.at("model");
  run.source_instant = json.at("source_instant");
  run.started_micros = json.at("started_micros");
  run.seconds = json.at("seconds");
  run.kind = json.at("all").get<bool>() ? GoldStep::Kind::kAll : GoldStep::Kind::kPartitions;
  run.reason = json.at("reason");
  run.partitions_computed = json.at("partitions_computed");
  run.partitions_changed = json.at("partitions_changed");
  run.rows = json.at("rows");
  run.bytes_read = json.at("bytes_read");
  run.bytes_written = json.at("bytes_written");
  run.error = json.at("error");
  return run;
}

}  // namespace

Status KeepRuns(storage::Storage& storage, const catalog::LakeLayout& layout,
                const std::vector<GoldRun>& runs) {
  if (runs.empty()) return {};
  nlohmann::json list = nlohmann::json::array();
  for (const GoldRun& run : runs) list.push_back(ToJson(run));
  const std::string folder = RunsFolder(layout);
  TARN_RETURN_IF_ERROR(storage.Write(
      fmt::format("{}/{}.json", folder, hudi::FormatInstant(runs[0].started_micros)), list.dump()));
  TARN_ASSIGN(const auto files, storage.List(folder));
  for (size_t i = 0; i + kKeptRunFiles < files.size(); i++) {
    TARN_RETURN_IF_ERROR(storage.Remove(folder + "/" + files[i].name));
  }
  return {};
}

Result<std::vector<GoldRun>> ReadRuns(const storage::Storage& storage, const catalog::LakeLayout& layout,
                                      const std::string& model, size_t limit) {
  TARN_ASSIGN(const auto files, storage.List(RunsFolder(layout)));
  std::vector<GoldRun> runs;
  for (auto file = files.rbegin(); file != files.rend() && runs.size() < limit; ++file) {
    const std::string path = RunsFolder(layout) + "/" + file->name;
    const auto text = storage.Read(path);
    if (!text && text.error().code == ErrorCode::kNotFound) continue;  // Forgotten meanwhile.
    if (!text) return text.error();
    try {
      const auto list = nlohmann::json::parse(*text);
      for (auto entry = list.rbegin(); entry != list.rend() && runs.size() < limit; ++entry) {
        GoldRun run = RunFromJson(*entry);
        if (model.empty() || run.model == model) runs.push_back(std::move(run));
      }
    } catch (const nlohmann::json::exception& error) {
      return MakeError(ErrorCode::kCorrupt, "'{}' cannot be read: {}", path, error.what());
    }
  }
  return runs;
}

Result<Backfills> ReadBackfills(const storage::Storage& storage, const catalog::LakeLayout& layout) {
  const std::string path = BackfillPath(layout);
  if (!storage.Exists(path)) return Backfills();
  TARN_ASSIGN(const std::string text, storage.Read(path));
  try {
    return nlohmann::json::parse(text).get<Backfills>();
  } catch (const nlohmann::json::exception& error) {
    return MakeError(ErrorCode::kCorrupt, "'{}' cannot be read: {}", path, error.what());
  }
}

Status WriteBackfills(storage::Storage& storage, const catalog::LakeLayout& layout,
                      const Backfills& backfills) {
  if (backfills.empty()) return storage.Remove(BackfillPath(layout));
  return storage.Write(BackfillPath(layout), nlohmann::json(backfills).dump());
}

void AddBackfill(const std::string& model, const std::set<std::string>& partitions, Backfills* backfills) {
  const auto known = backfills->find(model);
  if (known == backfills->end()) {
    backfills->emplace(model, partitions);
  } else if (partitions.empty()) {
    known->second.clear();
  } else if (!known->second.empty()) {
    known->second.insert(partitions.begin(), partitions.end());
  }
}

}  // namespace tarn::pipeline
