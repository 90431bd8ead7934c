#include "engine/select_list.h"

#include <arrow/api.h>

#include <algorithm>
#include <array>
#include <optional>

#include "engine/arrow_rows.h"
#include "engine/batch_engine.h"
#include "engine/duckdb_headers.h"
#include "engine/plan_analysis.h"
#include "engine/sql_error.h"

namespace tarn::engine {
namespace {

using duckdb::BinderException;
using duckdb::LogicalTypeId;
using duckdb::ParsedExpression;

constexpr std::array<const char*, 3> kManyRows = {"unnest", "unlist", "generate_subscripts"};

/// A column's type in Silver, and what it is called in SQL.
struct LakeType {
  std::string sql;
  std::shared_ptr<arrow::DataType> arrow;
};

std::optional<LakeType> LakeTypeOf(const duckdb::LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::BOOLEAN:
      return LakeType{"BOOLEAN", arrow::boolean()};
    case LogicalTypeId::TINYINT:
    case LogicalTypeId::SMALLINT:
    case LogicalTypeId::INTEGER:
    case LogicalTypeId::UTINYINT:
    case LogicalTypeId::USMALLINT:
      return LakeType{"INTEGER", arrow::int32()};
    case LogicalTypeId::BIGINT:
    case LogicalTypeId::UINTEGER:
      return LakeType{"BIGINT", arrow::int64()};
    case LogicalTypeId::FLOAT:
      return LakeType{"FLOAT", arrow::float32()};
    case LogicalTypeId::DOUBLE:
      return LakeType{"DOUBLE", arrow::float64()};
    case LogicalTypeId::DECIMAL: {
      const int width = duckdb::DecimalType::GetWidth(type), scale = duckdb::DecimalType::GetScale(type);
      return LakeType{fmt::format("DECIMAL({},{})", width, scale), arrow::decimal128(width, scale)};
    }
    case LogicalTypeId::DATE:
      return LakeType{"DATE", arrow::date32()};
    case LogicalTypeId::TIMESTAMP:
    case LogicalTypeId::TIMESTAMP_TZ:
      return LakeType{type.ToString(), arrow::timestamp(arrow::TimeUnit::MICRO, "UTC")};
    case LogicalTypeId::VARCHAR:
    case LogicalTypeId::UUID:
      return LakeType{"VARCHAR", arrow::utf8()};
    case LogicalTypeId::BLOB:
      return LakeType{"BLOB", arrow::binary()};
    default:
      return std::nullopt;
  }
}

class SelectAnalysis {
 public:
  SelectAnalysis(const std::string& table, const arrow::Schema& schema) : table_(table), schema_(schema) {}

  std::vector<SelectedColumn> Read(const duckdb::SQLStatement& statement) {
    if (statement.type != duckdb::StatementType::SELECT_STATEMENT)
      throw BinderException("it must be one SELECT");
    const auto& query = *statement.Cast<duckdb::SelectStatement>().node;
    if (query.type != duckdb::QueryNodeType::SELECT_NODE)
      throw BinderException("it must be one SELECT, without UNION and the like");
    const auto& select = query.Cast<duckdb::SelectNode>();
    CheckClauses(select);
    for (const auto& expression : select.select_list) Add(*expression);
    return std::move(columns_);
  }

 private:
  void CheckClauses(const duckdb::SelectNode& select) {
    if (!select.cte_map.map.empty()) throw BinderException("WITH has no place in a rule over one row");
    if (select.where_clause)
      throw BinderException(*select.where_clause,
                            "WHERE leaves rows out: write a rule with action quarantine");
    if (select.having) throw BinderException(*select.having, "HAVING has no place in a rule over one row");
    if (select.qualify) throw BinderException(*select.qualify, "QUALIFY has no place in a rule over one row");
    if (!select.groups.group_expressions.empty() || !select.groups.grouping_sets.empty())
      throw BinderException("GROUP BY has no place in a rule over one row");
    if (!select.modifiers.empty() || select.sample)
      throw BinderException("DISTINCT, ORDER BY, LIMIT and samples have no place in a rule over one row");
    if (select.from_table == nullptr || select.from_table->type != duckdb::TableReferenceType::BASE_TABLE)
      throw BinderException("FROM must be the table '%s' alone: no joins, no subqueries", table_);
    const auto& from = select.from_table->Cast<duckdb::BaseTableRef>();
    if (!duckdb::StringUtil::CIEquals(from.table_name, table_) || !from.schema_name.empty())
      throw BinderException("FROM must be the table '%s', and not '%s'", table_, from.table_name);
    alias_ = from.alias;
  }

  void Add(const ParsedExpression& expression) {
    if (expression.GetExpressionClass() == duckdb::ExpressionClass::STAR) {
      const auto& star = expression.Cast<duckdb::StarExpression>();
      if (star.columns || star.expr || !star.rename_list.empty())
        throw BinderException(expression, "of the stars only * with EXCLUDE and REPLACE is taken");
      return AddStar(star);
    }
    AddColumn(expression, expression.HasAlias() ? expression.GetAlias() : OwnName(expression));
  }

  void AddStar(const duckdb::StarExpression& star) {
    std::set<std::string> used;
    for (const auto& field : schema_.fields()) {
      const auto replaced = star.replace_list.find(field->name());
      if (replaced != star.replace_list.end()) {
        AddColumn(*replaced->second, field->name());
        used.insert(field->name());
        continue;
      }
      const bool excluded = std::any_of(
          star.exclude_list.begin(), star.exclude_list.end(),
          [&](const auto& name) { return duckdb::StringUtil::CIEquals(name.column, field->name()); });
      if (!excluded) AddColumn(duckdb::ColumnRefExpression(field->name()), field->name());
    }
    for (const auto& [name, by] : star.replace_list) {
      if (ColumnOf(name).empty()) throw BinderException(*by, "REPLACE names '%s', which is no column", name);
    }
    for (const auto& name : star.exclude_list) {
      if (ColumnOf(name.column).empty())
        throw BinderException(star, "EXCLUDE names '%s', which is no column", name.column);
    }
  }

  std::string OwnName(const ParsedExpression& expression) const {
    const std::string copied = CopiedFrom(expression);
    if (copied.empty()) throw BinderException(expression, "an expression needs a name: ... AS name");
    return copied;
  }

  void AddColumn(const ParsedExpression& expression, const std::string& name) {
    SelectedColumn column;
    column.name = name;
    column.copied_from = CopiedFrom(expression);
    column.offset = expression.GetQueryLocation().IsValid() ? expression.GetQueryLocation().GetIndex() : 0;
    Check(expression, column.reads);
    const auto plain = expression.Copy();
    plain->ClearAlias();
    Unqualify(*plain);
    column.expression = plain->ToString();
    const bool is_twice = std::any_of(columns_.begin(), columns_.end(), [&](const SelectedColumn& known) {
      return duckdb::StringUtil::CIEquals(known.name, name);
    });
    if (is_twice) throw BinderException(expression, "there are two columns '%s'", name);
    columns_.push_back(std::move(column));
  }

  /// Columns without the table's name or alias, which only the whole statement knows.
  void Unqualify(ParsedExpression& expression) const {
    if (expression.GetExpressionClass() == duckdb::ExpressionClass::COLUMN_REF) {
      auto& names = expression.Cast<duckdb::ColumnRefExpression>().column_names;
      const bool is_qualified = names.size() > 1 && (duckdb::StringUtil::CIEquals(names[0], alias_) ||
                                                     duckdb::StringUtil::CIEquals(names[0], table_));
      if (is_qualified) names.erase(names.begin());
    }
    duckdb::ParsedExpressionIterator::EnumerateChildren(
        expression, [&](duckdb::unique_ptr<ParsedExpression>& child) { Unqualify(*child); });
  }

  /// Refuses what is no expression over one row; collects the columns that it reads.
  void Check(const ParsedExpression& expression, std::set<std::string>& reads) const {
    switch (expression.GetExpressionClass()) {
      case duckdb::ExpressionClass::SUBQUERY:
        throw BinderException(expression, "subqueries have no place in a rule over one row");
      case duckdb::ExpressionClass::WINDOW:
        throw BinderException(expression, "window functions have no place in a rule over one row");
      case duckdb::ExpressionClass::STAR:
        throw BinderException(expression, "* stands for columns of its own, not inside of expressions");
      case duckdb::ExpressionClass::PARAMETER:
        throw BinderException(expression, "a rule has no parameters");
      case duckdb::ExpressionClass::FUNCTION: {
        const auto& name = expression.Cast<duckdb::FunctionExpression>().function_name;
        if (std::find(kManyRows.begin(), kManyRows.end(), name) != kManyRows.end())
          throw BinderException(expression, "%s() makes several rows of one", name);
        break;
      }
      case duckdb::ExpressionClass::COLUMN_REF: {
        const auto& names = expression.Cast<duckdb::ColumnRefExpression>().column_names;
        for (const auto& name : names) {
          if (const std::string column = ColumnOf(name); !column.empty()) reads.insert(column);
        }
        break;
      }
      default:
        break;
    }
    duckdb::ParsedExpressionIterator::EnumerateChildren(
        expression, [&](const ParsedExpression& child) { Check(child, reads); });
  }

  std::string CopiedFrom(const ParsedExpression& expression) const {
    if (expression.GetExpressionClass() != duckdb::ExpressionClass::COLUMN_REF) return "";
    return ColumnOf(expression.Cast<duckdb::ColumnRefExpression>().GetColumnName());
  }

  std::string ColumnOf(const std::string& name) const {
    for (const auto& field : schema_.fields()) {
      if (duckdb::StringUtil::CIEquals(field->name(), name)) return field->name();
    }
    return "";
  }

  const std::string& table_;
  const arrow::Schema& schema_;
  std::string alias_;
  std::vector<SelectedColumn> columns_;
};

void CheckBound(const duckdb::Expression& expression) {
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_FUNCTION) {
    const auto& function = expression.Cast<duckdb::BoundFunctionExpression>().function;
    if (function.GetStability() != duckdb::FunctionStability::CONSISTENT && function.name != "error") {
      throw BinderException(expression,
                            "%s() gives another value each time; a rule must make the same of a row always",
                            function.name);
    }
  }
  duckdb::ExpressionIterator::EnumerateChildren(expression,
                                                [](const duckdb::Expression& child) { CheckBound(child); });
}

void CheckPlan(duckdb::LogicalOperator& op) {
  using duckdb::LogicalOperatorType;
  if (op.type == LogicalOperatorType::LOGICAL_AGGREGATE_AND_GROUP_BY)
    throw BinderException("aggregates have no place in a rule over one row");
  if (op.type != LogicalOperatorType::LOGICAL_PROJECTION && op.type != LogicalOperatorType::LOGICAL_GET)
    throw BinderException("%s has no place in a rule over one row", duckdb::LogicalOperatorToString(op.type));
  duckdb::LogicalOperatorVisitor::EnumerateExpressions(
      op, [](duckdb::unique_ptr<duckdb::Expression>* expression) { CheckBound(**expression); });
  for (const auto& child : op.children) CheckPlan(*child);
}

/// Gives the columns their types.
void Bind(BatchEngine& engine, const std::string& sql, std::vector<SelectedColumn>& columns,
          const std::string& table, const arrow::Schema& schema) {
  std::string bound_sql;
  for (const SelectedColumn& column : columns)
    bound_sql += (bound_sql.empty() ? "SELECT " : ", ") + column.expression;
  bound_sql += " FROM " + duckdb::KeywordHelper::WriteQuoted(table, '"');
  duckdb::vector<duckdb::LogicalType> types;
  // The statement as it is written, for its places; then column by column, as they are computed.
  for (const std::string* text : std::array<const std::string*, 2>{&sql, &bound_sql}) {
    engine.Plan(*text, table, schema, [&](duckdb::Planner& planner) {
      CheckPlan(*planner.plan);
      types = planner.types;
    });
  }
  for (size_t i = 0; i < columns.size(); i++) {
    SelectedColumn& column = columns[i];
    const auto type = LakeTypeOf(types[i]);
    if (!type) {
      throw BinderException(
          "the column '%s' would be of the type %s, which lakes do not have: CAST it to VARCHAR, BIGINT, "
          "DOUBLE, "
          "DECIMAL(p,s), DATE or TIMESTAMPTZ",
          column.name, types[i].ToString());
    }
    column.type = type->arrow;
    if (!column.copied_from.empty()) column.type = schema.GetFieldByName(column.copied_from)->type();
    column.expression = "CAST(" + column.expression + " AS " + type->sql + ")";
  }
}

}  // namespace

Result<std::vector<SelectedColumn>> AnalyzeSelectList(const std::string& sql, const std::string& table,
                                                      const arrow::Schema& schema) {
  RewrittenSql same;
  same.text = sql;
  try {
    BatchEngine engine;
    duckdb::Parser parser(engine.context().GetParserOptions());
    parser.ParseQuery(sql);
    if (parser.statements.size() != 1) return Error{ErrorCode::kInvalidArgument, "it must be one SELECT"};
    auto columns = SelectAnalysis(table, schema).Read(*parser.statements.front());
    Bind(engine, sql, columns, table, schema);
    return columns;
  } catch (const std::exception& exception) {
    return SqlError(duckdb::ErrorData(exception), sql, same);
  }
}

std::string PlaceInSql(const std::string& sql, size_t offset) { return Place(sql, offset); }

}  // namespace tarn::engine
