#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "bronze/manifest.h"

namespace tarn::bronze {

/// Parts of manifests as JSON, and back. What those that read cannot read ends in ParseManifest, as an error.
nlohmann::json FileJson(const FileEntry& file);
FileEntry FileFromJson(const nlohmann::json& from);
/// `snapshot` is said once for all files that have it.
nlohmann::json LoadFileJson(const LoadFile& file, Lsn snapshot);
LoadFile LoadFileFromJson(const nlohmann::json& from, Lsn snapshot);
Lsn LsnFromJson(const nlohmann::json& from);
std::shared_ptr<const schema::TableSchema> TableFromJson(const nlohmann::json& from);
/// A flush's manifest without its tables and events.
nlohmann::json HeadJson(const Manifest& manifest);
Manifest HeadFromJson(const nlohmann::json& from);
/// An event without a file: a truncation, or from where on only a newer copy tells.
void AddMark(const ManifestEvent& event, nlohmann::json& entry);
/// False when the entry is none.
bool ReadMark(const nlohmann::json& entry, ManifestEvent& event);

/// What `read` makes of the text. Errors: kCorrupt when it is no JSON, or not what `read` needs.
template <typename Read>
auto ParseManifest(const std::string& text, Read read) -> Result<decltype(read(nlohmann::json()))> {
  try {
    return read(nlohmann::json::parse(text));
  } catch (const std::exception& error) {
    return MakeError(ErrorCode::kCorrupt, "a Bronze manifest cannot be read: {}", error.what());
  }
}

}  // namespace tarn::bronze
