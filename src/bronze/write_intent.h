#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bronze/place.h"
#include "storage/storage.h"

namespace tarn::bronze {

/// A flush that is about to be sent: durable before its first file is. When its manifest is there it is done.
struct FlushIntent {
  int64_t sequence = 0;  ///< Of its manifest.
  int64_t epoch = 0;
  std::vector<std::string> files;      ///< Below the root.
  std::vector<std::string> abandoned;  ///< Of earlier ones that came to nothing; may still come late.
};

/// A copy that was begun: durable before its first file is sent.
struct LoadIntent {
  int64_t copy = 0;   ///< Number of its manifest: 1 is "<table>.json".
  int last_file = 0;  ///< No file of it has a greater number.
};

/// nullopt: there was none yet. Errors: kCorrupt names the file.
Result<std::optional<FlushIntent>> ReadFlushIntent(const storage::Storage& storage, const BronzePlace& place);
Status WriteFlushIntent(storage::Storage& storage, const BronzePlace& place, const FlushIntent& intent);
Result<std::optional<LoadIntent>> ReadLoadIntent(const storage::Storage& storage, const BronzePlace& place,
                                                 const std::string& table);
Status WriteLoadIntent(storage::Storage& storage, const BronzePlace& place, const std::string& table,
                       const LoadIntent& intent);

}  // namespace tarn::bronze
