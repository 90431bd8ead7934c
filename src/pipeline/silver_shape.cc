#include "pipeline/silver_shape.h"

#include <arrow/api.h>

#include <algorithm>
#include <set>

#include "engine/select_list.h"

namespace tarn::pipeline {
namespace {

using schema::PgKind;

/// PostgreSQL moves a value out of its row only if it is longer than the pointer that stays behind (18 bytes,
/// aligned): TOAST_POINTER_SIZE in src/include/access/heaptoast.h. A numeric has two bytes for four digits.
constexpr int kLongDecimal = 24;

bool MayBeUntouched(const schema::Column& column) {
  if (column.constant) return false;
  switch (column.type.kind) {
    case PgKind::kText:
    case PgKind::kTextCast:
    case PgKind::kJsonb:
    case PgKind::kBytes:
      return true;
    case PgKind::kDecimal:
      return column.type.precision > kLongDecimal;
    default:
      return false;
  }
}

schema::PgType TypeOf(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::BOOL:
      return {PgKind::kBool};
    case arrow::Type::INT32:
      return {PgKind::kInt32};
    case arrow::Type::INT64:
      return {PgKind::kInt64};
    case arrow::Type::FLOAT:
      return {PgKind::kFloat};
    case arrow::Type::DOUBLE:
      return {PgKind::kDouble};
    case arrow::Type::DECIMAL128: {
      const auto& decimal = static_cast<const arrow::Decimal128Type&>(type);
      return {PgKind::kDecimal, decimal.precision(), decimal.scale()};
    }
    case arrow::Type::DATE32:
      return {PgKind::kDate};
    case arrow::Type::TIMESTAMP:
      return {PgKind::kTimestamp};
    case arrow::Type::BINARY:
      return {PgKind::kBytes};
    default:
      return {PgKind::kText};
  }
}

}  // namespace

Result<SilverShape> SilverShape::Make(const schema::TableSchema& table, const SilverModel* model) {
  SilverShape shape;
  if (model != nullptr && !model->select.empty()) {
    shape.has_select_ = true;
    shape.file_ = model->select_file;
    TARN_RETURN_IF_ERROR(shape.Select(table, *model));
    return shape;
  }
  for (const schema::Column& column : table.columns)
    shape.columns_.push_back({column.lake_name, schema::ArrowType(column.type), column.lake_name, ""});
  return shape;
}

Status SilverShape::Select(const schema::TableSchema& table, const SilverModel& model) {
  arrow::FieldVector fields;
  for (const schema::Column& column : table.columns)
    fields.push_back(arrow::field(column.lake_name, schema::ArrowType(column.type)));
  auto selected = engine::AnalyzeSelectList(model.select, table.lake_name, *arrow::schema(fields));
  if (!selected) return MakeError(ErrorCode::kInvalidArgument, "{}: {}", file_, selected.error().message);
  for (const engine::SelectedColumn& column : *selected) {
    const bool is_copy = !column.copied_from.empty();
    const bool is_own = is_copy && column.copied_from == column.name;
    if (!is_own && (!schema::IsFreeLakeName(column.name) || column.name.starts_with(kHiddenPrefix))) {
      return MakeError(
          ErrorCode::kInvalidArgument,
          "{}: a column of the lake cannot be named '{}' (letters, digits and _, and none of tarn's "
          "or Hudi's names); {}",
          file_, column.name, engine::PlaceInSql(model.select, column.offset));
    }
    columns_.push_back({column.name, column.type, column.copied_from, is_copy ? "" : column.expression});
  }
  for (const schema::Column& column : table.columns) {
    if (column.is_key) TARN_RETURN_IF_ERROR(CheckKept(column.lake_name, "part of the key"));
    const bool is_needed = !table.append_only && MayBeUntouched(column) && StoredAs(column.lake_name).empty();
    if (is_needed) {
      columns_.push_back(
          {kHiddenPrefix + column.lake_name, schema::ArrowType(column.type), column.lake_name, ""});
    }
  }
  return {};
}

std::string SilverShape::StoredAs(const std::string& source_column) const {
  for (const SilverColumn& column : columns_) {
    if (column.copied_from == source_column) return column.name;
  }
  return "";
}

Status SilverShape::CheckKept(const std::string& source_column, const std::string& role) const {
  for (const SilverColumn& column : columns_) {
    if (column.name == source_column && column.copied_from == source_column) return {};
  }
  return MakeError(
      ErrorCode::kInvalidArgument,
      "{}: the column '{}' is {}, by which rows are found again: it must be in the select list as it "
      "is, under its own name",
      file_, source_column, role);
}

schema::TableSchema SilverShape::AsTable(const schema::TableSchema& source) const {
  if (!has_select_) return source;
  schema::TableSchema table = source;
  table.columns.clear();
  for (const SilverColumn& column : columns_) {
    if (column.name.starts_with(kHiddenPrefix)) continue;
    const auto own = std::find_if(source.columns.begin(), source.columns.end(), [&](const auto& candidate) {
      return candidate.lake_name == column.copied_from;
    });
    schema::Column out = own == source.columns.end() ? schema::Column{} : *own;
    out.name = out.lake_name = column.name;
    if (own == source.columns.end()) out.type = TypeOf(*column.type);
    table.columns.push_back(std::move(out));
  }
  return table;
}

}  // namespace tarn::pipeline
