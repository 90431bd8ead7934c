#include "engine/batch_sql.h"

#include <arrow/record_batch.h>

#include <utility>

#include "engine/arrow_results.h"
#include "engine/batch_engine.h"
#include "engine/sql_error.h"

namespace tarn::engine {
namespace {

class BatchSqlImpl : public BatchSql {
 public:
  Result<std::shared_ptr<arrow::RecordBatch>> Run(const std::string& sql,
                                                  const BatchTables& tables) override {
    RewrittenSql same;
    same.text = sql;
    duckdb::ErrorData error;
    try {
      duckdb::Parser parser(engine_.context().GetParserOptions());
      parser.ParseQuery(sql);
      const bool is_select = parser.statements.size() == 1 &&
                             parser.statements.front()->type == duckdb::StatementType::SELECT_STATEMENT;
      if (!is_select) return Error{ErrorCode::kPermission, "a rule is one SELECT: " + sql};
      parser.statements.front()->query.clear();  // Or errors would lose their position.
      auto result = engine_.Run(std::move(parser.statements.front()), tables);
      if (result->HasError()) return SqlError(result->GetErrorObject(), sql, same);
      const idx_t rows = result->Cast<duckdb::MaterializedQueryResult>().RowCount();
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

 private:
  BatchEngine engine_;
};

}  // namespace

Result<std::unique_ptr<BatchSql>> BatchSql::Open() {
  try {
    return std::unique_ptr<BatchSql>(std::make_unique<BatchSqlImpl>());
  } catch (const std::exception& exception) {
    return MakeError(ErrorCode::kInternal, "the SQL engine does not start: {}",
                     duckdb::ErrorData(exception).RawMessage());
  }
}

}  // namespace tarn::engine
