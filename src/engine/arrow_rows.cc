#include "engine/arrow_rows.h"

#include <arrow/c/bridge.h>

#include <utility>

namespace tarn::engine {
namespace {

void Check(const arrow::Status& status) {
  if (!status.ok()) throw duckdb::InvalidInputException("Arrow: %s", status.message());
}

void Populate(duckdb::ClientContext& context, const arrow::Schema& schema, duckdb::ArrowTableSchema& table) {
  duckdb::ArrowSchemaWrapper exported;
  Check(arrow::ExportSchema(schema, &exported.arrow_schema));
  duckdb::ArrowTableFunction::PopulateArrowTableSchema(context, table, exported.arrow_schema);
}

}  // namespace

void DuckdbColumns(duckdb::ClientContext& context, const arrow::Schema& schema,
                   duckdb::vector<std::string>* names, duckdb::vector<duckdb::LogicalType>* types) {
  duckdb::ArrowTableSchema table;
  Populate(context, schema, table);
  *names = table.GetNames();
  *types = table.GetTypes();
}

ArrowRows::ArrowRows(duckdb::ClientContext& context, const arrow::RecordBatch& batch)
    : rows_(static_cast<idx_t>(batch.num_rows())) {
  Populate(context, *batch.schema(), table_);
  names_ = table_.GetNames();
  types_ = table_.GetTypes();
  array_ = duckdb::make_shared_ptr<duckdb::ArrowArrayWrapper>();
  Check(arrow::ExportRecordBatch(batch, &array_->arrow_array));
}

ArrowRows::Cursor::Cursor(duckdb::ClientContext& context, const ArrowRows& rows,
                          duckdb::vector<duckdb::column_t> columns)
    : rows_(rows), state_(nullptr, context) {
  state_.chunk = rows.array_;
  state_.column_ids = std::move(columns);
}

void ArrowRows::Cursor::Read(idx_t offset, idx_t count, duckdb::DataChunk& out) {
  out.SetCardinality(count);
  state_.chunk_offset = offset;
  // An empty list of columns would mean all of them.
  if (!state_.column_ids.empty()) {
    duckdb::ArrowTableFunction::ArrowToDuckDB(state_, rows_.table_.GetColumns(), out, false);
  }
}

}  // namespace tarn::engine
