#include "bronze/copy_progress.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bronze/manifest_json.h"

namespace tarn::bronze {
namespace {

using nlohmann::json;

/// Local also for an object store: whoever goes on with a copy is who began it.
std::string Folder(const BronzePlace& place) { return place.own_folder() + "/copying"; }
std::string PathOf(const BronzePlace& place, const std::string& table) {
  return Folder(place) + "/" + table + ".json";
}

json RunJson(const CopyRun& run) {
  return {{"snapshot", run.snapshot.ToString()},
          {"snapshot_micros", run.snapshot_micros},
          {"oldest_xid", run.oldest_xid}};
}

CopyProgress FromJson(const json& from) {
  CopyProgress progress;
  progress.table = TableFromJson(from.at("table"));
  progress.epoch = from.at("epoch");
  progress.source = from.at("source");
  progress.starts = from.at("starts").get<std::vector<int64_t>>();
  progress.runs_done = from.at("runs_done").get<std::vector<int>>();
  for (const json& run : from.at("runs"))
    progress.runs.push_back(
        {LsnFromJson(run.at("snapshot")), run.at("snapshot_micros"), run.at("oldest_xid")});
  for (const json& file : from.at("files")) progress.files.push_back(LoadFileFromJson(file, Lsn{}));
  return progress;
}

bool FitsTogether(const CopyProgress& progress) {
  const auto is_run = [&](int run) {
    return run >= CopyProgress::kMissing && run < static_cast<int>(progress.runs.size());
  };
  return progress.starts.size() == progress.runs_done.size() && !progress.runs.empty() &&
         std::all_of(progress.runs_done.begin(), progress.runs_done.end(), is_run);
}

}  // namespace

int64_t CopyProgress::rows() const {
  int64_t rows = 0;
  for (const LoadFile& file : files) rows += file.rows;
  return rows;
}

size_t CopyProgress::ranges_done() const {
  return static_cast<size_t>(
      std::count_if(runs_done.begin(), runs_done.end(), [](int run) { return run != kMissing; }));
}

Result<std::optional<CopyProgress>> ReadCopyProgress(const storage::Storage& storage,
                                                     const BronzePlace& place, const std::string& table) {
  const std::string path = PathOf(place, table);
  const auto text = storage.Read(path);
  if (!text && text.error().code == ErrorCode::kNotFound) return std::optional<CopyProgress>();
  if (!text) return text.error();
  std::string wrong = "its ranges and runs do not fit together";
  try {
    CopyProgress progress = FromJson(json::parse(*text));
    if (FitsTogether(progress)) return std::optional(std::move(progress));
  } catch (const std::exception& error) {
    wrong = error.what();
  }
  return MakeError(ErrorCode::kCorrupt,
                   "'{}' cannot be read ({}); remove it to have '{}' copied from its start", path, wrong,
                   table);
}

Result<Lsn> NewestCopyRun(const storage::Storage& storage, const BronzePlace& place) {
  Lsn newest;
  TARN_ASSIGN(const auto files, storage.List(Folder(place)));
  for (const storage::FileInfo& file : files) {
    const size_t suffix = file.name.rfind(".json");
    if (suffix == std::string::npos) continue;
    TARN_ASSIGN(const auto progress, ReadCopyProgress(storage, place, file.name.substr(0, suffix)));
    if (progress) newest = std::max(newest, progress->runs.back().snapshot);
  }
  return newest;
}

Status WriteCopyProgress(storage::Storage& storage, const BronzePlace& place, const CopyProgress& progress) {
  json runs = json::array(), files = json::array();
  for (const CopyRun& run : progress.runs) runs.push_back(RunJson(run));
  for (const LoadFile& file : progress.files) files.push_back(LoadFileJson(file, Lsn{}));
  const json text = {{"table", json::parse(schema::ToJson(*progress.table))},
                     {"epoch", progress.epoch},
                     {"source", progress.source},
                     {"starts", progress.starts},
                     {"runs_done", progress.runs_done},
                     {"runs", runs},
                     {"files", files}};
  return storage.Write(PathOf(place, progress.table->lake_name), text.dump());
}

Status ForgetCopyProgress(storage::Storage& storage, const BronzePlace& place, const std::string& table) {
  return storage.Remove(PathOf(place, table));
}

Status ForgetAllCopyProgress(storage::Storage& storage, const BronzePlace& place) {
  return storage.RemoveTree(Folder(place));
}

}  // namespace tarn::bronze
