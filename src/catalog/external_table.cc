#include "catalog/external_table.h"

#include <arrow/type.h>

#include <charconv>
#include <nlohmann/json.hpp>

namespace tarn::catalog {
namespace {

using nlohmann::json;

const std::map<std::string, std::shared_ptr<arrow::DataType>>& PlainTypes() {
  static const std::map<std::string, std::shared_ptr<arrow::DataType>> kTypes = {
      {"bool", arrow::boolean()},
      {"int8", arrow::int8()},
      {"int16", arrow::int16()},
      {"int32", arrow::int32()},
      {"int64", arrow::int64()},
      {"uint8", arrow::uint8()},
      {"uint16", arrow::uint16()},
      {"uint32", arrow::uint32()},
      {"uint64", arrow::uint64()},
      {"float", arrow::float32()},
      {"double", arrow::float64()},
      {"text", arrow::utf8()},
      {"bytes", arrow::binary()},
      {"date", arrow::date32()},
      {"time", arrow::time64(arrow::TimeUnit::MICRO)},
      {"timestamp", arrow::timestamp(arrow::TimeUnit::MICRO)},
      {"timestamptz", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC")}};
  return kTypes;
}

json FilesJson(const std::map<std::string, ExternalFile>& files) {
  json list = json::array();
  for (const auto& [path, file] : files) {
    list.push_back({{"path", path},
                    {"size_bytes", file.size_bytes},
                    {"modified_micros", file.modified_micros},
                    {"rows", file.rows},
                    {"partition", file.partition}});
  }
  return list;
}

json TableJson(const std::string& name, const ExternalTable& table) {
  json columns = json::array();
  for (const auto& field : table.schema->fields())
    columns.push_back({{"name", field->name()}, {"type", ExternalTypeText(*field->type()).value_or("")}});
  return {{"name", name},
          {"kind", table.kind == ExternalTable::Kind::kHudi ? "hudi" : "parquet"},
          {"path", table.path},
          {"root", table.root},
          {"columns", columns},
          {"partition_fields", table.partition_fields},
          {"left_out", table.left_out},
          {"files", FilesJson(table.files)},
          {"instant", table.instant},
          {"crawled_micros", table.crawled_micros}};
}

ExternalTable TableFrom(const json& json) {
  ExternalTable table;
  table.kind = json.at("kind") == "hudi" ? ExternalTable::Kind::kHudi : ExternalTable::Kind::kParquet;
  table.path = json.at("path");
  table.root = json.at("root");
  arrow::FieldVector fields;
  for (const auto& column : json.at("columns")) {
    const auto type = ExternalType(column.at("type"));
    if (type != nullptr) fields.push_back(arrow::field(column.at("name"), type));
  }
  table.schema = arrow::schema(std::move(fields));
  table.partition_fields = json.at("partition_fields");
  table.left_out = json.at("left_out");
  for (const auto& file : json.at("files")) {
    table.files[file.at("path")] = {file.at("size_bytes"), file.at("modified_micros"), file.at("rows"),
                                    file.at("partition")};
  }
  table.instant = json.at("instant");
  table.crawled_micros = json.at("crawled_micros");
  return table;
}

}  // namespace

std::optional<std::string> ExternalTypeText(const arrow::DataType& type) {
  if (type.id() == arrow::Type::DECIMAL128) {
    const auto& decimal = static_cast<const arrow::Decimal128Type&>(type);
    return fmt::format("decimal({},{})", decimal.precision(), decimal.scale());
  }
  for (const auto& [text, known] : PlainTypes()) {
    if (known->Equals(type)) return text;
  }
  return std::nullopt;
}

std::shared_ptr<arrow::DataType> ExternalType(const std::string& text) {
  if (const auto plain = PlainTypes().find(text); plain != PlainTypes().end()) return plain->second;
  int precision = 0, scale = 0;
  const char* end = text.data() + text.size();
  if (!text.starts_with("decimal(")) return nullptr;
  const auto first = std::from_chars(text.data() + 8, end, precision);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != ',') return nullptr;
  const auto second = std::from_chars(first.ptr + 1, end, scale);
  if (second.ec != std::errc() || second.ptr + 1 != end || *second.ptr != ')') return nullptr;
  return precision < 1 || precision > 38 ? nullptr : arrow::decimal128(precision, scale);
}

bool ExternalTable::operator==(const ExternalTable& other) const {
  const json ours = TableJson("", *this), theirs = TableJson("", other);
  return ours == theirs;
}

Result<ExternalTables> ExternalTables::Parse(const std::string& text) {
  ExternalTables known;
  try {
    const json parsed = json::parse(text);
    for (const auto& table : parsed.at("tables"))
      known.tables[table.at("name").get<std::string>()] = TableFrom(table);
  } catch (const json::exception& error) {
    return MakeError(ErrorCode::kCorrupt, "the list of external tables cannot be read: {}", error.what());
  }
  return known;
}

std::string ExternalTables::ToJson() const {
  json list = json::array();
  for (const auto& [name, table] : tables) list.push_back(TableJson(name, table));
  return json{{"format", 1}, {"tables", list}}.dump(1, ' ', false, json::error_handler_t::replace);
}

Result<ExternalTables> ExternalTables::Read(const storage::Storage& storage, const LakeLayout& layout) {
  auto text = storage.Read(Path(layout));
  if (!text && text.error().code == ErrorCode::kNotFound) return ExternalTables();
  if (!text) return std::move(text).error();
  auto known = Parse(*text);
  if (!known) return Error(known.error()).In(Path(layout));
  return known;
}

Status ExternalTables::Write(storage::Storage& storage, const LakeLayout& layout) const {
  return storage.Write(Path(layout), ToJson());
}

}  // namespace tarn::catalog
