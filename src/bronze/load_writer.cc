#include <arrow/record_batch.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>

#include "base/fault.h"
#include "bronze/change_log.h"

namespace tarn::bronze {

struct LoadWriter::State {
  storage::Storage* storage;
  std::string lake;
  schema::TableSchema table;
  size_t copies_before = 0;                       ///< Finished ones.
  std::vector<std::unique_ptr<ChangeFile>> open;  ///< One a worker.
  std::atomic<int> next_number{1};
  std::mutex mutex;
  std::vector<FileEntry> finished;

  Status Close(std::unique_ptr<ChangeFile>& file) {
    TARN_ASSIGN(FileEntry entry, file->Publish());
    file.reset();
    const std::lock_guard lock(mutex);
    finished.push_back(std::move(entry));
    return {};
  }
};

LoadWriter::LoadWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
LoadWriter::~LoadWriter() = default;

Result<std::unique_ptr<LoadWriter>> LoadWriter::Begin(storage::Storage* storage, std::string lake,
                                                      const schema::TableSchema& table, int workers) {
  auto state = std::make_unique<State>();
  state->storage = storage;
  state->lake = std::move(lake);
  state->table = table;
  state->open.resize(static_cast<size_t>(workers));
  TARN_ASSIGN(auto loads, ChangeLog::ReadLoads(*storage, state->lake));
  std::set<std::string> kept;
  for (const LoadManifest& copy : loads[table.lake_name]) {
    state->copies_before++;
    for (const FileEntry& file : copy.files) kept.insert(file.path.substr(file.path.rfind('/') + 1));
  }
  const std::string folder = state->lake + "/" + TableFolder(table);
  TARN_ASSIGN(const auto files, storage->List(folder));
  for (const auto& file : files) {
    if (!file.name.starts_with("LOAD")) continue;
    if (!kept.contains(file.name)) {
      TARN_RETURN_IF_ERROR(storage->Remove(folder + "/" + file.name));
      continue;
    }
    const int number = std::stoi(file.name.substr(4), nullptr, 16);
    state->next_number = std::max(state->next_number.load(), number + 1);
  }
  return std::unique_ptr<LoadWriter>(new LoadWriter(std::move(state)));
}

Status LoadWriter::Append(int worker, const arrow::RecordBatch& rows) {
  auto& file = state_->open[static_cast<size_t>(worker)];
  if (file == nullptr) {
    const std::string path =
        fmt::format("{}/LOAD{:08X}.parquet", TableFolder(state_->table), state_->next_number.fetch_add(1));
    TARN_ASSIGN(file, CreateChangeFile(state_->storage, state_->lake, path, state_->table));
  }
  TARN_RETURN_IF_ERROR(file->Append(rows));
  if (file->bytes() >= kMaxFileBytes) return state_->Close(file);
  return {};
}

Result<LoadManifest> LoadWriter::Finish(int64_t epoch, Lsn snapshot, int64_t snapshot_micros) {
  for (auto& file : state_->open) {
    if (file) TARN_RETURN_IF_ERROR(state_->Close(file));
  }
  LoadManifest manifest;
  manifest.table = std::make_shared<const schema::TableSchema>(state_->table);
  manifest.epoch = epoch;
  manifest.snapshot = snapshot;
  manifest.snapshot_micros = snapshot_micros;
  manifest.files = state_->finished;
  for (const FileEntry& file : manifest.files) manifest.rows += file.rows;
  TARN_FAULT_POINT("bronze.load.before_manifest");
  const std::string number = state_->copies_before == 0 ? "" : fmt::format(".{}", state_->copies_before + 1);
  TARN_RETURN_IF_ERROR(state_->storage->Write(
      fmt::format("{}/_tarn/bronze/loads/{}{}.json", state_->lake, state_->table.lake_name, number),
      ToJson(manifest)));
  TARN_FAULT_POINT("bronze.load.after_manifest");
  return manifest;
}

}  // namespace tarn::bronze
