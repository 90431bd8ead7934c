#include "bronze/write_intent.h"

#include <nlohmann/json.hpp>

namespace tarn::bronze {
namespace {

using nlohmann::json;

std::string FlushPath(const BronzePlace& place) { return place.own_folder() + "/flush.json"; }
std::string LoadPath(const BronzePlace& place, const std::string& table) {
  return place.intents + "/loads/" + table + ".json";
}

template <typename Read>
auto ReadJson(const storage::Storage& storage, const std::string& path, Read read)
    -> Result<std::optional<decltype(read(json()))>> {
  const auto text = storage.Read(path);
  if (!text && text.error().code == ErrorCode::kNotFound) return std::optional<decltype(read(json()))>();
  if (!text) return text.error();
  try {
    return std::optional(read(json::parse(*text)));
  } catch (const json::exception& error) {
    return MakeError(ErrorCode::kCorrupt, "'{}' cannot be read: {}", path, error.what());
  }
}

}  // namespace

Result<std::optional<Manifest>> ReadFlushIntent(const storage::Storage& storage, const BronzePlace& place) {
  const std::string path = FlushPath(place);
  const auto text = storage.Read(path);
  if (!text && text.error().code == ErrorCode::kNotFound) return std::optional<Manifest>();
  if (!text) return text.error();
  // A record of an earlier version names files and no more: nothing of it was to be finished.
  const json record = json::parse(*text, nullptr, false);
  if (record.is_object() && record.contains("abandoned")) return std::optional<Manifest>();
  auto manifest = ManifestFromJson(*text);
  if (!manifest) return std::move(manifest).error().In("'" + path + "'");
  return std::optional(*std::move(manifest));
}

Status WriteFlushIntent(storage::Storage& storage, const BronzePlace& place, const Manifest& manifest) {
  return storage.Write(FlushPath(place), ToJson(manifest));
}

std::string WaitingFolder(const BronzePlace& place) { return place.own_folder() + "/flush"; }

Result<std::optional<LoadIntent>> ReadLoadIntent(const storage::Storage& storage, const BronzePlace& place,
                                                 const std::string& table) {
  return ReadJson(storage, LoadPath(place, table), [](const json& from) {
    return LoadIntent{from.at("copy"), from.at("last_file")};
  });
}

Status WriteLoadIntent(storage::Storage& storage, const BronzePlace& place, const std::string& table,
                       const LoadIntent& intent) {
  const json text = {{"copy", intent.copy}, {"last_file", intent.last_file}};
  return storage.Write(LoadPath(place, table), text.dump(1));
}

}  // namespace tarn::bronze
