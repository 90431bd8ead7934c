#include "engine/referenced_tables.h"

#include <algorithm>
#include <set>
#include <utility>

#include "engine/duckdb_headers.h"
#include "engine/sql_error.h"
#include "engine/time_travel.h"

namespace tarn::engine {
namespace {

using Names = std::set<std::string>;

std::string Lower(const std::string& name) { return duckdb::StringUtil::Lower(name); }

// Walks a query with the CTE names that are in scope at each place.
class TableCollector {
 public:
  void Visit(duckdb::QueryNode& node, Names in_scope) {
    for (auto& [name, cte] : node.cte_map.map) {
      Names inner = in_scope;
      // Only a recursive CTE sees itself; another of its own name means the table.
      if (cte->query->node->type == duckdb::QueryNodeType::RECURSIVE_CTE_NODE) inner.insert(Lower(name));
      Visit(*cte->query->node, std::move(inner));
      in_scope.insert(Lower(name));
    }
    if (node.type == duckdb::QueryNodeType::RECURSIVE_CTE_NODE) {
      auto& recursive = node.Cast<duckdb::RecursiveCTENode>();
      in_scope.insert(Lower(recursive.ctename));
    }
    VisitChildren(node, in_scope);
  }

  std::vector<TableName> Take() { return std::move(tables_); }

 private:
  void VisitChildren(duckdb::QueryNode& node, const Names& in_scope) {
    switch (node.type) {
      case duckdb::QueryNodeType::SET_OPERATION_NODE:
        for (auto& child : node.Cast<duckdb::SetOperationNode>().children) Visit(*child, in_scope);
        break;
      case duckdb::QueryNodeType::RECURSIVE_CTE_NODE:
        Visit(*node.Cast<duckdb::RecursiveCTENode>().left, in_scope);
        Visit(*node.Cast<duckdb::RecursiveCTENode>().right, in_scope);
        break;
      case duckdb::QueryNodeType::SELECT_NODE:
        VisitSelect(node.Cast<duckdb::SelectNode>(), in_scope);
        break;
      default:
        break;
    }
    duckdb::ParsedExpressionIterator::EnumerateQueryNodeModifiers(
        node,
        [&](duckdb::unique_ptr<duckdb::ParsedExpression>& child) { VisitExpression(*child, in_scope); });
  }

  void VisitSelect(duckdb::SelectNode& select, const Names& in_scope) {
    for (auto& expression : select.select_list) VisitExpression(*expression, in_scope);
    if (select.where_clause) VisitExpression(*select.where_clause, in_scope);
    for (auto& expression : select.groups.group_expressions) VisitExpression(*expression, in_scope);
    if (select.having) VisitExpression(*select.having, in_scope);
    if (select.qualify) VisitExpression(*select.qualify, in_scope);
    if (select.from_table) VisitRef(*select.from_table, in_scope);
  }

  void VisitRef(duckdb::TableRef& ref, const Names& in_scope) {
    switch (ref.type) {
      case duckdb::TableReferenceType::BASE_TABLE:
        Add(ref.Cast<duckdb::BaseTableRef>(), in_scope);
        return;
      case duckdb::TableReferenceType::SUBQUERY:
        Visit(*ref.Cast<duckdb::SubqueryRef>().subquery->node, in_scope);
        return;
      case duckdb::TableReferenceType::SHOW_REF:
        if (auto& query = ref.Cast<duckdb::ShowRef>().query) Visit(*query, in_scope);
        return;
      case duckdb::TableReferenceType::JOIN: {
        auto& join = ref.Cast<duckdb::JoinRef>();
        VisitRef(*join.left, in_scope);
        VisitRef(*join.right, in_scope);
        if (join.condition) VisitExpression(*join.condition, in_scope);
        return;
      }
      case duckdb::TableReferenceType::PIVOT:
        VisitRef(*ref.Cast<duckdb::PivotRef>().source, in_scope);
        return;
      default:
        duckdb::ParsedExpressionIterator::EnumerateTableRefChildren(
            ref,
            [&](duckdb::unique_ptr<duckdb::ParsedExpression>& child) { VisitExpression(*child, in_scope); });
    }
  }

  void VisitExpression(duckdb::ParsedExpression& expression, const Names& in_scope) {
    if (expression.GetExpressionClass() == duckdb::ExpressionClass::SUBQUERY) {
      Visit(*expression.Cast<duckdb::SubqueryExpression>().subquery->node, in_scope);
    }
    duckdb::ParsedExpressionIterator::EnumerateChildren(
        expression, [&](duckdb::ParsedExpression& child) { VisitExpression(child, in_scope); });
  }

  void Add(const duckdb::BaseTableRef& ref, const Names& in_scope) {
    TableName table{Lower(ref.schema_name), Lower(ref.table_name)};
    if (table.schema.empty() && in_scope.contains(table.name)) return;
    // "lake.orders" names the catalog, not a schema.
    if (table.schema == "lake" && ref.catalog_name.empty()) table.schema.clear();
    if (std::find(tables_.begin(), tables_.end(), table) == tables_.end())
      tables_.push_back(std::move(table));
  }

  std::vector<TableName> tables_;
};

}  // namespace

Result<std::vector<TableName>> ReferencedTables(const std::string& sql) {
  TARN_ASSIGN(const RewrittenSql rewritten, RewriteTimeTravel(sql));
  try {
    duckdb::Parser parser;
    parser.ParseQuery(rewritten.text);
    const bool is_select = parser.statements.size() == 1 &&
                           parser.statements.front()->type == duckdb::StatementType::SELECT_STATEMENT;
    if (!is_select) return MakeError(ErrorCode::kSql, "a model is one SELECT, not: {}", sql);
    TableCollector collector;
    collector.Visit(*parser.statements.front()->Cast<duckdb::SelectStatement>().node, {});
    return collector.Take();
  } catch (const std::exception& exception) {
    return SqlError(duckdb::ErrorData(exception), sql, rewritten);
  }
}

}  // namespace tarn::engine
