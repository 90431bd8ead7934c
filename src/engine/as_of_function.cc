#include "engine/as_of_function.h"

namespace tarn::engine {
namespace {

constexpr const char* kStateName = "tarn_as_of";

duckdb::Value AsOfValue(const AsOfState& state) {
  return duckdb::Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(state.micros));
}

// The binder works out arguments that stay the same, to see whether they are NULL. What changes at each call
// it leaves alone.
duckdb::unique_ptr<duckdb::FunctionData> KeepCall(duckdb::ClientContext& context,
                                                  duckdb::ScalarFunction& bound_function,
                                                  duckdb::vector<duckdb::unique_ptr<duckdb::Expression>>&) {
  const auto state = context.registered_state->Get<AsOfState>(kStateName);
  if (state->keeps_calls) bound_function.SetStability(duckdb::FunctionStability::VOLATILE);
  return nullptr;
}

// A constant of the statement, so that filters on it prune partitions.
duckdb::unique_ptr<duckdb::Expression> BindAsOf(duckdb::FunctionBindExpressionInput& input) {
  const auto state = input.context.registered_state->Get<AsOfState>(kStateName);
  if (state->keeps_calls) return nullptr;
  return duckdb::make_uniq<duckdb::BoundConstantExpression>(AsOfValue(*state));
}

// Only while plans are analysed, where the binder wants a value at once.
void CallAsOf(duckdb::DataChunk&, duckdb::ExpressionState& expression, duckdb::Vector& result) {
  const auto state = expression.GetContext().registered_state->Get<AsOfState>(kStateName);
  state->was_called = true;
  result.Reference(AsOfValue(*state));
}

}  // namespace

duckdb::shared_ptr<AsOfState> RegisterAsOf(duckdb::Connection& connection) {
  auto state = duckdb::make_shared_ptr<AsOfState>();
  auto& context = *connection.context;
  context.registered_state->Insert(kStateName, state);
  duckdb::ScalarFunction function(kAsOfFunction, {}, duckdb::LogicalType::TIMESTAMP_TZ, CallAsOf);
  function.SetBindExpressionCallback(BindAsOf);
  function.SetBindCallback(KeepCall);
  function.SetStability(duckdb::FunctionStability::CONSISTENT_WITHIN_QUERY);
  duckdb::CreateScalarFunctionInfo info(function);
  context.RunFunctionInTransaction(
      [&] { duckdb::Catalog::GetSystemCatalog(context).CreateFunction(context, info); });
  return state;
}

}  // namespace tarn::engine
