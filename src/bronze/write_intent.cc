#include "bronze/write_intent.h"

#include <nlohmann/json.hpp>

namespace tarn::bronze {
namespace {

using nlohmann::json;

std::string FlushPath(const BronzePlace& place) { return place.intents + "/flush.json"; }
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

Result<std::optional<FlushIntent>> ReadFlushIntent(const storage::Storage& storage,
                                                   const BronzePlace& place) {
  return ReadJson(storage, FlushPath(place), [](const json& from) {
    return FlushIntent{from.at("sequence"), from.at("epoch"), from.at("files"), from.at("abandoned")};
  });
}

Status WriteFlushIntent(storage::Storage& storage, const BronzePlace& place, const FlushIntent& intent) {
  const json text = {{"sequence", intent.sequence},
                     {"epoch", intent.epoch},
                     {"files", intent.files},
                     {"abandoned", intent.abandoned}};
  return storage.Write(FlushPath(place), text.dump(1));
}

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
