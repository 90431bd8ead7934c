#include "base/fault.h"
#include "bronze/archive_files.h"
#include "bronze/archiver.h"

namespace tarn::bronze {
namespace {

constexpr int64_t kDayMicros = 86'400'000'000;

/// Empty before the first file.
std::string DayOf(const Manifest& manifest) { return manifest.last_file_name.substr(0, 8); }

Result<Manifest> ReadManifest(const storage::Storage& storage, const std::string& lake,
                              const std::string& name) {
  const std::string path = ManifestFolder(lake) + "/" + name;
  TARN_ASSIGN(const std::string json, storage.Read(path));
  auto manifest = ManifestFromJson(json);
  if (!manifest) return std::move(manifest).error().In("'" + path + "'");
  return manifest;
}

Status Remove(storage::Storage* storage, const std::string& lake, const std::vector<std::string>& manifests,
              const CancelToken* cancel, RemovedFlushes& removed) {
  for (const std::string& name : manifests) {
    if (cancel != nullptr) TARN_RETURN_IF_ERROR(cancel->Check());
    TARN_ASSIGN(const Manifest manifest, ReadManifest(*storage, lake, name));
    for (const ManifestEvent& event : manifest.events) {
      if (event.at) continue;
      TARN_RETURN_IF_ERROR(storage->Remove(lake + "/" + event.file.path));
      removed.files++;
    }
    // The manifest last: as long as it is there, its files are known.
    TARN_FAULT_POINT("bronze.archive.between_removals");
    TARN_RETURN_IF_ERROR(storage->Remove(ManifestFolder(lake) + "/" + name));
    removed.manifests++;
  }
  return {};
}

}  // namespace

Result<int64_t> ClosedDay::EndMicros() const {
  TARN_ASSIGN(const int64_t begin,
              ParseTimestamp(fmt::format("{}-{}-{}", day.substr(0, 4), day.substr(4, 2), day.substr(6, 2))));
  return begin + kDayMicros;
}

Result<std::optional<ClosedDay>> FindClosedDay(const storage::Storage& storage, const std::string& lake) {
  TARN_ASSIGN(const auto archives, ListArchives(storage, lake));
  TARN_ASSIGN(auto names, ListUnarchived(storage, lake, archives));
  // Behind the archived days; or before one of them, where a manifest of the archive is gone.
  ArchiveRange open{1, INT64_MAX};
  for (const ArchiveRange& archive : archives) {
    if (archive.first > open.first) {
      open.last = archive.first - 1;
      break;
    }
    open.first = archive.last + 1;
  }
  const bool is_behind = open.last == INT64_MAX;
  std::erase_if(names, [&](const std::string& name) { return SequenceOf(name) > open.last; });
  if (names.empty() && is_behind) return std::optional<ClosedDay>();
  if (names.empty() || SequenceOf(names[0]) != open.first) {
    return MakeError(ErrorCode::kCorrupt,
                     "the manifest {} of Bronze is not there: nothing is archived until it is; `tarn bronze "
                     "verify` tells what is missing",
                     ManifestName(open.first));
  }
  TARN_ASSIGN(const Manifest newest, ReadManifest(storage, lake, names.back()));
  // The first whose day is later than a given one, found by halving: days never go back.
  const auto first_after = [&](size_t low, const std::string& day) -> Result<size_t> {
    size_t high = names.size();
    while (low < high) {
      const size_t middle = (low + high) / 2;
      TARN_ASSIGN(const Manifest manifest, ReadManifest(storage, lake, names[middle]));
      if (DayOf(manifest) > day) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  };
  // What is before any file belongs to the day of the first one.
  TARN_ASSIGN(const size_t named, first_after(0, ""));
  if (named == names.size()) return std::optional<ClosedDay>();
  TARN_ASSIGN(const Manifest oldest, ReadManifest(storage, lake, names[named]));
  const std::string day = DayOf(oldest);
  if (is_behind && DayOf(newest) <= day) return std::optional<ClosedDay>();
  TARN_ASSIGN(const size_t behind, first_after(named, day));
  return std::optional(ClosedDay{day, {open.first, SequenceOf(names[behind - 1])}});
}

Result<RemovedFlushes> RemoveArchived(storage::Storage* storage, const BronzePlace& place,
                                      int64_t archived_until, const CancelToken* cancel) {
  RemovedFlushes removed;
  const std::string& lake = place.root;
  TARN_ASSIGN(const auto archives, ListArchives(*storage, lake));
  TARN_ASSIGN(const auto files, storage->List(ManifestFolder(lake)));
  auto file = files.begin();
  for (const ArchiveRange& range : archives) {
    std::vector<std::string> manifests;
    for (; file != files.end() && SequenceOf(file->name) <= range.last; ++file) {
      if (range.Holds(SequenceOf(file->name))) manifests.push_back(file->name);
    }
    if (manifests.empty()) continue;
    TARN_ASSIGN(const ArchiveManifest archive, ReadArchive(*storage, lake, range));
    if (archive.archived_micros > archived_until) break;  // Later days were archived later.
    Status proven = ProveFiles(*storage, lake, archive, cancel);
    if (!proven) return std::move(proven).error().In("the small files of " + archive.day + " stay");
    TARN_RETURN_IF_ERROR(Remove(storage, lake, manifests, cancel, removed));
  }
  return removed;
}

}  // namespace tarn::bronze
