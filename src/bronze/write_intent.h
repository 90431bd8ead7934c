#pragma once

#include <optional>
#include <string>

#include "bronze/manifest.h"
#include "bronze/place.h"
#include "storage/storage.h"

namespace tarn::bronze {

/// A copy that was begun: durable before its first file is sent.
struct LoadIntent {
  int64_t copy = 0;   ///< Number of its manifest: 1 is "<table>.json".
  int last_file = 0;  ///< No file of it has a greater number.
};

/// The newest flush that was announced: its manifest, durable before its first file has its place. From then
/// on the flush counts, and whoever finds it unfinished finishes it. nullopt: there was none yet. Errors:
/// kCorrupt names the file.
Result<std::optional<Manifest>> ReadFlushIntent(const storage::Storage& storage, const BronzePlace& place);
Status WriteFlushIntent(storage::Storage& storage, const BronzePlace& place, const Manifest& manifest);
/// The local folder where a flush's files wait, complete and durable, until they have their places.
std::string WaitingFolder(const BronzePlace& place);

/// nullopt: there was none yet. Errors: kCorrupt names the file.
Result<std::optional<LoadIntent>> ReadLoadIntent(const storage::Storage& storage, const BronzePlace& place,
                                                 const std::string& table);
Status WriteLoadIntent(storage::Storage& storage, const BronzePlace& place, const std::string& table,
                       const LoadIntent& intent);

}  // namespace tarn::bronze
