#include <arrow/util/decimal.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "hudi/conformance_rows.h"

namespace tarn::hudi {
namespace {

using nlohmann::json;

std::string_view KindOf(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::BOOL:
      return "bool";
    case arrow::Type::INT32:
      return "int";
    case arrow::Type::INT64:
      return "long";
    case arrow::Type::FLOAT:
      return "float";
    case arrow::Type::DOUBLE:
      return "double";
    case arrow::Type::DECIMAL128:
      return "decimal";
    case arrow::Type::DATE32:
      return "date";
    case arrow::Type::TIMESTAMP:
      return "time";
    case arrow::Type::BINARY:
      return "bytes";
    default:
      return "text";
  }
}

json NumberJson(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  return value;
}

json CellJson(const arrow::Scalar& cell) {
  if (!cell.is_valid) return nullptr;
  switch (cell.type->id()) {
    case arrow::Type::BOOL:
      return static_cast<const arrow::BooleanScalar&>(cell).value;
    case arrow::Type::INT32:
      return static_cast<const arrow::Int32Scalar&>(cell).value;
    case arrow::Type::INT64:
      return static_cast<const arrow::Int64Scalar&>(cell).value;
    case arrow::Type::FLOAT:
      return NumberJson(static_cast<const arrow::FloatScalar&>(cell).value);
    case arrow::Type::DOUBLE:
      return NumberJson(static_cast<const arrow::DoubleScalar&>(cell).value);
    case arrow::Type::DATE32:
      return static_cast<const arrow::Date32Scalar&>(cell).value;
    case arrow::Type::TIMESTAMP:
      return static_cast<const arrow::TimestampScalar&>(cell).value;
    case arrow::Type::BINARY: {
      std::string digits;
      for (const char byte : static_cast<const arrow::BinaryScalar&>(cell).view())
        digits += fmt::format("{:02x}", static_cast<uint8_t>(byte));
      return digits;
    }
    case arrow::Type::STRING:
      return static_cast<const arrow::StringScalar&>(cell).view();
    default:
      return static_cast<const arrow::Decimal128Scalar&>(cell).value.ToString(
          static_cast<const arrow::Decimal128Type&>(*cell.type).scale());
  }
}

}  // namespace

json ColumnsJson(const arrow::Schema& schema) {
  json columns = json::array();
  for (const auto& field : schema.fields()) columns.push_back({field->name(), KindOf(*field->type())});
  return columns;
}

json RowJson(const std::vector<Cell>& cells) {
  json row = json::array();
  for (const Cell& cell : cells) row.push_back(CellJson(*cell));
  return row;
}

}  // namespace tarn::hudi
