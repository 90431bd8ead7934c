#pragma once

#include <memory>
#include <optional>
#include <roaring/roaring.hh>
#include <string>

#include "base/error.h"
#include "storage/storage.h"

namespace tarn::hudi {

/// Where the row positions of one log file live. Their content: magic, the commit's instant, CRC-32 of the
/// rest, then a portable roaring bitmap of positions in the slice's base file.
std::string PositionsPath(const std::string& sidecar_folder, const std::string& file_id,
                          const std::string& log_name);
std::string FormatPositions(const std::string& instant, Roaring positions);
/// nullopt when absent, damaged, or of another commit: the caller then probes the base file.
std::optional<Roaring> ReadPositions(const storage::Storage& storage, const std::string& path,
                                     const std::string& instant);

}  // namespace tarn::hudi
