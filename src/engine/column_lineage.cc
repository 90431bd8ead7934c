#include "engine/column_lineage.h"

namespace tarn::engine {

using duckdb::LogicalOperatorType;

ColumnLineage::Sources ColumnLineage::SourcesOf(const PlanColumn& column) const {
  const auto found = values_.find(column);
  return found == values_.end() ? Sources() : found->second;
}

ColumnLineage::Sources ColumnLineage::SourcesOf(const duckdb::Expression& expression) const {
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_COLUMN_REF) {
    return SourcesOf(ToPlanColumn(expression.Cast<duckdb::BoundColumnRefExpression>().binding));
  }
  Sources sources;
  duckdb::ExpressionIterator::EnumerateChildren(
      expression, [&](const duckdb::Expression& child) { sources.merge(SourcesOf(child)); });
  return sources;
}

ColumnLineage::Sources ColumnLineage::SourcesOfAll(duckdb::LogicalOperator& op) const {
  Sources sources;
  duckdb::LogicalOperatorVisitor::EnumerateExpressions(
      op,
      [&](duckdb::unique_ptr<duckdb::Expression>* expression) { sources.merge(SourcesOf(**expression)); });
  return sources;
}

void ColumnLineage::Pass(const std::vector<PlanColumn>& from, const std::vector<PlanColumn>& to) {
  for (size_t i = 0; i < to.size() && i < from.size(); i++) {
    const Sources sources = SourcesOf(from[i]);
    values_[to[i]].insert(sources.begin(), sources.end());
  }
}

void ColumnLineage::SetExpressions(
    idx_t table, const duckdb::vector<duckdb::unique_ptr<duckdb::Expression>>& expressions) {
  for (idx_t i = 0; i < expressions.size(); i++) values_[{table, i}] = SourcesOf(*expressions[i]);
}

void ColumnLineage::Walk(duckdb::LogicalOperator& op) {
  if (op.type == LogicalOperatorType::LOGICAL_RECURSIVE_CTE) {
    WalkRecursion(op.Cast<duckdb::LogicalRecursiveCTE>());
    return;
  }
  WalkChildren(op);
  Finish(op);
}

void ColumnLineage::WalkChildren(duckdb::LogicalOperator& op) {
  for (size_t i = 0; i < op.children.size(); i++) {
    Walk(*op.children[i]);
    if (i > 0) continue;
    if (op.type == LogicalOperatorType::LOGICAL_MATERIALIZED_CTE) {
      ctes_[op.Cast<duckdb::LogicalMaterializedCTE>().table_index] = ColumnsOf(*op.children[0]);
    } else if (op.type == LogicalOperatorType::LOGICAL_DELIM_JOIN) {
      eliminated_.clear();
      for (const auto& column : op.Cast<duckdb::LogicalComparisonJoin>().duplicate_eliminated_columns) {
        eliminated_.push_back(SourcesOf(*column));
      }
    }
  }
}

void ColumnLineage::WalkRecursion(duckdb::LogicalRecursiveCTE& cte) {
  const auto outputs = ColumnsOf(cte);
  Walk(*cte.children[0]);
  Pass(ColumnsOf(*cte.children[0]), outputs);
  ctes_[cte.table_index] = outputs;
  // A round carries sources one column further; there are no more rounds that change anything than columns.
  for (idx_t round = 0; round <= cte.column_count; round++) {
    Walk(*cte.children[1]);
    Pass(ColumnsOf(*cte.children[1]), outputs);
  }
  for (const PlanColumn& column : outputs) DecideRows(SourcesOf(column));
}

void ColumnLineage::Finish(duckdb::LogicalOperator& op) {
  switch (op.type) {
    case LogicalOperatorType::LOGICAL_GET:
      return FinishGet(op.Cast<duckdb::LogicalGet>());
    case LogicalOperatorType::LOGICAL_PROJECTION:
      return SetExpressions(op.Cast<duckdb::LogicalProjection>().table_index, op.expressions);
    case LogicalOperatorType::LOGICAL_WINDOW:
      return SetExpressions(op.Cast<duckdb::LogicalWindow>().window_index, op.expressions);
    case LogicalOperatorType::LOGICAL_UNNEST:
      return SetExpressions(op.Cast<duckdb::LogicalUnnest>().unnest_index, op.expressions);
    case LogicalOperatorType::LOGICAL_AGGREGATE_AND_GROUP_BY:
      return FinishAggregate(op.Cast<duckdb::LogicalAggregate>());
    case LogicalOperatorType::LOGICAL_EXPRESSION_GET:
      return FinishValues(op.Cast<duckdb::LogicalExpressionGet>());
    case LogicalOperatorType::LOGICAL_UNION:
    case LogicalOperatorType::LOGICAL_EXCEPT:
    case LogicalOperatorType::LOGICAL_INTERSECT:
      return FinishSetOperation(op.Cast<duckdb::LogicalSetOperation>());
    case LogicalOperatorType::LOGICAL_CTE_REF: {
      auto& reference = op.Cast<duckdb::LogicalCTERef>();
      return Pass(ctes_[reference.cte_index], ColumnsOf(reference));
    }
    case LogicalOperatorType::LOGICAL_DELIM_GET: {
      const auto columns = ColumnsOf(op);
      for (size_t i = 0; i < columns.size() && i < eliminated_.size(); i++)
        values_[columns[i]] = eliminated_[i];
      return;
    }
    case LogicalOperatorType::LOGICAL_COMPARISON_JOIN:
    case LogicalOperatorType::LOGICAL_DELIM_JOIN:
    case LogicalOperatorType::LOGICAL_ASOF_JOIN:
    case LogicalOperatorType::LOGICAL_ANY_JOIN: {
      const Sources conditions = SourcesOfAll(op);
      auto& join = static_cast<duckdb::LogicalJoin&>(op);
      if (join.join_type == duckdb::JoinType::MARK) values_[{join.mark_index, 0}] = conditions;
      return DecideRows(conditions);
    }
    case LogicalOperatorType::LOGICAL_FILTER:
    case LogicalOperatorType::LOGICAL_DISTINCT:
    case LogicalOperatorType::LOGICAL_TOP_N:
      return DecideRows(SourcesOfAll(op));
    case LogicalOperatorType::LOGICAL_LIMIT:
      // Which rows are left depends on their order.
      if (op.children[0]->type == LogicalOperatorType::LOGICAL_ORDER_BY)
        DecideRows(SourcesOfAll(*op.children[0]));
      return DecideRows(SourcesOfAll(op));
    case LogicalOperatorType::LOGICAL_ORDER_BY:
    case LogicalOperatorType::LOGICAL_CROSS_PRODUCT:
    case LogicalOperatorType::LOGICAL_POSITIONAL_JOIN:
    case LogicalOperatorType::LOGICAL_MATERIALIZED_CTE:
    case LogicalOperatorType::LOGICAL_SAMPLE:
    case LogicalOperatorType::LOGICAL_DUMMY_SCAN:
    case LogicalOperatorType::LOGICAL_EMPTY_RESULT:
    case LogicalOperatorType::LOGICAL_CHUNK_GET:
      return;
    default:
      return FinishUnknown(op);
  }
}

void ColumnLineage::FinishGet(duckdb::LogicalGet& get) {
  const auto scan = ScanOf(get);
  if (scan == nullptr) return FinishUnknown(get);
  tables_[scan->table()] = scan->is_partitioned();
  const auto columns = ColumnsOf(get);
  for (idx_t i = 0; i < columns.size() && i < get.GetColumnIds().size(); i++) {
    // Reading no column at all (count(*)) is no source.
    if (get.GetColumnIds()[i].GetPrimaryIndex() == duckdb::COLUMN_IDENTIFIER_EMPTY) continue;
    values_[columns[i]] = Sources{SourceColumn{scan->table(), ColumnName(get, *scan, i)}};
  }
}

void ColumnLineage::FinishAggregate(duckdb::LogicalAggregate& aggregate) {
  SetExpressions(aggregate.group_index, aggregate.groups);
  SetExpressions(aggregate.aggregate_index, aggregate.expressions);
  for (idx_t i = 0; i < aggregate.groups.size(); i++)
    DecideRows(SourcesOf(PlanColumn{aggregate.group_index, i}));
}

void ColumnLineage::FinishSetOperation(duckdb::LogicalSetOperation& operation) {
  const auto outputs = ColumnsOf(operation);
  const bool is_union = operation.type == LogicalOperatorType::LOGICAL_UNION;
  for (size_t i = 0; i < operation.children.size(); i++) {
    const auto inputs = ColumnsOf(*operation.children[i]);
    if (is_union || i == 0) Pass(inputs, outputs);
    if (is_union && operation.setop_all) continue;
    for (const PlanColumn& column : inputs) DecideRows(SourcesOf(column));
  }
}

void ColumnLineage::FinishValues(duckdb::LogicalExpressionGet& values) {
  for (const auto& row : values.expressions) {
    for (idx_t i = 0; i < row.size(); i++) values_[{values.table_index, i}].merge(SourcesOf(*row[i]));
  }
}

void ColumnLineage::FinishUnknown(duckdb::LogicalOperator& op) {
  Sources all = SourcesOfAll(op);
  for (const auto& child : op.children) {
    for (const PlanColumn& column : ColumnsOf(*child)) all.merge(SourcesOf(column));
  }
  for (const PlanColumn& column : ColumnsOf(op)) values_[column].insert(all.begin(), all.end());
  DecideRows(all);
}

}  // namespace tarn::engine
