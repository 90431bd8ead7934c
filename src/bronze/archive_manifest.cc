#include "bronze/archive_manifest.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "bronze/manifest_json.h"
#include "bronze/parquet_files.h"

namespace tarn::bronze {
namespace {

using nlohmann::json;

constexpr size_t kDigits = 12;
constexpr std::string_view kSuffix = ".json";

/// -1 for what is no number of a manifest.
int64_t NumberOf(std::string_view digits) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  const bool whole = error == std::errc() && end == digits.data() + digits.size();
  return whole && digits.size() >= kDigits && digits[0] != '-' ? number : -1;
}

json FlushJson(const Manifest& manifest, const std::map<std::string, size_t>& files,
               const std::map<const schema::TableSchema*, size_t>& tables) {
  json events = json::array();
  for (const ManifestEvent& event : manifest.events) {
    if (!event.at) {  // The rows of a file follow each other in the order of the flushes.
      events.push_back({files.at(event.file.path), event.file.rows});
      continue;
    }
    json entry = {{"table", tables.at(event.table.get())}};
    AddMark(event, entry);
    events.push_back(std::move(entry));
  }
  json flush = HeadJson(manifest);
  flush["events"] = std::move(events);
  return flush;
}

using Tables = std::vector<std::shared_ptr<const schema::TableSchema>>;

Manifest FlushFromJson(const json& from, const std::vector<ArchivedFile>& files, const Tables& tables,
                       std::vector<int64_t>& taken) {
  Manifest manifest = HeadFromJson(from);
  for (const json& entry : from.at("events")) {
    if (entry.is_object()) {
      ManifestEvent event{tables.at(entry.at("table").get<size_t>()), {}};
      ReadMark(entry, event);
      manifest.events.push_back(std::move(event));
      continue;
    }
    const size_t file = entry.at(0);
    ManifestEvent event{files.at(file).table, files.at(file).file};
    event.file.file_rows = event.file.rows;
    event.file.rows = entry.at(1);
    event.file.first_row = taken[file];
    taken[file] += event.file.rows;
    manifest.events.push_back(std::move(event));
  }
  return manifest;
}

}  // namespace

int64_t ArchiveManifest::rows() const {
  int64_t sum = 0;
  for (const ArchivedFile& file : files) sum += file.file.rows;
  return sum;
}

std::string ArchiveFolder(const std::string& lake) { return lake + "/_tarn/bronze/archive"; }

std::string ArchiveName(const ArchiveRange& range) {
  return fmt::format("{:012}-{:012}{}", range.first, range.last, kSuffix);
}

std::string ArchiveTableFolder(const schema::TableSchema& table) {
  const std::string folder = TableFolder(table);
  return "bronze_archive" + folder.substr(folder.find('/'));
}

std::string ToJson(const ArchiveManifest& archive) {
  std::map<const schema::TableSchema*, size_t> tables;
  json schemas = json::array();
  const auto number = [&](const std::shared_ptr<const schema::TableSchema>& table) {
    const auto [at, is_new] = tables.emplace(table.get(), schemas.size());
    if (is_new) schemas.push_back(json::parse(schema::ToJson(*table)));
    return at->second;
  };
  std::map<std::string, size_t> numbers;
  json files = json::array();
  for (const ArchivedFile& file : archive.files) {
    numbers.emplace(file.file.path, files.size());
    json entry = FileJson(file.file);
    entry["table"] = number(file.table);
    files.push_back(std::move(entry));
  }
  for (const Manifest& manifest : archive.manifests) {
    for (const ManifestEvent& event : manifest.events) number(event.table);
  }
  json flushes = json::array();
  for (const Manifest& manifest : archive.manifests) flushes.push_back(FlushJson(manifest, numbers, tables));
  const Manifest& last = archive.manifests.back();
  return json{{"version", 1},
              {"day", archive.day},
              {"archived_micros", archive.archived_micros},
              {"first_manifest", archive.first()},
              {"last_manifest", archive.last()},
              {"after", archive.manifests.front().after.ToString()},
              {"epoch", last.epoch},
              {"last_commit", last.last_commit.ToString()},
              {"rows", archive.rows()},
              {"tables", schemas},
              {"files", files},
              {"flushes", flushes}}
      .dump();
}

Result<ArchiveManifest> ArchiveManifestFromJson(const std::string& text) {
  TARN_ASSIGN(ArchiveManifest archive, ParseManifest(text, [](const json& from) {
                ArchiveManifest read;
                read.day = from.at("day");
                read.archived_micros = from.at("archived_micros");
                Tables tables;
                for (const json& table : from.at("tables")) tables.push_back(TableFromJson(table));
                for (const json& file : from.at("files"))
                  read.files.push_back({tables.at(file.at("table").get<size_t>()), FileFromJson(file)});
                std::vector<int64_t> taken(read.files.size());
                for (const json& flush : from.at("flushes"))
                  read.manifests.push_back(FlushFromJson(flush, read.files, tables, taken));
                return read;
              }));
  if (archive.manifests.empty())
    return Error{ErrorCode::kCorrupt, "the manifest of an archived day names no flush"};
  return archive;
}

int64_t SequenceOf(const std::string& manifest_name) {
  if (!manifest_name.ends_with(kSuffix)) return -1;
  return NumberOf(std::string_view(manifest_name).substr(0, manifest_name.size() - kSuffix.size()));
}

Result<std::vector<ArchiveRange>> ListArchives(const storage::Storage& storage, const std::string& lake) {
  std::vector<ArchiveRange> ranges;
  TARN_ASSIGN(const auto files, storage.List(ArchiveFolder(lake)));
  for (const auto& file : files) {
    const size_t dash = file.name.find('-');
    if (dash == std::string::npos) continue;
    const ArchiveRange range{NumberOf(std::string_view(file.name).substr(0, dash)),
                             SequenceOf(file.name.substr(dash + 1))};
    if (range.first > 0 && range.last >= range.first) ranges.push_back(range);
  }
  return ranges;
}

Result<ArchiveManifest> ReadArchive(const storage::Storage& storage, const std::string& lake,
                                    const ArchiveRange& range) {
  const std::string path = ArchiveFolder(lake) + "/" + ArchiveName(range);
  TARN_ASSIGN(const std::string json, storage.Read(path));
  auto archive = ArchiveManifestFromJson(json);
  if (!archive) return std::move(archive).error().In("'" + path + "'");
  if (archive->first() != range.first || archive->last() != range.last) {
    return MakeError(ErrorCode::kCorrupt, "'{}' holds the flushes {} to {}, which is not its name", path,
                     archive->first(), archive->last());
  }
  return archive;
}

Result<std::vector<std::string>> ListUnarchived(const storage::Storage& storage, const std::string& lake,
                                                const std::vector<ArchiveRange>& archives) {
  std::vector<std::string> names;
  TARN_ASSIGN(const auto files, storage.List(ManifestFolder(lake)));
  auto archive = archives.begin();
  for (const auto& file : files) {
    const int64_t sequence = SequenceOf(file.name);
    while (archive != archives.end() && archive->last < sequence) ++archive;
    if (archive == archives.end() || !archive->Holds(sequence)) names.push_back(file.name);
  }
  return names;
}

}  // namespace tarn::bronze
