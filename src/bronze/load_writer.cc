#include <arrow/record_batch.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>

#include "base/fault.h"
#include "bronze/change_log.h"
#include "bronze/write_intent.h"

namespace tarn::bronze {

namespace {

/// Numbers of files that are announced at once: 256 GB.
constexpr int kAnnouncedFiles = 1000;

std::string FileName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

struct LoadWriter::State {
  State(storage::Storage* store, BronzePlace where, const schema::TableSchema& of)
      : storage(store), place(std::move(where)), lake(place.root), table(of) {}

  storage::Storage* storage;
  const BronzePlace place;
  const std::string& lake;  ///< The place's root.
  const schema::TableSchema table;
  int64_t copy = 1;                               ///< Number of this one.
  std::set<std::string> kept;                     ///< Files of finished ones.
  LoadIntent announced;                           ///< Of a remote place.
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

  /// Lets an earlier copy that was cut off come to nothing for good: in an object store its manifest may come
  /// late, so its number is taken.
  Status SettleEarlier() {
    TARN_ASSIGN(const auto earlier, ReadLoadIntent(*storage, place, table.lake_name));
    if (!earlier) return {};
    announced = *earlier;
    LoadManifest nothing;
    nothing.table = std::make_shared<const schema::TableSchema>(table);
    nothing.cut_off = true;
    const Status taken = storage->PutIfAbsent(ManifestPath(earlier->copy), ToJson(nothing));
    if (!taken && taken.error().code != ErrorCode::kAlreadyExists) return taken;
    return {};
  }

  /// No name is used that a file of an earlier copy may come late under.
  Status Announce() {
    announced = {copy, next_number + kAnnouncedFiles};
    return WriteLoadIntent(*storage, place, table.lake_name, announced);
  }

  Result<int> NextNumber() {
    const int number = next_number.fetch_add(1);
    if (!place.is_remote()) return number;
    const std::lock_guard lock(mutex);
    if (number > announced.last_file) TARN_RETURN_IF_ERROR(Announce());
    return number;
  }

  /// Files of copies that were not finished.
  Status RemoveOthers(const std::set<std::string>& ours) {
    const std::string folder = lake + "/" + TableFolder(table);
    TARN_ASSIGN(const auto files, storage->List(folder));
    for (const auto& file : files) {
      if (!file.name.starts_with("LOAD") || kept.contains(file.name) || ours.contains(file.name)) continue;
      TARN_RETURN_IF_ERROR(storage->Remove(folder + "/" + file.name));
    }
    return {};
  }

  Status PutManifest(const LoadManifest& manifest) {
    while (true) {
      Status put = storage->PutIfAbsent(ManifestPath(copy), ToJson(manifest));
      // An earlier number may be missing; in an object store the number is announced.
      if (put || put.error().code != ErrorCode::kAlreadyExists || place.is_remote()) return put;
      copy++;
    }
  }

  std::string ManifestPath(int64_t number) const {
    return LoadFolder(lake) + "/" + LoadManifestName(table.lake_name, number);
  }
};

LoadWriter::LoadWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
LoadWriter::~LoadWriter() = default;

Result<std::unique_ptr<LoadWriter>> LoadWriter::Begin(storage::Storage* storage, BronzePlace place,
                                                      const schema::TableSchema& table, int workers) {
  auto state = std::make_unique<State>(storage, std::move(place), table);
  state->open.resize(static_cast<size_t>(workers));
  if (state->place.is_remote()) TARN_RETURN_IF_ERROR(state->SettleEarlier());
  TARN_ASSIGN(auto loads, ChangeLog::ReadLoads(*storage, state->lake));
  for (const LoadManifest& copy : loads[table.lake_name]) {
    state->copy++;
    for (const FileEntry& file : copy.files) {
      const std::string name = FileName(file.path);
      state->kept.insert(name);
      const int number = std::stoi(name.substr(4), nullptr, 16);
      state->next_number = std::max(state->next_number.load(), number + 1);
    }
  }
  TARN_RETURN_IF_ERROR(state->RemoveOthers({}));
  if (state->place.is_remote()) {
    state->copy = std::max(state->copy, state->announced.copy + 1);
    state->next_number = std::max(state->next_number.load(), state->announced.last_file + 1);
    TARN_RETURN_IF_ERROR(state->Announce());
  }
  return std::unique_ptr<LoadWriter>(new LoadWriter(std::move(state)));
}

Status LoadWriter::Append(int worker, const arrow::RecordBatch& rows) {
  auto& file = state_->open[static_cast<size_t>(worker)];
  if (file == nullptr) {
    TARN_ASSIGN(const int number, state_->NextNumber());
    const std::string path = fmt::format("{}/LOAD{:08X}.parquet", TableFolder(state_->table), number);
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
  std::set<std::string> ours;
  for (const FileEntry& file : manifest.files) {
    manifest.rows += file.rows;
    ours.insert(FileName(file.path));
  }
  if (state_->place.is_remote()) TARN_RETURN_IF_ERROR(state_->RemoveOthers(ours));
  TARN_FAULT_POINT("bronze.load.before_manifest");
  TARN_RETURN_IF_ERROR(state_->PutManifest(manifest));
  TARN_FAULT_POINT("bronze.load.after_manifest");
  return manifest;
}

}  // namespace tarn::bronze
