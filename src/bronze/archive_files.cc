#include "bronze/archive_files.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <tuple>

#include "base/log.h"
#include "bronze/parquet_files.h"

namespace tarn::bronze {
namespace {

/// 0 for what is no file of that day.
int64_t NumberOf(const std::string& day, const std::string& name) {
  if (!name.starts_with(day + "-")) return 0;
  int64_t number = 0;
  std::from_chars(name.data() + day.size() + 1, name.data() + name.size(), number);
  return number;
}

}  // namespace

std::vector<FileExpectation> ExpectedFiles(const ArchiveManifest& archive,
                                           std::optional<int64_t> epoch_before) {
  const std::string named_by = "_tarn/bronze/archive/" + ArchiveName({archive.first(), archive.last()});
  std::vector<FileExpectation> files;
  std::map<std::string, size_t> numbers;
  for (const ArchivedFile& file : archive.files) {
    numbers.emplace(file.file.path, files.size());
    files.push_back({named_by, file.file, file.table, {}});
  }
  for (const Manifest& manifest : archive.manifests) {
    for (const ManifestEvent& event : manifest.events) {
      if (!event.at)
        files[numbers.at(event.file.path)].parts.push_back(PartOf(manifest, epoch_before, event.file.rows));
    }
    epoch_before = manifest.epoch;
  }
  return files;
}

bool SaysTheSame(const Manifest& manifest, const Manifest& archived) {
  const auto rows = [](const Manifest& of) {
    std::map<std::string, int64_t> by_table;
    for (const ManifestEvent& event : of.events) by_table[event.table->lake_name] += event.file.rows;
    return by_table;
  };
  const auto marks = [](const Manifest& of) {
    std::vector<std::tuple<std::string, schema::ChangePosition, std::string>> found;
    for (const ManifestEvent& event : of.events) {
      if (event.at) found.emplace_back(event.table->lake_name, *event.at, event.copy_again);
    }
    return found;
  };
  const auto link = [](const Manifest& of) {
    return std::tuple(of.sequence, of.epoch, of.after, of.last_commit, of.end, of.last_commit_micros,
                      of.transactions, of.rows, of.last_file_name);
  };
  return link(manifest) == link(archived) && rows(manifest) == rows(archived) &&
         marks(manifest) == marks(archived);
}

Status ProveFiles(const storage::Storage& storage, const std::string& lake, const ArchiveManifest& archive,
                  const CancelToken* cancel) {
  std::map<std::string, schema::ChangePosition> newest;
  for (const FileExpectation& file : ExpectedFiles(archive, std::nullopt)) {
    if (cancel != nullptr) TARN_RETURN_IF_ERROR(cancel->Check());
    const auto faults = CheckFile(storage, lake, file, newest[file.table->lake_name], [](int64_t) {});
    if (faults.empty()) continue;
    return MakeError(ErrorCode::kCorrupt, "the archived '{}' {}", faults[0].where, faults[0].what);
  }
  return {};
}

Status RemoveUnnamed(storage::Storage* storage, const std::string& lake,
                     const std::vector<ArchiveRange>& archives, const ArchiveManifest& archive,
                     bool is_whole) {
  std::set<std::string> named;
  const auto add = [&](const ArchiveManifest& of) {
    for (const ArchivedFile& file : of.files) named.insert(file.file.path);
  };
  add(archive);
  for (auto range = archives.rbegin(); range != archives.rend(); ++range) {
    TARN_ASSIGN(const ArchiveManifest other, ReadArchive(*storage, lake, *range));
    if (other.day < archive.day) break;
    if (other.day == archive.day) add(other);
  }
  const int64_t last = is_whole ? INT64_MAX : LastNumber(archive);
  return ForEachFile(*storage, lake, "bronze_archive",
                     [&](const std::string& path, const storage::FileInfo& file) -> Status {
                       const int64_t number = NumberOf(archive.day, file.name);
                       if (number < 1 || number > last || named.contains(path)) return {};
                       spdlog::info("bronze: removing {}, left by an archiving that was cut off", path);
                       return storage->Remove(lake + "/" + path);
                     });
}

int64_t LastNumber(const ArchiveManifest& archive) {
  int64_t last = 0;
  for (const ArchivedFile& file : archive.files)
    last = std::max(last, NumberOf(archive.day, FileName(file.file.path)));
  return last;
}

}  // namespace tarn::bronze
