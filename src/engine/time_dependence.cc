#include "engine/time_dependence.h"

#include <algorithm>
#include <array>

#include "engine/as_of_function.h"

namespace tarn::engine {
namespace {

using duckdb::Expression;
using duckdb::ExpressionClass;

constexpr std::array<const char*, 10> kLongUnits = {"day",     "week",   "month",   "quarter",    "year",
                                                    "isoyear", "decade", "century", "millennium", "weekyear"};

bool IsLongUnit(const Expression& unit) {
  if (unit.GetExpressionClass() != ExpressionClass::BOUND_CONSTANT) return false;
  const auto& value = unit.Cast<duckdb::BoundConstantExpression>().value;
  if (value.IsNull() || value.type().id() != duckdb::LogicalTypeId::VARCHAR) return false;
  const auto text = duckdb::StringUtil::Lower(value.GetValue<std::string>());
  return std::any_of(kLongUnits.begin(), kLongUnits.end(), [&](const char* known) { return text == known; });
}

class TimeSearch {
 public:
  void Visit(duckdb::LogicalOperator& op) {
    if (op.type == duckdb::LogicalOperatorType::LOGICAL_GET &&
        ScanOf(op.Cast<duckdb::LogicalGet>()) == nullptr) {
      // Its arguments are values by now: nobody can tell what of.
      AddMoment(fmt::format("{}() in FROM", op.Cast<duckdb::LogicalGet>().function.name));
    }
    if (op.type == duckdb::LogicalOperatorType::LOGICAL_SAMPLE) AddMoment("a sample");
    duckdb::LogicalOperatorVisitor::EnumerateExpressions(
        op, [&](duckdb::unique_ptr<Expression>* expression) { Visit(**expression, false, **expression); });
    for (const auto& child : op.children) Visit(*child);
  }

  TimeFinding Take() { return std::move(finding_); }

 private:
  void AddMoment(std::string where) {
    if (finding_.dependence == TimeDependence::kMoment) return;
    finding_ = {TimeDependence::kMoment, std::move(where)};
  }

  /// `is_day`: of what this gives only the day is used. `around`: the expression that it is an argument of.
  void Visit(const Expression& expression, bool is_day, const Expression& around) {
    switch (expression.GetExpressionClass()) {
      case ExpressionClass::BOUND_FUNCTION:
        return VisitFunction(expression.Cast<duckdb::BoundFunctionExpression>(), is_day, around);
      case ExpressionClass::BOUND_CAST: {
        const auto& cast = expression.Cast<duckdb::BoundCastExpression>();
        const auto from = cast.child->return_type.id(), to = cast.return_type.id();
        const bool keeps =
            from == duckdb::LogicalTypeId::TIMESTAMP_TZ && to == duckdb::LogicalTypeId::TIMESTAMP;
        return Visit(*cast.child, to == duckdb::LogicalTypeId::DATE || (is_day && keeps), expression);
      }
      case ExpressionClass::BOUND_SUBQUERY:
        return AddMoment("a subquery whose plan is not known here");
      default:
        return VisitChildren(expression);
    }
  }

  void VisitFunction(const duckdb::BoundFunctionExpression& call, bool is_day, const Expression& around) {
    const std::string& name = call.function.name;
    if (name == kAsOfFunction) {
      if (!is_day) return AddMoment(fmt::format("as_of() in {}", around.ToString()));
      if (finding_.dependence == TimeDependence::kNone) finding_.dependence = TimeDependence::kDay;
      return;
    }
    if (IsVolatile(call.function) ||
        call.function.GetStability() == duckdb::FunctionStability::CONSISTENT_WITHIN_QUERY) {
      return AddMoment(fmt::format("{}()", name));
    }
    // What a lambda does is hidden in it.
    if (call.function.HasBindLambdaCallback()) return AddMoment(fmt::format("the lambda of {}()", name));
    if (name == "date_trunc" && call.children.size() == 2 && IsLongUnit(*call.children[0])) {
      return Visit(*call.children[1], true, call);
    }
    if (name == "timezone" && call.children.size() == 2 && is_day) {
      Visit(*call.children[0], false, call);
      return Visit(*call.children[1], true, call);
    }
    VisitChildren(call);
  }

  void VisitChildren(const Expression& expression) {
    duckdb::ExpressionIterator::EnumerateChildren(
        expression, [&](const Expression& child) { Visit(child, false, expression); });
  }

  TimeFinding finding_;
};

}  // namespace

TimeFinding FindTimeDependence(duckdb::LogicalOperator& plan) {
  TimeSearch search;
  search.Visit(plan);
  return search.Take();
}

}  // namespace tarn::engine
