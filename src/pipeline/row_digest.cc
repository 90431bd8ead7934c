#include "pipeline/row_digest.h"

#include <arrow/api.h>
#include <arrow/compute/cast.h>

#include "hudi/record_key.h"

namespace tarn::pipeline {
namespace {

template <typename ArrayType>
void AppendFixed(const arrow::Array& column, std::vector<std::string>& rows) {
  const auto& values = static_cast<const ArrayType&>(column);
  for (int64_t row = 0; row < values.length(); row++) {
    const auto value = values.IsNull(row) ? typename ArrayType::value_type{} : values.Value(row);
    std::string& out = rows[static_cast<size_t>(row)];
    out += values.IsNull(row) ? '\0' : '\1';
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
}

void AppendBytes(const arrow::Array& column, std::vector<std::string>& rows) {
  const auto& values = static_cast<const arrow::BinaryArray&>(column);
  for (int64_t row = 0; row < values.length(); row++) {
    std::string& out = rows[static_cast<size_t>(row)];
    out += values.IsNull(row) ? '\0' : '\1';
    if (values.IsNull(row)) continue;
    const auto value = values.GetView(row);
    const auto size = static_cast<uint32_t>(value.size());
    out.append(reinterpret_cast<const char*>(&size), sizeof size);
    out.append(value);
  }
}

}  // namespace

Status AppendColumn(const arrow::Array& column, std::vector<std::string>& rows) {
  switch (column.type_id()) {
    case arrow::Type::INT32:
      AppendFixed<arrow::Int32Array>(column, rows);
      return {};
    case arrow::Type::INT64:
      AppendFixed<arrow::Int64Array>(column, rows);
      return {};
    case arrow::Type::DATE32:
      AppendFixed<arrow::Date32Array>(column, rows);
      return {};
    case arrow::Type::TIMESTAMP:
      AppendFixed<arrow::TimestampArray>(column, rows);
      return {};
    case arrow::Type::FLOAT:
      AppendFixed<arrow::FloatArray>(column, rows);
      return {};
    case arrow::Type::DOUBLE:
      AppendFixed<arrow::DoubleArray>(column, rows);
      return {};
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
      AppendBytes(column, rows);
      return {};
    case arrow::Type::BOOL:
    case arrow::Type::DECIMAL128:
      break;
    default:
      return MakeError(ErrorCode::kInternal, "no digest of type {}", column.type()->ToString());
  }
  for (int64_t row = 0; row < column.length(); row++) {
    std::string& out = rows[static_cast<size_t>(row)];
    out += column.IsNull(row) ? '\0' : '\1';
    if (column.IsNull(row)) continue;
    if (column.type_id() == arrow::Type::BOOL) {
      out += static_cast<const arrow::BooleanArray&>(column).Value(row) ? '\1' : '\0';
    } else {
      const auto& decimals = static_cast<const arrow::Decimal128Array&>(column);
      out.append(reinterpret_cast<const char*>(decimals.GetValue(row)), 16);
    }
  }
  return {};
}

Result<std::shared_ptr<arrow::Array>> SourceColumn(const arrow::RecordBatch& batch,
                                                   const schema::Column& column) {
  const auto values = batch.GetColumnByName(column.lake_name);
  const auto type = schema::ArrowType(column.type);
  if (values != nullptr && values->type()->Equals(*type)) return values;
  auto made = values == nullptr ? arrow::MakeArrayOfNull(type, batch.num_rows())
                                : arrow::compute::Cast(*values, type);
  if (!made.ok()) return MakeError(ErrorCode::kInternal, "Arrow: {}", made.status().message());
  return *std::move(made);
}

Result<std::vector<std::string>> RowBytes(const std::vector<schema::Column>& columns,
                                          const arrow::RecordBatch& batch) {
  std::vector<std::string> rows(static_cast<size_t>(batch.num_rows()));
  for (const schema::Column& column : columns) {
    TARN_ASSIGN(const auto values, SourceColumn(batch, column));
    TARN_RETURN_IF_ERROR(AppendColumn(*values, rows));
  }
  return rows;
}

Status AddRows(const schema::TableSchema& table, const arrow::RecordBatch& batch, TableDigest& digest) {
  TARN_ASSIGN(const auto rows, RowBytes(table.columns, batch));
  for (const std::string& row : rows) {
    const hudi::Hash128 hash = hudi::HashText(row);
    digest.low += hash.low;
    digest.high += hash.high;
  }
  digest.rows += batch.num_rows();
  return {};
}

}  // namespace tarn::pipeline
