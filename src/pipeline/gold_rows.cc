#include "pipeline/gold_rows.h"

#include <arrow/compute/api.h>
#include <arrow/compute/cast.h>
#include <arrow/ipc/writer.h>

namespace tarn::pipeline {
namespace {

Error ArrowError(const arrow::Status& status) {
  return MakeError(ErrorCode::kInternal, "Arrow: {}", status.message());
}

/// The type in which Hudi's readers can hold what SQL gave.
Result<std::shared_ptr<arrow::DataType>> StorableType(const std::string& model, const arrow::Field& field) {
  switch (field.type()->id()) {
    case arrow::Type::BOOL:
    case arrow::Type::INT32:
    case arrow::Type::INT64:
    case arrow::Type::FLOAT:
    case arrow::Type::DOUBLE:
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
    case arrow::Type::DATE32:
    case arrow::Type::DECIMAL128:
      return field.type();
    case arrow::Type::INT8:
    case arrow::Type::INT16:
    case arrow::Type::UINT8:
    case arrow::Type::UINT16:
      return arrow::int32();
    case arrow::Type::UINT32:
    case arrow::Type::UINT64:
      return arrow::int64();
    case arrow::Type::LARGE_STRING:
      return arrow::utf8();
    case arrow::Type::TIMESTAMP:
      return arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
    default:
      return MakeError(ErrorCode::kInvalidArgument,
                       "gold.{}: column '{}' has the type {}, which no Hudi table can hold; CAST it", model,
                       field.name(), field.type()->ToString());
  }
}

}  // namespace

Result<std::shared_ptr<arrow::RecordBatch>> ToStorable(const GoldModel& model, const arrow::RecordBatch& rows,
                                                       int64_t lsn) {
  arrow::FieldVector fields;
  arrow::ArrayVector columns;
  for (int i = 0; i < rows.num_columns(); i++) {
    const auto& field = rows.schema()->field(i);
    TARN_ASSIGN(const auto type, StorableType(model.name, *field));
    auto column = rows.column(i);
    if (!column->type()->Equals(*type)) {
      auto cast = arrow::compute::Cast(*column, type);
      if (!cast.ok()) return ArrowError(cast.status());
      column = *cast;
    }
    fields.push_back(arrow::field(field->name(), type));
    columns.push_back(std::move(column));
  }
  const auto add = [&](const char* name, const std::shared_ptr<arrow::Scalar>& value) {
    fields.push_back(arrow::field(name, value->type));
    columns.push_back(*arrow::MakeArrayFromScalar(*value, rows.num_rows()));
  };
  add("_lsn", arrow::MakeScalar(lsn));
  if (!model.partition.empty() && model.key.size() < 2) add(kModelColumn, arrow::MakeScalar(model.name));
  return arrow::RecordBatch::Make(arrow::schema(std::move(fields)), rows.num_rows(), std::move(columns));
}

std::string PartitionPath(const GoldModel& model, const std::string& value) {
  std::string path = model.partition + "=";
  if (value.empty() || value == hudi::kNullPartition) return path + hudi::kNullPartition;
  hudi::AppendPathValue(value, &path);
  return path;
}

Result<std::map<std::string, std::shared_ptr<arrow::RecordBatch>>> SplitByPartition(
    const GoldModel& model, const std::shared_ptr<arrow::RecordBatch>& rows) {
  std::map<std::string, std::shared_ptr<arrow::RecordBatch>> parts;
  if (model.partition.empty()) {
    parts[""] = rows;
    return parts;
  }
  const auto column = rows->GetColumnByName(model.partition);
  if (column == nullptr) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "gold.{} has no column '{}', by which it is to be partitioned", model.name,
                     model.partition);
  }
  std::map<std::string, arrow::Int64Builder> positions;
  arrow::Int64Builder* last = nullptr;
  for (int64_t row = 0; row < rows->num_rows(); row++) {
    if (last == nullptr || !column->RangeEquals(*column, row, row + 1, row - 1)) {
      last =
          &positions[PartitionPath(model, column->IsNull(row) ? "" : (*column->GetScalar(row))->ToString())];
    }
    (void)last->Append(row);
  }
  for (auto& [path, builder] : positions) {
    const auto indices = *builder.Finish();
    auto taken = arrow::compute::Take(arrow::Datum(rows), arrow::Datum(indices));
    if (!taken.ok()) return ArrowError(taken.status());
    parts[path] = taken->record_batch();
  }
  return parts;
}

Result<hudi::Hash128> ContentHash(const std::shared_ptr<arrow::RecordBatch>& rows) {
  const auto content = rows->RemoveColumn(rows->schema()->GetFieldIndex("_lsn"));
  if (!content.ok()) return ArrowError(content.status());
  auto bytes = arrow::ipc::SerializeRecordBatch(**content, arrow::ipc::IpcWriteOptions::Defaults());
  if (!bytes.ok()) return ArrowError(bytes.status());
  return hudi::HashText(std::string_view(**bytes));
}

}  // namespace tarn::pipeline
