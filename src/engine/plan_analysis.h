#pragma once

#include <string>

#include "engine/duckdb_headers.h"
#include "engine/lake_scan.h"
#include "engine/model_analysis.h"

namespace tarn::engine {

/// A column of an operator, as plans name it: table index and column index.
using PlanColumn = std::pair<idx_t, idx_t>;
inline PlanColumn ToPlanColumn(const duckdb::ColumnBinding& binding) {
  return {binding.table_index, binding.column_index};
}

/// The columns that an operator puts out, in order.
std::vector<PlanColumn> ColumnsOf(duckdb::LogicalOperator& op);
/// What a scan of a table of the lake reads; null for any other source.
std::shared_ptr<LakeScan> ScanOf(const duckdb::LogicalGet& get);
/// Name of a scan's output column; empty for what is no column of the table (a row's place, a file's number).
std::string ColumnName(const duckdb::LogicalGet& get, const LakeScan& scan, idx_t output);

/// Whether two calls may give two values. error(), by which scalar subqueries have more than one row refused,
/// gives none.
inline bool IsVolatile(const duckdb::ScalarFunction& function) {
  return function.GetStability() == duckdb::FunctionStability::VOLATILE && function.name != "error";
}

/// Reads a bound plan that no optimizer has seen. `names`: of its output columns. Throws what DuckDB throws.
ModelAnalysis AnalyzePlan(duckdb::LogicalOperator& plan, const std::vector<std::string>& names,
                          const std::string& partition_column);

}  // namespace tarn::engine
