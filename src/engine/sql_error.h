#pragma once

#include <optional>
#include <string_view>

#include "base/error.h"
#include "engine/duckdb_headers.h"
#include "engine/time_travel.h"

namespace tarn::engine {

/// Turns DuckDB's error into ours, with line, column and an excerpt of what the user wrote where the place is
/// known.
Error SqlError(const duckdb::ErrorData& error, std::string_view original_sql, const RewrittenSql& rewritten);

/// "line 3, column 8:" and an excerpt of the statement there.
std::string Place(std::string_view sql, size_t offset);

}  // namespace tarn::engine
