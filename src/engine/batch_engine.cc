#include "engine/batch_engine.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <utility>

#include "engine/arrow_rows.h"
#include "engine/lake_file_system.h"
#include "engine/sealed_database.h"

namespace tarn::engine {
namespace {

using duckdb::ClientContext;

constexpr const char* kFunctionName = "tarn_batch";
constexpr const char* kStateName = "tarn_batches";

/// The tables of the call that runs.
struct BatchState : duckdb::ClientContextState {
  const BatchTables* tables = nullptr;

  const arrow::RecordBatch* Find(const std::string& name) const {
    if (tables == nullptr) return nullptr;
    for (const auto& [table, batch] : *tables) {
      if (duckdb::StringUtil::CIEquals(table, name)) return batch.get();
    }
    return nullptr;
  }
};

duckdb::shared_ptr<BatchState> StateOf(ClientContext& context) {
  return context.registered_state->Get<BatchState>(kStateName);
}

struct BatchBindData : duckdb::TableFunctionData {
  BatchBindData(ClientContext& context, const arrow::RecordBatch& batch)
      : rows(std::make_shared<ArrowRows>(context, batch)) {}
  std::shared_ptr<const ArrowRows> rows;
};

struct BatchScanState : duckdb::GlobalTableFunctionState {
  std::unique_ptr<ArrowRows::Cursor> cursor;
  idx_t position = 0;
};

duckdb::unique_ptr<duckdb::FunctionData> Bind(ClientContext& context, duckdb::TableFunctionBindInput& input,
                                              duckdb::vector<duckdb::LogicalType>& types,
                                              duckdb::vector<std::string>& names) {
  const std::string name = input.inputs.front().ToString();
  const arrow::RecordBatch* batch = StateOf(context)->Find(name);
  if (batch == nullptr) throw duckdb::CatalogException("Table with name %s does not exist!", name);
  auto data = duckdb::make_uniq<BatchBindData>(context, *batch);
  types = data->rows->types();
  names = data->rows->names();
  return data;
}

duckdb::unique_ptr<duckdb::GlobalTableFunctionState> Start(ClientContext& context,
                                                           duckdb::TableFunctionInitInput& input) {
  auto state = duckdb::make_uniq<BatchScanState>();
  duckdb::vector<duckdb::column_t> columns(input.column_ids.begin(), input.column_ids.end());
  for (auto& column : columns) {
    if (duckdb::IsVirtualColumn(column)) column = duckdb::COLUMN_IDENTIFIER_ROW_ID;
  }
  state->cursor = std::make_unique<ArrowRows::Cursor>(context, *input.bind_data->Cast<BatchBindData>().rows,
                                                      std::move(columns));
  return state;
}

void Scan(ClientContext&, duckdb::TableFunctionInput& input, duckdb::DataChunk& out) {
  auto& state = input.global_state->Cast<BatchScanState>();
  const idx_t rows = input.bind_data->Cast<BatchBindData>().rows->rows();
  const idx_t count = std::min<idx_t>(STANDARD_VECTOR_SIZE, rows - state.position);
  if (count == 0) {
    out.SetCardinality(0);
    return;
  }
  state.cursor->Read(state.position, count, out);
  state.position += count;
}

duckdb::unique_ptr<duckdb::NodeStatistics> Cardinality(ClientContext&, const duckdb::FunctionData* data) {
  const idx_t rows = data->Cast<BatchBindData>().rows->rows();
  return duckdb::make_uniq<duckdb::NodeStatistics>(rows, rows);
}

duckdb::unique_ptr<duckdb::TableRef> Replace(ClientContext& context, duckdb::ReplacementScanInput& input,
                                             duckdb::optional_ptr<duckdb::ReplacementScanData>) {
  if (StateOf(context)->Find(input.table_name) == nullptr) return nullptr;
  auto ref = duckdb::make_uniq<duckdb::TableFunctionRef>();
  duckdb::vector<duckdb::unique_ptr<duckdb::ParsedExpression>> arguments;
  arguments.push_back(duckdb::make_uniq<duckdb::ConstantExpression>(duckdb::Value(input.table_name)));
  ref->function = duckdb::make_uniq<duckdb::FunctionExpression>(kFunctionName, std::move(arguments));
  ref->alias = input.table_name;
  return ref;
}

}  // namespace

struct BatchEngine::Tables : BatchState {};

BatchEngine::BatchEngine() {
  // One thread: rows keep their order, and the pipeline has the other cores.
  database_ = OpenDatabase({}, duckdb::make_uniq<LakeFileSystem>(FileOpener(), "", nullptr));
  connection_ = duckdb::make_uniq<duckdb::Connection>(*database_);
  tables_ = duckdb::make_shared_ptr<Tables>();
  context().registered_state->Insert(kStateName, tables_);
  duckdb::TableFunction function(kFunctionName, {duckdb::LogicalType::VARCHAR}, Scan, Bind, Start);
  function.projection_pushdown = true;
  function.cardinality = Cardinality;
  duckdb::CreateTableFunctionInfo info(function);
  context().RunFunctionInTransaction(
      [&] { duckdb::Catalog::GetSystemCatalog(context()).CreateTableFunction(context(), info); });
  Seal(*connection_, kFunctionName);
  auto& scans = duckdb::DBConfig::GetConfig(*database_->instance).replacement_scans;
  scans.clear();
  scans.emplace_back(Replace);
}

duckdb::unique_ptr<duckdb::QueryResult> BatchEngine::Run(duckdb::unique_ptr<duckdb::SQLStatement> statement,
                                                         const BatchTables& tables) {
  tables_->tables = &tables;
  duckdb::unique_ptr<duckdb::QueryResult> result = connection_->Query(std::move(statement));
  tables_->tables = nullptr;
  return result;
}

void BatchEngine::Plan(const std::string& sql, const std::string& table, const arrow::Schema& schema,
                       const std::function<void(duckdb::Planner&)>& take) {
  const BatchTables tables = {
      {table, arrow::RecordBatch::MakeEmpty(arrow::schema(schema.fields())).ValueOrDie()}};
  duckdb::Parser parser(context().GetParserOptions());
  parser.ParseQuery(sql);
  tables_->tables = &tables;
  std::exception_ptr thrown;
  try {
    context().RunFunctionInTransaction([&] {
      duckdb::Planner planner(context());
      planner.CreatePlan(std::move(parser.statements.front()));
      take(planner);
    });
  } catch (...) {
    thrown = std::current_exception();
  }
  tables_->tables = nullptr;
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace tarn::engine
