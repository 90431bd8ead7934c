#include "engine/batch_sql.h"

#include <arrow/record_batch.h>

#include <utility>

#include "engine/arrow_results.h"
#include "engine/arrow_rows.h"
#include "engine/lake_file_system.h"
#include "engine/sealed_database.h"
#include "engine/sql_error.h"

namespace tarn::engine {
namespace {

using duckdb::ClientContext;

constexpr const char* kFunctionName = "tarn_batch";
constexpr const char* kStateName = "tarn_batches";

/// The tables of the call that runs.
struct BatchState : duckdb::ClientContextState {
  const std::map<std::string, std::shared_ptr<arrow::RecordBatch>>* tables = nullptr;

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

class BatchSqlImpl : public BatchSql {
 public:
  void Start() {
    // One thread: rows keep their order, and the pipeline has the other cores.
    database_ = OpenDatabase({}, duckdb::make_uniq<LakeFileSystem>(FileOpener(), "", nullptr));
    connection_ = duckdb::make_uniq<duckdb::Connection>(*database_);
    auto& context = *connection_->context;
    state_ = duckdb::make_shared_ptr<BatchState>();
    context.registered_state->Insert(kStateName, state_);
    duckdb::TableFunction function(kFunctionName, {duckdb::LogicalType::VARCHAR}, Scan, Bind, engine::Start);
    function.projection_pushdown = true;
    function.cardinality = Cardinality;
    duckdb::CreateTableFunctionInfo info(function);
    context.RunFunctionInTransaction(
        [&] { duckdb::Catalog::GetSystemCatalog(context).CreateTableFunction(context, info); });
    Seal(*connection_, kFunctionName);
    auto& scans = duckdb::DBConfig::GetConfig(*database_->instance).replacement_scans;
    scans.clear();
    scans.emplace_back(Replace);
  }

  Result<std::shared_ptr<arrow::RecordBatch>> Run(
      const std::string& sql,
      const std::map<std::string, std::shared_ptr<arrow::RecordBatch>>& tables) override {
    RewrittenSql same;
    same.text = sql;
    state_->tables = &tables;
    auto result = RunSelect(sql, same);
    state_->tables = nullptr;
    return result;
  }

 private:
  Result<std::shared_ptr<arrow::RecordBatch>> RunSelect(const std::string& sql, const RewrittenSql& same) {
    duckdb::ErrorData error;
    try {
      duckdb::Parser parser(connection_->context->GetParserOptions());
      parser.ParseQuery(sql);
      const bool is_select = parser.statements.size() == 1 &&
                             parser.statements.front()->type == duckdb::StatementType::SELECT_STATEMENT;
      if (!is_select) return Error{ErrorCode::kPermission, "a rule is one SELECT: " + sql};
      parser.statements.front()->query.clear();  // Or errors would lose their position.
      auto result = connection_->Query(std::move(parser.statements.front()));
      if (result->HasError()) return SqlError(result->GetErrorObject(), sql, same);
      const idx_t rows = result->RowCount();
      ArrowResults results(std::move(result));
      auto batch = rows == 0 ? nullptr : results.Next(rows, &error);
      if (error.HasError()) return SqlError(error, sql, same);
      if (batch != nullptr) return batch;
      auto empty = arrow::RecordBatch::MakeEmpty(results.schema());
      if (!empty.ok()) return MakeError(ErrorCode::kInternal, "{}", empty.status().message());
      return *std::move(empty);
    } catch (const std::exception& exception) {
      return SqlError(duckdb::ErrorData(exception), sql, same);
    }
  }

  duckdb::shared_ptr<BatchState> state_;
  duckdb::unique_ptr<duckdb::DuckDB> database_;
  duckdb::unique_ptr<duckdb::Connection> connection_;
};

}  // namespace

Result<std::unique_ptr<BatchSql>> BatchSql::Open() {
  auto sql = std::make_unique<BatchSqlImpl>();
  try {
    sql->Start();
  } catch (const std::exception& exception) {
    return MakeError(ErrorCode::kInternal, "the SQL engine does not start: {}",
                     duckdb::ErrorData(exception).RawMessage());
  }
  return sql;
}

}  // namespace tarn::engine
