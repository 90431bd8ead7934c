#include "schema/table_schema.h"

#include <arrow/type.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <set>

namespace tarn::schema {
namespace {

/// Every character that Avro's name rule forbids becomes "_".
std::string AvroName(const std::string& name) {
  std::string out;
  for (const unsigned char c : name)
    out += (c < 128 && std::isalnum(c)) || c == '_' ? static_cast<char>(c) : '_';
  if (out.empty() || std::isdigit(static_cast<unsigned char>(out[0]))) out = "_" + out;
  return out;
}

std::string UniqueName(const std::string& wanted, std::set<std::string>& taken) {
  std::string name = wanted;
  for (int i = 2; !taken.insert(LowerName(name)).second; i++) name = wanted + "_" + std::to_string(i);
  return name;
}

}  // namespace

std::string LowerName(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  return name;
}

namespace {

/// What tarn and Hudi use, in lower case.
std::set<std::string> TakenNames() {
  std::set<std::string> taken;
  for (const std::string_view name : {kOp, kCommitTime, kLsn, kOrdinal, kXid, kUnchanged, kOldKey, kBad}) {
    taken.insert(LowerName(std::string(name)));
  }
  for (const char* name :
       {"_month", "_row", "_rule", "_reason", "_refused_op", "_refused_key", "_hoodie_commit_time",
        "_hoodie_commit_seqno", "_hoodie_record_key", "_hoodie_partition_path", "_hoodie_file_name",
        "_hoodie_is_deleted", "_hoodie_operation"}) {
    taken.insert(name);
  }
  return taken;
}

}  // namespace

std::vector<std::string> TableSchema::KeyNames() const {
  std::vector<std::string> names;
  for (const Column& column : columns) {
    if (column.is_key) names.push_back(column.lake_name);
  }
  return names;
}

std::shared_ptr<arrow::Schema> ChangeSchema(const TableSchema& table) {
  arrow::FieldVector fields;
  fields.push_back(arrow::field(std::string(kOp), arrow::utf8(), false));
  fields.push_back(arrow::field(std::string(kCommitTime), arrow::utf8(), false));
  for (const Column& column : table.columns)
    fields.push_back(arrow::field(column.lake_name, ArrowType(column.type)));
  fields.push_back(arrow::field(std::string(kLsn), arrow::int64(), false));
  fields.push_back(arrow::field(std::string(kOrdinal), arrow::int64(), false));
  fields.push_back(arrow::field(std::string(kXid), arrow::int64()));
  for (const std::string_view name : {kUnchanged, kOldKey, kBad}) {
    fields.push_back(arrow::field(std::string(name), arrow::utf8()));
  }
  return arrow::schema(std::move(fields));
}

std::string LakeColumnName(const std::string& name) { return AvroName(name); }

void Column::HashUnder(std::string secret_id) {
  hashed_under = std::move(secret_id);
  type = {PgKind::kTextCast};
}

bool IsFreeLakeName(const std::string& name) {
  return AvroName(name) == name && !TakenNames().contains(LowerName(name));
}

void AssignLakeNames(TableSchema& table) {
  std::set<std::string> taken = TakenNames();
  for (Column& column : table.columns) column.lake_name = UniqueName(AvroName(column.name), taken);
  table.lake_name = LakeTableName(table.schema_name, table.table_name);
}

std::string LakeTableName(const std::string& schema_name, const std::string& table_name) {
  const std::string name = LowerName(AvroName(table_name));
  return schema_name == "public" ? name : LowerName(AvroName(schema_name)) + "__" + name;
}

std::string ToJson(const TableSchema& table) {
  nlohmann::json columns = nlohmann::json::array();
  for (const Column& column : table.columns) {
    columns.push_back({{"name", column.name},
                       {"lake_name", column.lake_name},
                       {"type_oid", column.type_oid},
                       {"typmod", column.typmod},
                       {"is_key", column.is_key},
                       {"attnum", column.attnum}});
    if (!column.hashed_under.empty()) columns.back()["hashed_under"] = column.hashed_under;
    if (column.renamed) columns.back()["renamed"] = true;
    if (column.constant) columns.back()["constant"] = *column.constant;
  }
  nlohmann::json object = {{"oid", table.oid},
                           {"schema", table.schema_name},
                           {"table", table.table_name},
                           {"lake_name", table.lake_name},
                           {"append_only", table.append_only},
                           {"columns", columns}};
  if (!table.filter_id.empty()) object["filter_id"] = table.filter_id;
  if (table.named) object["named"] = true;
  if (!table.kept_out.empty()) object["kept_out"] = table.kept_out;
  return object.dump();
}

Result<TableSchema> TableSchemaFromJson(const std::string& json) {
  try {
    const auto object = nlohmann::json::parse(json);
    TableSchema table;
    table.oid = object.at("oid");
    table.schema_name = object.at("schema");
    table.table_name = object.at("table");
    table.lake_name = object.at("lake_name");
    table.append_only = object.at("append_only");
    table.filter_id = object.value("filter_id", "");
    table.named = object.value("named", false);
    table.kept_out = object.value("kept_out", table.kept_out);
    for (const auto& from : object.at("columns")) {
      Column column{from.at("name"),  from.at("lake_name"), from.at("type_oid"), from.at("typmod"), {},
                    from.at("is_key")};
      column.type = MakePgType(column.type_oid, column.typmod);
      column.attnum = from.value("attnum", int16_t{0});
      column.renamed = from.value("renamed", false);
      if (from.contains("constant")) column.constant = from["constant"].get<std::string>();
      const std::string hashed_under = from.value("hashed_under", "");
      if (!hashed_under.empty()) column.HashUnder(hashed_under);
      table.columns.push_back(std::move(column));
    }
    return table;
  } catch (const nlohmann::json::exception& error) {
    return MakeError(ErrorCode::kCorrupt, "a table's schema cannot be read: {}", error.what());
  }
}

}  // namespace tarn::schema
