#include "avro/schema.h"

#include <arrow/type.h>

#include <nlohmann/json.hpp>

#include "avro/field_shape.h"

namespace tarn::avro {
namespace {

using nlohmann::ordered_json;

/// Bytes of the smallest two's complement number that holds `precision` digits; Parquet and Hudi use the same
/// rule.
int FixedSizeOf(int precision) { return arrow::DecimalType::DecimalSize(precision); }

Result<ordered_json> TypeToAvro(const arrow::Field& field, const std::string& space) {
  switch (field.type()->id()) {
    case arrow::Type::BOOL:
      return ordered_json("boolean");
    case arrow::Type::INT32:
      return ordered_json("int");
    case arrow::Type::INT64:
      return ordered_json("long");
    case arrow::Type::FLOAT:
      return ordered_json("float");
    case arrow::Type::DOUBLE:
      return ordered_json("double");
    case arrow::Type::STRING:
      return ordered_json("string");
    case arrow::Type::BINARY:
      return ordered_json("bytes");
    case arrow::Type::DATE32:
      return ordered_json{{"type", "int"}, {"logicalType", "date"}};
    case arrow::Type::TIMESTAMP: {
      const auto& type = static_cast<const arrow::TimestampType&>(*field.type());
      if (type.unit() != arrow::TimeUnit::MICRO || type.timezone().empty()) break;
      return ordered_json{{"type", "long"}, {"logicalType", "timestamp-micros"}};
    }
    case arrow::Type::DECIMAL128: {
      const auto& type = static_cast<const arrow::Decimal128Type&>(*field.type());
      return ordered_json{{"type", "fixed"},
                          {"name", "fixed"},
                          {"namespace", space + "." + field.name()},
                          {"size", FixedSizeOf(type.precision())},
                          {"logicalType", "decimal"},
                          {"precision", type.precision()},
                          {"scale", type.scale()}};
    }
    default:
      break;
  }
  return MakeError(
      ErrorCode::kUnsupported,
      "column '{}' has type {}, which has no form in the lake: cast it to text or to a supported type",
      field.name(), field.type()->ToString());
}

/// How deep types may nest.
constexpr int kMaxDepth = 32;

Result<FieldShape> ShapeOf(const ordered_json& type, const std::string& column, int depth);

Result<std::vector<FieldShape>> FieldsOf(const ordered_json& record, const std::string& within, int depth) {
  std::vector<FieldShape> shapes;
  for (const auto& field : record["fields"]) {
    if (!field.is_object() || !field.contains("type") || !field.contains("name") ||
        !field["name"].is_string()) {
      return MakeError(ErrorCode::kCorrupt, "Avro schema has a field without name or type: {}", field.dump());
    }
    const std::string name = field["name"];
    TARN_ASSIGN(FieldShape shape, ShapeOf(field["type"], within.empty() ? name : within + "." + name, depth));
    shape.name = name;
    shapes.push_back(std::move(shape));
  }
  return shapes;
}

/// kNone when the type does not nest.
Result<FieldShape> NestedShape(const ordered_json& type, const std::string& column, int depth) {
  FieldShape shape;
  if (!type.is_object()) return shape;
  // An array of a named type may be written as a type within a type.
  const ordered_json& name = type.value("type", ordered_json());
  const char* items = name == "array" ? "items" : name == "map" ? "values" : nullptr;
  if (items != nullptr && type.contains(items)) {
    shape.kind = name == "array" ? FieldKind::kArray : FieldKind::kMap;
    TARN_ASSIGN(FieldShape item, ShapeOf(type[items], column + "." + items, depth + 1));
    item.name = name == "array" ? "element" : "value";
    shape.children.push_back(std::move(item));
  } else if (name == "record" && type.contains("fields") && type["fields"].is_array() &&
             !type["fields"].empty()) {
    shape.kind = FieldKind::kRecord;
    TARN_ASSIGN(shape.children, FieldsOf(type, column, depth + 1));
  }
  return shape;
}

Result<FieldShape> LogicalShape(const ordered_json& type, const std::string& column, int depth) {
  if (depth > kMaxDepth)
    return MakeError(ErrorCode::kUnsupported, "column '{}' nests deeper than {} types", column, kMaxDepth);
  TARN_ASSIGN(FieldShape shape, NestedShape(type, column, depth));
  if (shape.kind != FieldKind::kNone) return shape;
  const auto text = [&type](const char* key) {
    return type.is_object() && type.contains(key) && type[key].is_string() ? type[key].get<std::string>()
                                                                           : "";
  };
  const auto number = [&type](const char* key) {
    return type.is_object() && type.contains(key) && type[key].is_number_integer() ? type[key].get<int>() : 0;
  };
  const std::string name = type.is_string() ? type.get<std::string>() : text("type");
  const std::string logical = text("logicalType");
  if (name == "boolean") shape.kind = FieldKind::kBool;
  if (name == "int") shape.kind = logical == "date" ? FieldKind::kDate : FieldKind::kInt;
  if (name == "long") {
    shape.kind = FieldKind::kLong;
    if (logical == "timestamp-micros") shape.kind = FieldKind::kTimestamp;
    if (logical == "timestamp-millis") shape.kind = FieldKind::kTimestampMillis;
    if (logical == "local-timestamp-micros") shape.kind = FieldKind::kLocalTimestamp;
    if (logical == "local-timestamp-millis") shape.kind = FieldKind::kLocalTimestampMillis;
  }
  if (name == "float") shape.kind = FieldKind::kFloat;
  if (name == "double") shape.kind = FieldKind::kDouble;
  if (name == "string") shape.kind = FieldKind::kString;
  if (name == "bytes") shape.kind = FieldKind::kBytes;
  if ((name == "fixed" || name == "bytes") && logical == "decimal") {
    shape.kind = name == "fixed" ? FieldKind::kDecimalFixed : FieldKind::kDecimalBytes;
    shape.size = name == "fixed" ? number("size") : 0;
    shape.precision = number("precision");
    shape.scale = number("scale");
    if (shape.precision < 1 || shape.precision > 38 || shape.size < (name == "fixed" ? 1 : 0) ||
        shape.size > 16) {
      return MakeError(ErrorCode::kUnsupported,
                       "column '{}': decimal({}, {}) of {} bytes is wider than 38 digits", column,
                       shape.precision, shape.scale, shape.size);
    }
  }
  if (shape.kind == FieldKind::kNone) {
    return MakeError(ErrorCode::kUnsupported,
                     "column '{}' of Avro type {} is not read: leave it out of the table, or keep it as text",
                     column, type.dump());
  }
  return shape;
}

Result<FieldShape> ShapeOf(const ordered_json& type, const std::string& column, int depth) {
  if (!type.is_array()) return LogicalShape(type, column, depth);
  if (type.size() == 1) return LogicalShape(type[0], column, depth);
  if (type.size() != 2 || (type[0] != "null" && type[1] != "null")) {
    return MakeError(ErrorCode::kUnsupported,
                     "column '{}' of the union {} is not read: leave it out of the table, or keep it as text",
                     column, type.dump());
  }
  const int null_branch = type[0] == "null" ? 0 : 1;
  TARN_ASSIGN(FieldShape shape, LogicalShape(type[1 - null_branch], column, depth));
  shape.null_branch = null_branch;
  return shape;
}

}  // namespace

Result<std::string> SchemaFromArrow(const arrow::Schema& schema, const std::string& name,
                                    const std::string& space) {
  ordered_json fields = ordered_json::array();
  for (const auto& field : schema.fields()) {
    TARN_ASSIGN(ordered_json type, TypeToAvro(*field, space + "." + name));
    ordered_json entry{{"name", field->name()}};
    if (field->nullable()) {
      entry["type"] = ordered_json::array({"null", std::move(type)});
      entry["default"] = nullptr;
    } else {
      entry["type"] = std::move(type);
    }
    fields.push_back(std::move(entry));
  }
  return ordered_json{{"type", "record"}, {"name", name}, {"namespace", space}, {"fields", std::move(fields)}}
      .dump();
}

Result<std::vector<FieldShape>> ParseRecordShape(const std::string& json) {
  const ordered_json schema = ordered_json::parse(json, nullptr, false);
  if (!schema.is_object() || !schema.contains("fields") || !schema["fields"].is_array()) {
    return MakeError(ErrorCode::kCorrupt, "not an Avro record schema: '{}'", json.substr(0, 200));
  }
  return FieldsOf(schema, "", 0);
}

namespace {

arrow::FieldVector ArrowFieldsOf(const std::vector<FieldShape>& shapes) {
  arrow::FieldVector fields;
  for (const FieldShape& shape : shapes)
    fields.push_back(arrow::field(shape.name, ArrowTypeOf(shape), shape.null_branch >= 0));
  return fields;
}

}  // namespace

std::shared_ptr<arrow::DataType> ArrowTypeOf(const FieldShape& shape) {
  switch (shape.kind) {
    case FieldKind::kBool:
      return arrow::boolean();
    case FieldKind::kInt:
      return arrow::int32();
    case FieldKind::kLong:
      return arrow::int64();
    case FieldKind::kFloat:
      return arrow::float32();
    case FieldKind::kDouble:
      return arrow::float64();
    case FieldKind::kBytes:
      return arrow::binary();
    case FieldKind::kDate:
      return arrow::date32();
    case FieldKind::kTimestamp:
    case FieldKind::kTimestampMillis:
      return arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
    case FieldKind::kLocalTimestamp:
    case FieldKind::kLocalTimestampMillis:
      return arrow::timestamp(arrow::TimeUnit::MICRO);
    case FieldKind::kDecimalFixed:
    case FieldKind::kDecimalBytes:
      return arrow::decimal128(shape.precision, shape.scale);
    case FieldKind::kArray:
      return arrow::list(ArrowFieldsOf(shape.children).front());
    case FieldKind::kMap:
      return arrow::map(arrow::utf8(), ArrowFieldsOf(shape.children).front());
    case FieldKind::kRecord:
      return arrow::struct_(ArrowFieldsOf(shape.children));
    case FieldKind::kString:
    case FieldKind::kNone:
      break;
  }
  return arrow::utf8();
}

Result<std::shared_ptr<arrow::Schema>> SchemaToArrow(const std::string& json) {
  TARN_ASSIGN(const auto shapes, ParseRecordShape(json));
  return arrow::schema(ArrowFieldsOf(shapes));
}

}  // namespace tarn::avro
