#include "hudi/avro_schema.h"

#include <arrow/api.h>
#include <arrow/compute/api_vector.h>
#include <arrow/compute/cast.h>

#include <charconv>
#include <cmath>

#include "avro/schema.h"

namespace tarn::hudi {

Status FromArrow(const arrow::Status& status, std::string_view what) {
  if (status.ok()) return {};
  return MakeError(status.IsOutOfMemory() ? ErrorCode::kNoSpace : ErrorCode::kInternal, "{}: {}", what,
                   status.ToString());
}

Result<std::string> TableAvroSchema(const arrow::Schema& schema, const std::string& table) {
  return avro::SchemaFromArrow(schema, table + "_record", "hoodie." + table);
}

Result<std::shared_ptr<arrow::Schema>> TableSchemaFromAvro(const std::string& json) {
  TARN_ASSIGN(const auto schema, avro::SchemaToArrow(json));
  arrow::FieldVector fields;
  for (const auto& field : schema->fields()) {
    if (!IsMetaColumn(field->name())) fields.push_back(field);
  }
  return arrow::schema(std::move(fields));
}

std::shared_ptr<arrow::Schema> WithMetaColumns(const arrow::Schema& schema) {
  arrow::FieldVector fields;
  for (const char* name : {kCommitTime, kCommitSeqno, kRecordKey, kPartitionPath, kFileName}) {
    fields.push_back(arrow::field(name, arrow::utf8()));
  }
  for (const auto& field : schema.fields()) fields.push_back(field);
  return arrow::schema(std::move(fields));
}

namespace {

Result<std::shared_ptr<arrow::Array>> WidenedByText(const arrow::FloatArray& floats) {
  arrow::DoubleBuilder doubles;
  TARN_RETURN_IF_ERROR(FromArrow(doubles.Reserve(floats.length()), "widen floats"));
  for (int64_t row = 0; row < floats.length(); row++) {
    if (floats.IsNull(row)) {
      doubles.UnsafeAppendNull();
      continue;
    }
    const float value = floats.Value(row);
    char text[32];
    const auto [end, error] = std::to_chars(text, text + sizeof text, value);
    double wide = value;
    if (error == std::errc() && std::isfinite(value)) std::from_chars(text, end, wide);
    doubles.UnsafeAppend(wide);
  }
  std::shared_ptr<arrow::Array> widened;
  TARN_RETURN_IF_ERROR(FromArrow(doubles.Finish(&widened), "widen floats"));
  return widened;
}

}  // namespace

Result<std::shared_ptr<arrow::RecordBatch>> ProjectTo(const std::shared_ptr<arrow::RecordBatch>& batch,
                                                      const std::shared_ptr<arrow::Schema>& schema,
                                                      FloatWidening widening) {
  if (batch->schema()->Equals(*schema, false)) return batch;
  arrow::ArrayVector columns;
  for (const auto& field : schema->fields()) {
    std::shared_ptr<arrow::Array> column = batch->GetColumnByName(field->name());
    if (!column) {
      auto nulls = arrow::MakeArrayOfNull(field->type(), batch->num_rows());
      TARN_RETURN_IF_ERROR(FromArrow(nulls.status(), field->name()));
      column = *nulls;
    } else if (widening == FloatWidening::kByText && column->type_id() == arrow::Type::FLOAT &&
               field->type()->id() == arrow::Type::DOUBLE) {
      TARN_ASSIGN(column, WidenedByText(static_cast<const arrow::FloatArray&>(*column)));
    } else if (!column->type()->Equals(*field->type())) {
      auto cast = arrow::compute::Cast(*column, field->type(), arrow::compute::CastOptions::Safe());
      if (!cast.ok()) {
        return MakeError(ErrorCode::kUnsupported, "column '{}': stored as {}, wanted as {}: {}",
                         field->name(), column->type()->ToString(), field->type()->ToString(),
                         cast.status().message());
      }
      column = *cast;
    }
    columns.push_back(std::move(column));
  }
  return arrow::RecordBatch::Make(schema, batch->num_rows(), std::move(columns));
}

Result<std::shared_ptr<arrow::RecordBatch>> TakeRows(const arrow::RecordBatch& batch,
                                                     const std::vector<int64_t>& rows) {
  const arrow::Int64Array indices(static_cast<int64_t>(rows.size()), arrow::Buffer::Wrap(rows));
  arrow::ArrayVector columns;
  for (const auto& column : batch.columns()) {
    auto taken = arrow::compute::Take(*column, indices, arrow::compute::TakeOptions::NoBoundsCheck());
    TARN_RETURN_IF_ERROR(FromArrow(taken.status(), "select rows"));
    columns.push_back(*taken);
  }
  return arrow::RecordBatch::Make(batch.schema(), indices.length(), std::move(columns));
}

}  // namespace tarn::hudi
