#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "bronze/manifest.h"

namespace tarn::bronze {

/// Parts that manifests and other records of Bronze share. Reading throws what nlohmann::json throws, or
/// std::invalid_argument; whoever parses a whole file catches it.
nlohmann::json FileJson(const FileEntry& file);
FileEntry FileFromJson(const nlohmann::json& from);
/// `snapshot` is said once for all files that have it.
nlohmann::json LoadFileJson(const LoadFile& file, Lsn snapshot);
LoadFile LoadFileFromJson(const nlohmann::json& from, Lsn snapshot);
Lsn LsnFromJson(const nlohmann::json& from);
std::shared_ptr<const schema::TableSchema> TableFromJson(const nlohmann::json& from);

}  // namespace tarn::bronze
