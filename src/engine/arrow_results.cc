#include "engine/arrow_results.h"

#include <arrow/c/bridge.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <utility>

namespace tarn::engine {

ArrowResults::ArrowResults(duckdb::unique_ptr<duckdb::QueryResult> result)
    : result_(std::move(result)), properties_(result_->client_properties) {
  // Clients render times in their own zone; the values are UTC whatever the session's TimeZone is.
  properties_.time_zone = "UTC";
  extension_types_ =
      duckdb::ArrowTypeExtensionData::GetExtensionTypes(*properties_.client_context, result_->types);
  ArrowSchema exported{};
  duckdb::ArrowConverter::ToArrowSchema(&exported, result_->types, result_->names, properties_);
  auto schema = arrow::ImportSchema(&exported);
  if (!schema.ok()) throw duckdb::NotImplementedException("result: %s", schema.status().message());
  schema_ = *std::move(schema);
  chunks_ = duckdb::make_uniq<duckdb::QueryResultChunkScanState>(*result_);
}

std::shared_ptr<arrow::RecordBatch> ArrowResults::Next(idx_t max_rows, duckdb::ErrorData* error) {
  ArrowArray array{};
  idx_t rows = 0;
  if (!duckdb::ArrowUtil::TryFetchChunk(*chunks_, properties_, max_rows, &array, rows, *error,
                                        extension_types_)) {
    return nullptr;
  }
  if (rows == 0) {
    if (array.release != nullptr) array.release(&array);
    return nullptr;
  }
  auto batch = arrow::ImportRecordBatch(&array, schema_);
  if (batch.ok()) return *std::move(batch);
  *error = duckdb::ErrorData(duckdb::ExceptionType::INTERNAL, batch.status().message());
  return nullptr;
}

}  // namespace tarn::engine
