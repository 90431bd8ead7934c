#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "engine/lake.h"

namespace tarn::engine {

/// The tables that a SELECT reads, each once, in order of first mention; names of its own CTEs are not among
/// them. Shape: the schema is empty where the statement gives none (sessions look into silver, then gold);
/// lower case. Errors: kSql when it cannot be parsed or is not one SELECT.
Result<std::vector<TableName>> ReferencedTables(const std::string& sql);

}  // namespace tarn::engine
