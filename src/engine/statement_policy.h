#pragma once

#include "base/error.h"
#include "engine/duckdb_headers.h"

namespace tarn::engine {

/// Whether a governed session may run the statement. Errors: kPermission, naming what may be used instead.
Status CheckStatement(const duckdb::SQLStatement& statement);

/// "tarn.as_of": the one setting that is ours and not DuckDB's.
inline constexpr const char* kAsOfSetting = "tarn.as_of";

}  // namespace tarn::engine
