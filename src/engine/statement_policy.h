#pragma once

#include "base/error.h"
#include "engine/duckdb_headers.h"

namespace tarn::engine {

/// Whether a governed session may run the statement. Errors: kPermission, naming what may be used instead.
Status CheckStatement(const duckdb::SQLStatement& statement);

// The settings that are ours and not DuckDB's.
inline constexpr const char* kAsOfSetting = "tarn.as_of";
inline constexpr const char* kAllowHeldSetting = "tarn.allow_held";

}  // namespace tarn::engine
