#include "bronze/archiver.h"

#include <arrow/api.h>
#include <arrow/io/memory.h>

#include <algorithm>
#include <map>

#include "base/fault.h"
#include "bronze/archive_files.h"
#include "bronze/archive_writer.h"
#include "bronze/file_check.h"
#include "bronze/manifest_json.h"
#include "bronze/schema_pool.h"
#include "storage/arrow_status.h"

namespace tarn::bronze {
namespace {

constexpr int64_t kAnnouncedFiles = 1000;  ///< Numbers that are announced at once.
/// A file of a flush up to this is read once, into memory.
constexpr int64_t kMostHeld = 64 << 20;

Status CheckCancel(const CancelToken* cancel) { return cancel == nullptr ? Status{} : cancel->Check(); }

/// In an object store a file may come late, after the run that sent it was killed: no name is used again. The
/// names of a day are announced in the lake's folder first, as `day`'s greatest number.
class FileNumbers {
 public:
  FileNumbers(storage::Storage* storage, const BronzePlace& place, std::string day)
      : storage_(storage), place_(place), day_(std::move(day)) {}

  /// `used`: the greatest number that the day has already.
  Status Begin(int64_t used) {
    first_ = used + 1;
    if (!place_.is_remote()) return {};
    const auto text = storage_->Read(Path());
    if (!text && text.error().code != ErrorCode::kNotFound) return text.error();
    if (text) {
      auto earlier = ParseManifest(*text, [](const nlohmann::json& from) {
        return std::pair<std::string, int64_t>(from.at("day"), from.at("last_file"));
      });
      if (!earlier) return std::move(earlier).error().In("'" + Path() + "'");
      if (earlier->first == day_) first_ = std::max(first_, earlier->second + 1);
    }
    return Announce(first_ + kAnnouncedFiles);
  }

  Result<int64_t> Next(const std::string& folder) {
    const int64_t number = next_.emplace(folder, first_).first->second++;
    if (place_.is_remote() && number > announced_) TARN_RETURN_IF_ERROR(Announce(number + kAnnouncedFiles));
    return number;
  }

 private:
  std::string Path() const { return place_.intents + "/archive.json"; }
  Status Announce(int64_t last) {
    announced_ = last;
    return storage_->Write(Path(), nlohmann::json{{"day", day_}, {"last_file", last}}.dump(1));
  }

  storage::Storage* storage_;
  const BronzePlace& place_;
  const std::string day_;
  int64_t first_ = 1, announced_ = 0;
  std::map<std::string, int64_t> next_;  ///< By folder.
};

class DayArchiver {
 public:
  DayArchiver(storage::Storage* storage, const BronzePlace& place, const ClosedDay& day,
              const ArchiveOptions& options)
      : storage_(storage),
        place_(place),
        lake_(place.root),
        day_(day),
        options_(options),
        numbers_(storage, place, day.day),
        writer_(storage, place.root, day.day, options.max_file_bytes,
                [this](const std::string& folder) { return numbers_.Next(folder); }) {}

  Result<ArchiveManifest> Run() {
    TARN_RETURN_IF_ERROR(ReadManifests());
    TARN_RETURN_IF_ERROR(SettleEarlier());
    for (const std::string& table : tables_) TARN_RETURN_IF_ERROR(WriteTable(table));
    ArchiveManifest archive = Describe();
    // Read again, before anything relies on it.
    TARN_RETURN_IF_ERROR(ProveFiles(*storage_, lake_, archive, options_.cancel));
    TARN_FAULT_POINT("bronze.archive.before_manifest");
    const ArchiveRange range{archive.first(), archive.last()};
    const Status put =
        storage_->PutIfAbsent(ArchiveFolder(lake_) + "/" + ArchiveName(range), ToJson(archive));
    TARN_FAULT_POINT("bronze.archive.after_manifest");
    if (!put && put.error().code != ErrorCode::kAlreadyExists) return put.error();
    if (!put) {
      // That of a run which was given up came late: it counts.
      TARN_ASSIGN(archive, ReadArchive(*storage_, lake_, range));
    }
    TARN_RETURN_IF_ERROR(
        RemoveUnnamed(storage_, lake_, archives_, archive, archive.last() == day_.range.last));
    return archive;
  }

 private:
  /// What came late of the run before goes; names that the day has already are taken.
  Status SettleEarlier() {
    TARN_ASSIGN(archives_, ListArchives(*storage_, lake_));
    int64_t used = 0;
    for (auto range = archives_.rbegin(); range != archives_.rend(); ++range) {
      TARN_ASSIGN(const ArchiveManifest earlier, ReadArchive(*storage_, lake_, *range));
      const bool is_next = earlier.last() + 1 == day_.range.first;
      if (is_next && manifests_.front().after != earlier.manifests.back().last_commit)
        return DoesNotFollow(day_.range.first);
      if (range == archives_.rbegin())
        TARN_RETURN_IF_ERROR(RemoveUnnamed(storage_, lake_, archives_, earlier, earlier.day < day_.day));
      if (earlier.day == day_.day) used = std::max(used, LastNumber(earlier));
      if (earlier.day < day_.day) break;
    }
    return numbers_.Begin(used);
  }

  static Error DoesNotFollow(int64_t sequence) {
    return MakeError(ErrorCode::kCorrupt,
                     "the manifest {} of Bronze does not follow on the one before it and is not archived; "
                     "`tarn bronze verify` tells what is missing",
                     ManifestName(sequence));
  }

  Status ReadManifests() {
    for (int64_t sequence = day_.range.first; sequence <= day_.range.last; sequence++) {
      TARN_RETURN_IF_ERROR(CheckCancel(options_.cancel));
      const std::string path = ManifestFolder(lake_) + "/" + ManifestName(sequence);
      TARN_ASSIGN(const std::string json, storage_->Read(path));
      auto manifest = ManifestFromJson(json);
      if (!manifest) return std::move(manifest).error().In("'" + path + "'");
      const bool follows = manifests_.empty() || manifest->after == manifests_.back().last_commit;
      if (manifest->sequence != sequence || !follows) return DoesNotFollow(sequence);
      events_ += static_cast<int64_t>(manifest->events.size());
      for (ManifestEvent& event : manifest->events) {
        event.table = pool_.Same(event.table);
        if (event.at) continue;
        progress_.files_total++;
        const std::string& name = event.table->lake_name;
        if (std::find(tables_.begin(), tables_.end(), name) == tables_.end()) tables_.push_back(name);
      }
      manifests_.push_back(*std::move(manifest));
      if (events_ >= options_.max_events) break;
    }
    parts_.resize(manifests_.size());
    return {};
  }

  /// All of one table: so one writer is open at a time, however many tables there are.
  Status WriteTable(const std::string& table) {
    for (size_t at = 0; at < manifests_.size(); at++) {
      const std::vector<ManifestEvent>& events = manifests_[at].events;
      for (size_t event = 0; event < events.size(); event++) {
        if (events[event].at || events[event].table->lake_name != table) continue;
        TARN_RETURN_IF_ERROR(CheckCancel(options_.cancel));
        TARN_RETURN_IF_ERROR(CopyFile(events[event], parts_[at][event]));
      }
    }
    return writer_.Finish();
  }

  struct Part {
    size_t file = 0;  ///< Of the writer's.
    int64_t rows = 0;
  };

  Status CopyFile(const ManifestEvent& event, std::vector<Part>& parts) {
    TARN_ASSIGN(auto input, OpenChecked(event.file));
    TARN_ASSIGN(const auto reader, OpenChangeFile(std::move(input), event.file));
    TARN_RETURN_IF_ERROR(reader->Scan(reader->schema()->field_names(), 0, reader->rows(),
                                      [&](const auto& rows, int64_t) -> Status {
                                        TARN_RETURN_IF_ERROR(CheckCancel(options_.cancel));
                                        TARN_ASSIGN(const size_t file, writer_.Append(event.table, rows));
                                        if (parts.empty() || parts.back().file != file)
                                          parts.push_back({file, 0});
                                        parts.back().rows += rows->num_rows();
                                        progress_.rows += rows->num_rows();
                                        return {};
                                      }));
    progress_.files++;
    options_.on_progress(progress_);
    return {};
  }

  /// The file, whose bytes are those that the manifest says.
  Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenChecked(const FileEntry& file) {
    TARN_ASSIGN(auto input, storage_->Open(lake_ + "/" + file.path));
    const auto size = input->GetSize();
    TARN_RETURN_IF_ERROR(storage::FromArrow(size.status(), ErrorCode::kIo, file.path));
    if (*size == file.size_bytes && *size <= kMostHeld) {
      auto bytes = input->ReadAt(0, *size);
      TARN_RETURN_IF_ERROR(storage::FromArrow(bytes.status(), ErrorCode::kIo, file.path));
      input = std::make_shared<arrow::io::BufferReader>(*std::move(bytes));
    }
    const bool same_size = *size == file.size_bytes;
    TARN_ASSIGN(const uint32_t crc, ChecksumOf(*input, same_size ? *size : 0, [](int64_t) {}));
    if (same_size && crc == file.crc32) return input;
    return MakeError(
        ErrorCode::kCorrupt,
        "'{}' is not as its manifest says and cannot be archived: restore it from a backup; `tarn "
        "bronze verify` tells more",
        file.path);
  }

  ArchiveManifest Describe() {
    ArchiveManifest archive;
    archive.day = day_.day;
    archive.archived_micros = options_.clock->NowMicros();
    archive.files = writer_.files();
    std::vector<int64_t> taken(archive.files.size());
    for (size_t at = 0; at < manifests_.size(); at++) {
      Manifest flush = manifests_[at];
      flush.events.clear();
      for (size_t event = 0; event < manifests_[at].events.size(); event++) {
        if (manifests_[at].events[event].at) flush.events.push_back(manifests_[at].events[event]);
        for (const Part& part : parts_[at][event]) {
          ManifestEvent rows{archive.files[part.file].table, archive.files[part.file].file};
          rows.file.file_rows = rows.file.rows;
          rows.file.rows = part.rows;
          rows.file.first_row = taken[part.file];
          taken[part.file] += part.rows;
          flush.events.push_back(std::move(rows));
        }
      }
      archive.manifests.push_back(std::move(flush));
    }
    return archive;
  }

  storage::Storage* storage_;
  const BronzePlace& place_;
  const std::string& lake_;
  const ClosedDay& day_;
  const ArchiveOptions& options_;
  FileNumbers numbers_;
  ArchiveWriter writer_;
  std::vector<ArchiveRange> archives_;  ///< Before this one.
  SchemaPool pool_;
  std::vector<Manifest> manifests_;
  int64_t events_ = 0;                                      ///< Of them.
  std::vector<std::map<size_t, std::vector<Part>>> parts_;  ///< Where the rows of each manifest's events are.
  std::vector<std::string> tables_;                         ///< In order of appearance.
  ArchiveProgress progress_;
};

}  // namespace

Result<ArchiveManifest> ArchiveDay(storage::Storage* storage, const BronzePlace& place, const ClosedDay& day,
                                   const ArchiveOptions& options) {
  return DayArchiver(storage, place, day, options).Run();
}

}  // namespace tarn::bronze
