#pragma once

#include <map>
#include <set>
#include <vector>

#include "engine/plan_analysis.h"

namespace tarn::engine {

/// Follows values from the tables' columns to a plan's outputs. Where an operator is not known, all its
/// outputs derive from all its inputs: more than is true, never less. Threads: one.
class ColumnLineage {
 public:
  using Sources = std::set<SourceColumn>;

  void Walk(duckdb::LogicalOperator& op);

  Sources SourcesOf(const PlanColumn& column) const;
  const Sources& row_columns() const { return row_columns_; }
  /// Every table that is read, and whether it is partitioned.
  const std::map<TableName, bool>& tables() const { return tables_; }

 private:
  Sources SourcesOf(const duckdb::Expression& expression) const;
  Sources SourcesOfAll(duckdb::LogicalOperator& op) const;
  void DecideRows(const Sources& sources) { row_columns_.insert(sources.begin(), sources.end()); }
  void WalkChildren(duckdb::LogicalOperator& op);
  void Finish(duckdb::LogicalOperator& op);
  void FinishGet(duckdb::LogicalGet& get);
  void FinishAggregate(duckdb::LogicalAggregate& aggregate);
  void FinishSetOperation(duckdb::LogicalSetOperation& operation);
  void FinishValues(duckdb::LogicalExpressionGet& values);
  void FinishUnknown(duckdb::LogicalOperator& op);
  void WalkRecursion(duckdb::LogicalRecursiveCTE& cte);
  /// `columns` of one operator stand for those of another, by position.
  void Pass(const std::vector<PlanColumn>& from, const std::vector<PlanColumn>& to);
  void SetExpressions(idx_t table, const duckdb::vector<duckdb::unique_ptr<duckdb::Expression>>& expressions);

  std::map<PlanColumn, Sources> values_;
  std::map<idx_t, std::vector<PlanColumn>> ctes_;  ///< Outputs of the definitions, by index.
  std::vector<Sources> eliminated_;                ///< What the DELIM_GETs below a DELIM_JOIN read.
  Sources row_columns_;
  std::map<TableName, bool> tables_;
};

}  // namespace tarn::engine
