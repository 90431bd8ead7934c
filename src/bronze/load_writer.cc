#include "bronze/load_writer.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>

#include "base/clock.h"
#include "base/fault.h"
#include "bronze/change_log.h"
#include "bronze/parquet_files.h"
#include "bronze/write_intent.h"

namespace tarn::bronze {

namespace {

/// Numbers of files that are announced at once: 256 GB.
constexpr int kAnnouncedFiles = 1000;

int NumberOf(const std::string& file_name) { return std::stoi(file_name.substr(4), nullptr, 16); }

/// What one worker has under way.
struct Worker {
  std::unique_ptr<ChangeFile> open;
  bool again = false;            ///< As LoadFile, of the open one.
  std::vector<LoadFile> closed;  ///< Not noted yet.
  std::vector<size_t> whole;     ///< Ranges, of which the open file may have rows.
  int64_t saved_micros = MonotonicMicros();
};

}  // namespace

struct LoadWriter::State {
  State(storage::Storage* store, BronzePlace where, CopyProgress done, LoadOptions given)
      : storage(store),
        place(std::move(where)),
        lake(place.root),
        options(given),
        progress(std::move(done)),
        table(*progress.table) {}

  storage::Storage* storage;
  const BronzePlace place;
  const std::string& lake;  ///< The place's root.
  const LoadOptions options;
  std::mutex mutex;
  CopyProgress progress;  ///< Under the mutex once workers run.
  const schema::TableSchema table;
  int64_t copy = 1;            ///< Number of this one.
  std::set<std::string> kept;  ///< Files of finished ones, and of this one's earlier runs.
  LoadIntent announced;        ///< Of a remote place.
  std::vector<Worker> workers;
  std::atomic<int> next_number{1};

  int run() const { return static_cast<int>(progress.runs.size()) - 1; }

  Status Close(Worker& worker) {
    if (worker.open == nullptr) return {};
    TARN_ASSIGN(FileEntry entry, worker.open->Publish());
    worker.open.reset();
    worker.closed.push_back({std::move(entry), progress.runs.back().snapshot, worker.again});
    return {};
  }

  /// Between two ranges: all of the worker's rows are those of whole ranges.
  Status HandIn(Worker& worker) {
    TARN_RETURN_IF_ERROR(Close(worker));
    const std::lock_guard lock(mutex);
    for (LoadFile& file : worker.closed) progress.files.push_back(std::move(file));
    worker.closed.clear();
    for (const size_t range : worker.whole) progress.runs_done[range] = run();
    worker.whole.clear();
    return {};
  }

  Status Save(Worker& worker) {
    TARN_RETURN_IF_ERROR(HandIn(worker));
    worker.saved_micros = MonotonicMicros();
    const std::lock_guard lock(mutex);
    TARN_FAULT_POINT("bronze.load.before_progress");
    TARN_RETURN_IF_ERROR(WriteCopyProgress(*storage, place, progress));
    TARN_FAULT_POINT("bronze.load.after_progress");
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

  void Keep(const FileEntry& file) {
    const std::string name = FileName(file.path);
    kept.insert(name);
    next_number = std::max(next_number.load(), NumberOf(name) + 1);
  }

  Status KeepFinished() {
    TARN_ASSIGN(auto loads, ChangeLog::ReadLoads(*storage, lake));
    for (const LoadManifest& load : loads[table.lake_name]) {
      copy++;
      for (const LoadFile& file : load.files) Keep(file);
    }
    return {};
  }

  /// What earlier runs of this copy have done.
  Status KeepDone() {
    if (progress.files.empty()) return {};
    const std::string folder = lake + "/" + TableFolder(table);
    TARN_ASSIGN(const auto listed, storage->List(folder));
    std::set<std::string> there;
    for (const auto& file : listed) there.insert(file.name);
    for (const LoadFile& file : progress.files) {
      if (!there.contains(FileName(file.path)))
        return MakeError(ErrorCode::kNotFound, "'{}/{}', which an earlier run of this copy wrote, is gone",
                         lake, file.path);
      Keep(file);
    }
    return {};
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
                                                      CopyProgress progress, const LoadOptions& options) {
  auto state = std::make_unique<State>(storage, std::move(place), std::move(progress), options);
  state->workers.resize(static_cast<size_t>(options.workers));
  if (state->place.is_remote()) TARN_RETURN_IF_ERROR(state->SettleEarlier());
  TARN_RETURN_IF_ERROR(state->KeepFinished());
  TARN_RETURN_IF_ERROR(state->KeepDone());
  if (state->progress.runs.size() == 1)
    TARN_RETURN_IF_ERROR(ForgetCopyProgress(*storage, state->place, state->table.lake_name));
  TARN_RETURN_IF_ERROR(state->RemoveOthers({}));
  if (state->place.is_remote()) {
    state->copy = std::max(state->copy, state->announced.copy + 1);
    state->next_number = std::max(state->next_number.load(), state->announced.last_file + 1);
    TARN_RETURN_IF_ERROR(state->Announce());
  }
  return std::unique_ptr<LoadWriter>(new LoadWriter(std::move(state)));
}

Status LoadWriter::Append(int worker, const arrow::RecordBatch& rows, bool again) {
  Worker& at = state_->workers[static_cast<size_t>(worker)];
  if (at.open != nullptr && at.again != again) TARN_RETURN_IF_ERROR(state_->Close(at));
  if (at.open == nullptr) {
    TARN_ASSIGN(const int number, state_->NextNumber());
    const std::string path = fmt::format("{}/LOAD{:08X}.parquet", TableFolder(state_->table), number);
    TARN_ASSIGN(at.open,
                CreateChangeFile(state_->storage, state_->lake, path, state_->table, {.is_copy = true}));
    at.again = again;
  }
  TARN_RETURN_IF_ERROR(at.open->Append(rows));
  return at.open->bytes() >= kMaxFileBytes ? state_->Close(at) : Status{};
}

Status LoadWriter::Complete(int worker, size_t range) {
  Worker& at = state_->workers[static_cast<size_t>(worker)];
  at.whole.push_back(range);
  const bool large = at.open != nullptr && at.open->bytes() >= kSavedFileBytes;
  const bool due = MonotonicMicros() - at.saved_micros >= state_->options.save_micros;
  return large || due ? state_->Save(at) : Status{};
}

Result<LoadManifest> LoadWriter::Finish() {
  CopyProgress& progress = state_->progress;
  for (Worker& worker : state_->workers) TARN_RETURN_IF_ERROR(state_->HandIn(worker));
  const CopyRun& run = progress.runs.back();
  LoadManifest manifest;
  manifest.table = progress.table;
  manifest.epoch = progress.epoch;
  manifest.snapshot = run.snapshot;
  manifest.snapshot_micros = run.snapshot_micros;
  manifest.files = progress.files;
  std::set<std::string> ours;
  for (const LoadFile& file : manifest.files) {
    manifest.rows += file.rows;
    ours.insert(FileName(file.path));
  }
  if (state_->place.is_remote()) TARN_RETURN_IF_ERROR(state_->RemoveOthers(ours));
  TARN_FAULT_POINT("bronze.load.before_manifest");
  TARN_RETURN_IF_ERROR(state_->PutManifest(manifest));
  TARN_FAULT_POINT("bronze.load.after_manifest");
  TARN_RETURN_IF_ERROR(ForgetCopyProgress(*state_->storage, state_->place, state_->table.lake_name));
  return manifest;
}

}  // namespace tarn::bronze
