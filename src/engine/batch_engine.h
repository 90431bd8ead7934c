#pragma once

#include <arrow/type_fwd.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "engine/duckdb_headers.h"

namespace tarn::engine {

/// Batches by table name.
using BatchTables = std::map<std::string, std::shared_ptr<arrow::RecordBatch>>;

/// A DuckDB that can open no file and knows no lake; names of batches are tables while they are set. Throws
/// what DuckDB throws. Threads: one at a time.
class BatchEngine {
 public:
  BatchEngine();

  duckdb::ClientContext& context() { return *connection_->context; }
  /// Runs one statement over the tables. Not thrown: what the result says went wrong.
  duckdb::unique_ptr<duckdb::QueryResult> Run(duckdb::unique_ptr<duckdb::SQLStatement> statement,
                                              const BatchTables& tables);
  /// Binds one statement over a table of these columns, without optimizing it.
  void Plan(const std::string& sql, const std::string& table, const arrow::Schema& schema,
            const std::function<void(duckdb::Planner&)>& take);

 private:
  struct Tables;
  duckdb::shared_ptr<Tables> tables_;
  duckdb::unique_ptr<duckdb::DuckDB> database_;
  duckdb::unique_ptr<duckdb::Connection> connection_;
};

}  // namespace tarn::engine
