#include "engine/as_of_function.h"

namespace tarn::engine {
namespace {

constexpr const char* kStateName = "tarn_as_of";

// A constant of the statement, so that filters on it prune partitions.
duckdb::unique_ptr<duckdb::Expression> BindAsOf(duckdb::FunctionBindExpressionInput& input) {
  const auto state = input.context.registered_state->Get<AsOfState>(kStateName);
  return duckdb::make_uniq<duckdb::BoundConstantExpression>(
      duckdb::Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(state->micros)));
}

void NeverCalled(duckdb::DataChunk&, duckdb::ExpressionState&, duckdb::Vector&) {
  throw duckdb::InternalException("as_of() is bound to a constant");
}

}  // namespace

duckdb::shared_ptr<AsOfState> RegisterAsOf(duckdb::Connection& connection) {
  auto state = duckdb::make_shared_ptr<AsOfState>();
  auto& context = *connection.context;
  context.registered_state->Insert(kStateName, state);
  duckdb::ScalarFunction function("as_of", {}, duckdb::LogicalType::TIMESTAMP_TZ, NeverCalled);
  function.SetBindExpressionCallback(BindAsOf);
  duckdb::CreateScalarFunctionInfo info(function);
  context.RunFunctionInTransaction(
      [&] { duckdb::Catalog::GetSystemCatalog(context).CreateFunction(context, info); });
  return state;
}

}  // namespace tarn::engine
