#include "bronze/manifest.h"

#include <algorithm>
#include <map>

#include "bronze/manifest_json.h"

namespace tarn::bronze {

using nlohmann::json;

json FileJson(const FileEntry& file) {
  return {{"path", file.path}, {"rows", file.rows}, {"bytes", file.size_bytes}, {"crc32", file.crc32}};
}

FileEntry FileFromJson(const json& from) {
  return {from.at("path"), from.at("rows"), from.at("bytes"), from.at("crc32")};
}

json LoadFileJson(const LoadFile& file, Lsn snapshot) {
  json text = FileJson(file);
  if (file.snapshot != snapshot) text["snapshot"] = file.snapshot.ToString();
  if (file.again) text["again"] = true;
  return text;
}

LoadFile LoadFileFromJson(const json& from, Lsn snapshot) {
  LoadFile file{FileFromJson(from), snapshot, from.value("again", false)};
  if (from.contains("snapshot")) file.snapshot = LsnFromJson(from.at("snapshot"));
  return file;
}

Lsn LsnFromJson(const json& from) {
  const auto lsn = Lsn::Parse(from.get<std::string>());
  if (!lsn) throw std::invalid_argument(lsn.error().message);
  return *lsn;
}

std::shared_ptr<const schema::TableSchema> TableFromJson(const json& from) {
  auto table = schema::TableSchemaFromJson(from.dump());
  if (!table) throw std::invalid_argument(table.error().message);
  return std::make_shared<const schema::TableSchema>(std::move(*table));
}

json HeadJson(const Manifest& manifest) {
  return {{"sequence", manifest.sequence},
          {"epoch", manifest.epoch},
          {"after", manifest.after.ToString()},
          {"last_commit", manifest.last_commit.ToString()},
          {"end", manifest.end.ToString()},
          {"last_commit_micros", manifest.last_commit_micros},
          {"transactions", manifest.transactions},
          {"rows", manifest.rows},
          {"last_file_name", manifest.last_file_name}};
}

Manifest HeadFromJson(const json& from) {
  Manifest manifest;
  manifest.sequence = from.at("sequence");
  manifest.epoch = from.at("epoch");
  manifest.after = LsnFromJson(from.at("after"));
  manifest.last_commit = LsnFromJson(from.at("last_commit"));
  manifest.end = LsnFromJson(from.at("end"));
  manifest.last_commit_micros = from.at("last_commit_micros");
  manifest.transactions = from.at("transactions");
  manifest.rows = from.at("rows");
  manifest.last_file_name = from.at("last_file_name");
  return manifest;
}

void AddMark(const ManifestEvent& event, json& entry) {
  const bool truncated = event.copy_again.empty();
  json& what = entry[truncated ? "truncate" : "copy_again"];
  what = {{"lsn", event.at->lsn}, {"ordinal", event.at->ordinal}};
  if (!truncated) what["reason"] = event.copy_again;
}

bool ReadMark(const json& entry, ManifestEvent& event) {
  const bool truncated = entry.contains("truncate");
  if (!truncated && !entry.contains("copy_again")) return false;
  const json& at = entry[truncated ? "truncate" : "copy_again"];
  event.at = schema::ChangePosition{at.at("lsn"), at.at("ordinal")};
  if (!truncated) event.copy_again = at.at("reason");
  return true;
}

Lsn LoadManifest::least_snapshot() const {
  Lsn least = snapshot;
  for (const LoadFile& file : files) least = std::min(least, file.snapshot);
  return least;
}

std::string ManifestFolder(const std::string& lake) { return lake + "/_tarn/bronze/changes"; }
std::string LoadFolder(const std::string& lake) { return lake + "/_tarn/bronze/loads"; }
std::string ManifestName(int64_t sequence) { return fmt::format("{:012}.json", sequence); }

std::string LoadManifestName(const std::string& table, int64_t copy) {
  return copy == 1 ? table + ".json" : fmt::format("{}.{}.json", table, copy);
}

std::string ToJson(const Manifest& manifest) {
  // Each schema once: a table may have several files in a flush.
  std::map<const schema::TableSchema*, size_t> positions;
  json tables = json::array();
  json events = json::array();
  for (const ManifestEvent& event : manifest.events) {
    const auto [at, is_new] = positions.emplace(event.table.get(), tables.size());
    if (is_new) tables.push_back(json::parse(schema::ToJson(*event.table)));
    json entry = {{"table", at->second}};
    if (event.at) {
      AddMark(event, entry);
    } else {
      entry["file"] = FileJson(event.file);
    }
    events.push_back(std::move(entry));
  }
  json text = HeadJson(manifest);
  text["version"] = 1;
  text["tables"] = std::move(tables);
  text["events"] = std::move(events);
  return text.dump(1);
}

Result<Manifest> ManifestFromJson(const std::string& text) {
  return ParseManifest(text, [](const json& from) {
    Manifest manifest = HeadFromJson(from);
    std::vector<std::shared_ptr<const schema::TableSchema>> tables;
    for (const json& table : from.at("tables")) tables.push_back(TableFromJson(table));
    for (const json& entry : from.at("events")) {
      ManifestEvent event{tables.at(entry.at("table").get<size_t>()), {}};
      if (!ReadMark(entry, event)) event.file = FileFromJson(entry.at("file"));
      manifest.events.push_back(std::move(event));
    }
    return manifest;
  });
}

std::string ToJson(const LoadManifest& manifest) {
  json files = json::array();
  for (const LoadFile& file : manifest.files) files.push_back(LoadFileJson(file, manifest.snapshot));
  json text = {{"version", 1},
               {"table", json::parse(schema::ToJson(*manifest.table))},
               {"epoch", manifest.epoch},
               {"snapshot", manifest.snapshot.ToString()},
               {"snapshot_micros", manifest.snapshot_micros},
               {"rows", manifest.rows},
               {"files", files}};
  if (manifest.cut_off) text["cut_off"] = true;
  return text.dump(1);
}

Result<LoadManifest> LoadManifestFromJson(const std::string& text) {
  return ParseManifest(text, [](const json& from) {
    LoadManifest manifest;
    manifest.table = TableFromJson(from.at("table"));
    manifest.epoch = from.at("epoch");
    manifest.snapshot = LsnFromJson(from.at("snapshot"));
    manifest.snapshot_micros = from.at("snapshot_micros");
    manifest.rows = from.at("rows");
    manifest.cut_off = from.value("cut_off", false);
    for (const json& file : from.at("files"))
      manifest.files.push_back(LoadFileFromJson(file, manifest.snapshot));
    return manifest;
  });
}

}  // namespace tarn::bronze
