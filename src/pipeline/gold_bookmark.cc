#include "pipeline/gold_bookmark.h"

#include <nlohmann/json.hpp>

#include "hudi/commit_metadata.h"

namespace tarn::pipeline {

std::string HashName(const std::string& text) {
  const hudi::Hash128 hash = hudi::HashText(text);
  return fmt::format("{:016x}{:016x}", hash.high, hash.low);
}

std::string FormatContents(const GoldContents& contents) {
  constexpr size_t kMostPartitions = 512;
  if (contents.size() > kMostPartitions) return "";
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [path, hash] : contents) json[path] = {hash.high, hash.low};
  return json.dump();
}

GoldContents ParseContents(const std::string& text) {
  GoldContents contents;
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return contents;
  for (const auto& [path, hash] : json.items()) {
    const bool is_hash =
        hash.is_array() && hash.size() == 2 && hash[0].is_number_unsigned() && hash[1].is_number_unsigned();
    if (is_hash) contents[path] = {hash[1].get<uint64_t>(), hash[0].get<uint64_t>()};
  }
  return contents;
}

std::string GoldBookmark::ToJson() const {
  nlohmann::json json = {{"source", source_instant},
                         {"as_of", as_of_micros},
                         {"sql", sql},
                         {"tables", nlohmann::json::object()}};
  for (const auto& [name, table] : tables) {
    json["tables"][name] = {{"commit", table.commit}, {"shape", table.shape}};
  }
  return json.dump();
}

Result<GoldBookmark> GoldBookmark::Parse(const std::string& text) {
  try {
    const auto json = nlohmann::json::parse(text);
    GoldBookmark bookmark;
    bookmark.source_instant = json.at("source");
    bookmark.as_of_micros = json.at("as_of");
    bookmark.sql = json.at("sql");
    for (const auto& [name, table] : json.at("tables").items()) {
      bookmark.tables[name] = {table.at("commit"), table.at("shape")};
    }
    return bookmark;
  } catch (const nlohmann::json::exception& error) {
    return MakeError(ErrorCode::kCorrupt, "a Gold table's bookmark cannot be read: {}", error.what());
  }
}

Result<std::optional<GoldBookmark>> ReadBookmark(const storage::Storage& storage,
                                                 const catalog::LakeLayout& layout,
                                                 const std::string& model) {
  const std::string folder = layout.Gold(model) + "/.hoodie";
  TARN_ASSIGN(const auto files, storage.List(folder));
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    if (!file->name.ends_with(".commit")) continue;
    const std::string path = folder + "/" + file->name;
    const auto text = storage.Read(path);
    if (!text && text.error().code == ErrorCode::kNotFound) continue;  // Archived meanwhile.
    if (!text) return text.error();
    TARN_ASSIGN(const auto commit, hudi::ParseCommit(*text, path));
    const auto bookmark = commit.extra.find(GoldBookmark::kProperty);
    if (bookmark == commit.extra.end()) return std::optional<GoldBookmark>();
    TARN_ASSIGN(auto parsed, GoldBookmark::Parse(bookmark->second));
    return std::optional<GoldBookmark>(std::move(parsed));
  }
  return std::optional<GoldBookmark>();
}

}  // namespace tarn::pipeline
