#pragma once

#include <memory>
#include <string>

#include "engine/duckdb_headers.h"

namespace tarn::engine {

struct DatabaseOptions {
  int64_t memory_limit_bytes = int64_t{1} << 30;
  int threads = 1;
  std::string spill_folder;  ///< Exists already; empty: no spilling.
};

/// An in-memory DuckDB whose only file system is `files`. Throws what DuckDB throws.
duckdb::unique_ptr<duckdb::DuckDB> OpenDatabase(const DatabaseOptions& options,
                                                duckdb::unique_ptr<duckdb::FileSystem> files);

/// Closes every door that stays open in a DuckDB without external access: functions that read files,
/// settings, secrets or memory addresses, pragmas, COPY, replacement scans, extensions; then locks the
/// configuration. `kept_function` is a table function of ours that stays.
void Seal(duckdb::Connection& connection, const std::string& kept_function);

/// Runs a statement of ours. Throws what DuckDB throws.
void Execute(duckdb::Connection& connection, const std::string& sql);

/// Whether it is a function that Seal has dropped, so that messages can say why it is missing.
bool IsSealedFunction(const std::string& name);

}  // namespace tarn::engine
