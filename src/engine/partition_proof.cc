#include "engine/partition_proof.h"

#include <algorithm>
#include <map>
#include <set>

#include "engine/as_of_function.h"

namespace tarn::engine {
namespace {

using duckdb::Expression;
using duckdb::ExpressionClass;
using duckdb::JoinType;
using duckdb::LogicalOperator;
using duckdb::LogicalOperatorType;

/// Two columns that are equal in every row that counts.
using Equality = std::pair<PlanColumn, PlanColumn>;
using Equalities = std::vector<Equality>;

/// What is known of an operator's rows. They are those over each partition value alone, put together: to be
/// kept true by every step. Where an operator reads no partitioned table, they are the same for all values.
struct Rows {
  bool is_constant = false;
  std::set<PlanColumn> keys;  ///< Columns that have the partition's value in every row.
};

/// The column that an expression is, through casts that keep the value's text.
const duckdb::BoundColumnRefExpression* PlainColumn(const Expression& expression, bool through_casts) {
  if (expression.GetExpressionClass() == ExpressionClass::BOUND_COLUMN_REF) {
    const auto& column = expression.Cast<duckdb::BoundColumnRefExpression>();
    return column.depth == 0 ? &column : nullptr;
  }
  if (!through_casts || expression.GetExpressionClass() != ExpressionClass::BOUND_CAST) return nullptr;
  const auto& cast = expression.Cast<duckdb::BoundCastExpression>();
  const bool keeps = cast.child->return_type.IsIntegral() && cast.return_type.IsIntegral() && !cast.try_cast;
  return keeps ? PlainColumn(*cast.child, true) : nullptr;
}

void AddEquality(const Expression& left, const Expression& right, Equalities* equalities) {
  const auto* a = PlainColumn(left, true);
  const auto* b = PlainColumn(right, true);
  if (a == nullptr || b == nullptr) return;
  // Integers of any width have one text each; of other types only the same one is compared.
  const bool both_integers = a->return_type.IsIntegral() && b->return_type.IsIntegral();
  if (both_integers || a->return_type == b->return_type) {
    equalities->push_back({ToPlanColumn(a->binding), ToPlanColumn(b->binding)});
  }
}

bool IsEquality(duckdb::ExpressionType type) {
  return type == duckdb::ExpressionType::COMPARE_EQUAL ||
         type == duckdb::ExpressionType::COMPARE_NOT_DISTINCT_FROM;
}

/// Those that hold wherever the condition is true.
void AddEqualities(const Expression& condition, Equalities* equalities) {
  if (condition.GetExpressionClass() == ExpressionClass::BOUND_CONJUNCTION &&
      condition.GetExpressionType() == duckdb::ExpressionType::CONJUNCTION_AND) {
    for (const auto& part : condition.Cast<duckdb::BoundConjunctionExpression>().children) {
      AddEqualities(*part, equalities);
    }
  } else if (condition.GetExpressionClass() == ExpressionClass::BOUND_COMPARISON &&
             IsEquality(condition.GetExpressionType())) {
    const auto& comparison = condition.Cast<duckdb::BoundComparisonExpression>();
    AddEquality(*comparison.left, *comparison.right, equalities);
  }
}

/// Types of which equal values have equal texts, and so lie in one partition.
bool HasOneText(const duckdb::LogicalType& type) {
  switch (type.id()) {
    case duckdb::LogicalTypeId::BOOLEAN:
    case duckdb::LogicalTypeId::DATE:
      return true;
    case duckdb::LogicalTypeId::VARCHAR:
      return duckdb::StringType::GetCollation(type).empty();
    default:
      return type.IsIntegral();
  }
}

class Proof {
 public:
  Rows Walk(LogicalOperator& op, const Equalities& above);
  const std::string& reason() const { return reason_; }

 private:
  Rows Fail(std::string reason) {
    if (reason_.empty()) reason_ = std::move(reason);
    return {};
  }
  void CheckExpression(const Expression& expression);
  Rows WalkGet(duckdb::LogicalGet& get);
  Rows WalkProjection(duckdb::LogicalProjection& projection);
  Rows WalkFilter(LogicalOperator& filter, const Equalities& above);
  Rows WalkJoin(LogicalOperator& op, const Equalities& above);
  Rows Join(JoinType type, const Rows& left, const Rows& right, const Equalities& equalities,
            LogicalOperator& op);
  Rows WalkAggregate(duckdb::LogicalAggregate& aggregate);
  Rows WalkWindow(LogicalOperator& op);
  Rows WalkDistinct(duckdb::LogicalDistinct& distinct);
  Rows WalkUnion(duckdb::LogicalSetOperation& operation);
  Rows WalkDifference(duckdb::LogicalSetOperation& operation);
  Rows WalkCte(duckdb::LogicalMaterializedCTE& cte);
  Rows WalkReference(duckdb::LogicalCTERef& reference);
  /// What only a result without partitioned tables allows.
  Rows NeedConstant(LogicalOperator& op, const std::string& what);
  /// What people call the inputs of an operator.
  std::string Names(LogicalOperator& op) const;

  struct Definition {
    Rows rows;
    std::vector<PlanColumn> columns;
    std::string name;
  };
  std::map<idx_t, Definition> ctes_;
  std::string reason_;
};

void Proof::CheckExpression(const Expression& expression) {
  switch (expression.GetExpressionClass()) {
    case ExpressionClass::BOUND_FUNCTION: {
      const auto& function = expression.Cast<duckdb::BoundFunctionExpression>().function;
      if (IsVolatile(function) && function.name != kAsOfFunction) {
        Fail(fmt::format("{}() gives another value at each call", function.name));
      } else if (function.HasBindLambdaCallback()) {
        Fail(fmt::format("what the lambda of {}() does is not known", function.name));
      }
      break;
    }
    case ExpressionClass::BOUND_COLUMN_REF:
      if (expression.Cast<duckdb::BoundColumnRefExpression>().depth > 0)
        Fail("a subquery reads columns from outside");
      break;
    case ExpressionClass::BOUND_AGGREGATE:
    case ExpressionClass::BOUND_BETWEEN:
    case ExpressionClass::BOUND_CASE:
    case ExpressionClass::BOUND_CAST:
    case ExpressionClass::BOUND_COMPARISON:
    case ExpressionClass::BOUND_CONJUNCTION:
    case ExpressionClass::BOUND_CONSTANT:
    case ExpressionClass::BOUND_OPERATOR:
    case ExpressionClass::BOUND_UNNEST:
    case ExpressionClass::BOUND_WINDOW:
      break;
    case ExpressionClass::BOUND_SUBQUERY:
      Fail("a subquery stands in an expression");
      break;
    default:
      Fail(fmt::format("what {} depends on is not known", expression.ToString()));
  }
  duckdb::ExpressionIterator::EnumerateChildren(expression,
                                                [&](const Expression& child) { CheckExpression(child); });
}

std::string Proof::Names(LogicalOperator& op) const {
  if (op.type == LogicalOperatorType::LOGICAL_GET) {
    const auto scan = ScanOf(op.Cast<duckdb::LogicalGet>());
    return scan != nullptr ? scan->table().name : op.Cast<duckdb::LogicalGet>().function.name + "()";
  }
  if (op.type == LogicalOperatorType::LOGICAL_CTE_REF) {
    const auto found = ctes_.find(op.Cast<duckdb::LogicalCTERef>().cte_index);
    if (found != ctes_.end()) return found->second.name;
  }
  std::string names;
  for (const auto& child : op.children) {
    const std::string more = Names(*child);
    if (!more.empty()) names += (names.empty() ? "" : ", ") + more;
  }
  return names;
}

Rows Proof::Walk(LogicalOperator& op, const Equalities& above) {
  duckdb::LogicalOperatorVisitor::EnumerateExpressions(
      op, [&](duckdb::unique_ptr<Expression>* expression) { CheckExpression(**expression); });
  switch (op.type) {
    case LogicalOperatorType::LOGICAL_GET:
      return WalkGet(op.Cast<duckdb::LogicalGet>());
    case LogicalOperatorType::LOGICAL_DUMMY_SCAN:
    case LogicalOperatorType::LOGICAL_EMPTY_RESULT:
    case LogicalOperatorType::LOGICAL_CHUNK_GET:
      return {true, {}};
    case LogicalOperatorType::LOGICAL_EXPRESSION_GET:
      return NeedConstant(op, "VALUES over rows");
    case LogicalOperatorType::LOGICAL_PROJECTION:
      return WalkProjection(op.Cast<duckdb::LogicalProjection>());
    case LogicalOperatorType::LOGICAL_FILTER:
      return WalkFilter(op, above);
    case LogicalOperatorType::LOGICAL_ORDER_BY:
    case LogicalOperatorType::LOGICAL_UNNEST:
      return Walk(*op.children[0], {});
    case LogicalOperatorType::LOGICAL_COMPARISON_JOIN:
    case LogicalOperatorType::LOGICAL_ANY_JOIN:
    case LogicalOperatorType::LOGICAL_CROSS_PRODUCT:
      return WalkJoin(op, above);
    case LogicalOperatorType::LOGICAL_AGGREGATE_AND_GROUP_BY:
      return WalkAggregate(op.Cast<duckdb::LogicalAggregate>());
    case LogicalOperatorType::LOGICAL_WINDOW:
      return WalkWindow(op);
    case LogicalOperatorType::LOGICAL_DISTINCT:
      return WalkDistinct(op.Cast<duckdb::LogicalDistinct>());
    case LogicalOperatorType::LOGICAL_UNION:
      return WalkUnion(op.Cast<duckdb::LogicalSetOperation>());
    case LogicalOperatorType::LOGICAL_EXCEPT:
    case LogicalOperatorType::LOGICAL_INTERSECT:
      return WalkDifference(op.Cast<duckdb::LogicalSetOperation>());
    case LogicalOperatorType::LOGICAL_MATERIALIZED_CTE:
      return WalkCte(op.Cast<duckdb::LogicalMaterializedCTE>());
    case LogicalOperatorType::LOGICAL_CTE_REF:
      return WalkReference(op.Cast<duckdb::LogicalCTERef>());
    case LogicalOperatorType::LOGICAL_LIMIT:
    case LogicalOperatorType::LOGICAL_TOP_N:
      return NeedConstant(op, "LIMIT counts rows of all partitions of");
    case LogicalOperatorType::LOGICAL_DELIM_JOIN:
    case LogicalOperatorType::LOGICAL_DEPENDENT_JOIN:
    case LogicalOperatorType::LOGICAL_DELIM_GET:
      return Fail(fmt::format("a correlated subquery over {}", Names(op)));
    default:
      return Fail(fmt::format("{} over {} is not known here", op.GetName(), Names(op)));
  }
}

Rows Proof::NeedConstant(LogicalOperator& op, const std::string& what) {
  const Rows rows = Walk(*op.children[0], {});
  if (rows.is_constant) return rows;
  return Fail(fmt::format("{} {}", what, Names(op)));
}

Rows Proof::WalkGet(duckdb::LogicalGet& get) {
  const auto scan = ScanOf(get);
  // Nobody knows what a function reads.
  if (scan == nullptr || !get.children.empty()) return Fail(fmt::format("{}() in FROM", get.function.name));
  if (!scan->is_partitioned()) return {true, {}};
  Rows rows;
  const auto columns = ColumnsOf(get);
  for (idx_t i = 0; i < columns.size() && i < get.GetColumnIds().size(); i++) {
    const idx_t column = get.GetColumnIds()[i].GetPrimaryIndex();
    if (column < scan->names().size() && scan->PartitionField(column) == size_t{0} &&
        HasOneText(scan->types()[column])) {
      rows.keys.insert(columns[i]);
    }
  }
  return rows;
}

Rows Proof::WalkProjection(duckdb::LogicalProjection& projection) {
  const Rows below = Walk(*projection.children[0], {});
  Rows rows{below.is_constant, {}};
  for (idx_t i = 0; i < projection.expressions.size(); i++) {
    const auto* column = PlainColumn(*projection.expressions[i], false);
    if (column != nullptr && below.keys.contains(ToPlanColumn(column->binding))) {
      rows.keys.insert({projection.table_index, i});
    }
  }
  return rows;
}

/// Columns that equal a key are keys.
void Spread(const Equalities& equalities, std::set<PlanColumn>* keys) {
  bool again = true;
  while (again) {
    again = false;
    for (const auto& [a, b] : equalities) {
      if (keys->contains(a) != keys->contains(b)) {
        keys->insert(a);
        keys->insert(b);
        again = true;
      }
    }
  }
}

Rows Proof::WalkFilter(LogicalOperator& filter, const Equalities& above) {
  Equalities equalities = above;
  for (const auto& condition : filter.expressions) AddEqualities(*condition, &equalities);
  // Joins below may count on the filter: rows that it drops need not be put together rightly.
  Rows rows = Walk(*filter.children[0], equalities);
  if (!rows.is_constant) Spread(equalities, &rows.keys);
  return rows;
}

Rows Proof::WalkJoin(LogicalOperator& op, const Equalities& above) {
  Equalities equalities;
  JoinType type = JoinType::INNER;
  if (op.type == LogicalOperatorType::LOGICAL_COMPARISON_JOIN) {
    auto& join = op.Cast<duckdb::LogicalComparisonJoin>();
    type = join.join_type;
    for (const auto& condition : join.conditions) {
      if (IsEquality(condition.comparison)) AddEquality(*condition.left, *condition.right, &equalities);
    }
    if (join.predicate != nullptr) AddEqualities(*join.predicate, &equalities);
  } else if (op.type == LogicalOperatorType::LOGICAL_ANY_JOIN) {
    auto& join = op.Cast<duckdb::LogicalAnyJoin>();
    type = join.join_type;
    AddEqualities(*join.condition, &equalities);
  }
  const bool is_inner = type == JoinType::INNER;
  if (is_inner) equalities.insert(equalities.end(), above.begin(), above.end());
  const Equalities none;
  const Rows left = Walk(*op.children[0], is_inner ? equalities : none);
  const Rows right = Walk(*op.children[1], is_inner ? equalities : none);
  return Join(type, left, right, equalities, op);
}

Rows Proof::Join(JoinType type, const Rows& left, const Rows& right, const Equalities& equalities,
                 LogicalOperator& op) {
  if (left.is_constant && right.is_constant) return {true, {}};
  const bool is_constant_free = !left.is_constant && !right.is_constant;
  const bool is_met = std::any_of(equalities.begin(), equalities.end(), [&](const Equality& pair) {
    return (left.keys.contains(pair.first) && right.keys.contains(pair.second)) ||
           (left.keys.contains(pair.second) && right.keys.contains(pair.first));
  });
  const std::string sides = fmt::format("{} and {}", Names(*op.children[0]), Names(*op.children[1]));
  if (is_constant_free && !is_met) {
    return Fail(fmt::format("the join of {} does not ask for the same partition on both sides", sides));
  }
  // Whose rows stay whether or not the other side has some for them.
  const auto preserve = [&](const Rows& kept) -> Rows {
    if (!kept.is_constant) return {false, kept.keys};
    return Fail(fmt::format("the join of {} keeps rows of a table without partitions", sides));
  };
  switch (type) {
    case JoinType::INNER: {
      Rows rows{false, left.keys};
      rows.keys.insert(right.keys.begin(), right.keys.end());
      Spread(equalities, &rows.keys);
      return rows;
    }
    case JoinType::LEFT:
    case JoinType::SINGLE:
    case JoinType::SEMI:
    case JoinType::ANTI:
      return preserve(left);
    case JoinType::RIGHT:
    case JoinType::RIGHT_SEMI:
    case JoinType::RIGHT_ANTI:
      return preserve(right);
    case JoinType::MARK:
      // A NULL anywhere on the right makes the mark of every other row NULL.
      if (right.is_constant) return preserve(left);
      return Fail(fmt::format("IN over {} asks rows of all partitions", Names(*op.children[1])));
    default:
      return Fail(fmt::format("the FULL JOIN of {}", sides));
  }
}

Rows Proof::WalkAggregate(duckdb::LogicalAggregate& aggregate) {
  const Rows below = Walk(*aggregate.children[0], {});
  if (below.is_constant) return below;
  const auto is_in_all = [&](idx_t group) {
    return std::all_of(aggregate.grouping_sets.begin(), aggregate.grouping_sets.end(),
                       [&](const duckdb::GroupingSet& set) { return set.find(group) != set.end(); });
  };
  Rows rows;
  for (idx_t i = 0; i < aggregate.groups.size(); i++) {
    const auto* column = PlainColumn(*aggregate.groups[i], false);
    if (column != nullptr && below.keys.contains(ToPlanColumn(column->binding)) && is_in_all(i)) {
      rows.keys.insert({aggregate.group_index, i});
    }
  }
  if (!rows.keys.empty()) return rows;
  if (aggregate.groups.empty())
    return Fail(fmt::format("an aggregate over all rows of {}", Names(aggregate)));
  return Fail(fmt::format("rows of {} are grouped without their partition", Names(aggregate)));
}

Rows Proof::WalkWindow(LogicalOperator& op) {
  Rows rows = Walk(*op.children[0], {});
  if (rows.is_constant) return rows;
  for (const auto& expression : op.expressions) {
    const auto& window = expression->Cast<duckdb::BoundWindowExpression>();
    const bool is_inside =
        std::any_of(window.partitions.begin(), window.partitions.end(), [&](const auto& by) {
          const auto* column = PlainColumn(*by, false);
          return column != nullptr && rows.keys.contains(ToPlanColumn(column->binding));
        });
    if (!is_inside) return Fail(fmt::format("the window of {} spans partitions", window.ToString()));
  }
  return rows;
}

Rows Proof::WalkDistinct(duckdb::LogicalDistinct& distinct) {
  Rows rows = Walk(*distinct.children[0], {});
  if (rows.is_constant) return rows;
  const bool is_inside = std::any_of(
      distinct.distinct_targets.begin(), distinct.distinct_targets.end(), [&](const auto& target) {
        const auto* column = PlainColumn(*target, false);
        return column != nullptr && rows.keys.contains(ToPlanColumn(column->binding));
      });
  if (is_inside) return rows;
  return Fail(fmt::format("DISTINCT over {} is not by partition", Names(distinct)));
}

Rows Proof::WalkUnion(duckdb::LogicalSetOperation& operation) {
  const auto outputs = ColumnsOf(operation);
  std::set<PlanColumn> keys(outputs.begin(), outputs.end());
  size_t constants = 0;
  for (const auto& child : operation.children) {
    const Rows rows = Walk(*child, {});
    if (rows.is_constant) constants++;
    const auto columns = ColumnsOf(*child);
    for (size_t i = 0; i < outputs.size(); i++) {
      if (i >= columns.size() || !rows.keys.contains(columns[i])) keys.erase(outputs[i]);
    }
  }
  if (constants == operation.children.size()) return {true, {}};
  if (constants > 0)
    return Fail(fmt::format("UNION with rows of a table without partitions, of {}", Names(operation)));
  // Equal rows of different partitions would be one.
  if (!operation.setop_all && keys.empty())
    return Fail(fmt::format("UNION of {} is not by partition", Names(operation)));
  return {false, std::move(keys)};
}

Rows Proof::WalkDifference(duckdb::LogicalSetOperation& operation) {
  const bool is_except = operation.type == LogicalOperatorType::LOGICAL_EXCEPT;
  const std::string what = fmt::format("{} of {}", is_except ? "EXCEPT" : "INTERSECT", Names(operation));
  if (operation.children.size() != 2) return Fail(what);
  const Rows left = Walk(*operation.children[0], {});
  const Rows right = Walk(*operation.children[1], {});
  if (left.is_constant && right.is_constant) return left;
  if (left.is_constant) return Fail(what + " begins with a table without partitions");
  const auto outputs = ColumnsOf(operation);
  const auto left_columns = ColumnsOf(*operation.children[0]);
  const auto right_columns = ColumnsOf(*operation.children[1]);
  Rows rows;
  bool is_met = right.is_constant;
  for (size_t i = 0; i < outputs.size(); i++) {
    if (!left.keys.contains(left_columns[i])) continue;
    rows.keys.insert(outputs[i]);
    is_met = is_met || right.keys.contains(right_columns[i]);
  }
  // Equal rows of different partitions meet unless a key is among the columns.
  if (!is_met || rows.keys.empty()) return Fail(what + " is not by partition");
  return rows;
}

Rows Proof::WalkCte(duckdb::LogicalMaterializedCTE& cte) {
  Definition definition{Walk(*cte.children[0], {}), ColumnsOf(*cte.children[0]), cte.ctename};
  ctes_[cte.table_index] = std::move(definition);
  return Walk(*cte.children[1], {});
}

Rows Proof::WalkReference(duckdb::LogicalCTERef& reference) {
  const auto found = ctes_.find(reference.cte_index);
  if (found == ctes_.end() || reference.correlated_columns > 0 || reference.is_recurring) {
    return Fail("a CTE that refers to rows from outside, or to itself");
  }
  const auto& [definition, columns, name] = found->second;
  Rows rows{definition.is_constant, {}};
  const auto outputs = ColumnsOf(reference);
  for (size_t i = 0; i < outputs.size() && i < columns.size(); i++) {
    if (definition.keys.contains(columns[i])) rows.keys.insert(outputs[i]);
  }
  return rows;
}

}  // namespace

std::string WhyNotLocal(LogicalOperator& plan, const std::vector<std::string>& names,
                        const std::string& partition_column) {
  if (partition_column.empty()) return "it is not partitioned";
  size_t column = 0;
  while (column < names.size() && !duckdb::StringUtil::CIEquals(names[column], partition_column)) column++;
  if (column == names.size()) return fmt::format("it has no column '{}'", partition_column);
  Proof proof;
  const Rows rows = proof.Walk(plan, {});
  if (!proof.reason().empty()) return proof.reason();
  if (rows.is_constant) return "it reads no partitioned table";
  const auto outputs = ColumnsOf(plan);
  if (column < outputs.size() && rows.keys.contains(outputs[column])) return "";
  return fmt::format("'{}' is not proven to be the partition of the rows that it is computed from",
                     partition_column);
}

}  // namespace tarn::engine
