#include "catalog/table_registry.h"

#include <nlohmann/json.hpp>

namespace tarn::catalog {

Result<TableRegistry> TableRegistry::Read(const storage::Storage& storage, const LakeLayout& layout) {
  TableRegistry registry;
  auto text = storage.Read(layout.Internal("tables.json"));
  if (!text && text.error().code == ErrorCode::kNotFound) return registry;
  if (!text) return std::move(text).error();
  try {
    const auto json = nlohmann::json::parse(*text);
    for (const auto& from : json.at("tables")) {
      RegisteredTable table;
      TARN_ASSIGN(table.source, schema::TableSchemaFromJson(from.at("source").dump()));
      TARN_ASSIGN(table.start.lsn, Lsn::Parse(from.at("start").get<std::string>()));
      table.start.epoch = from.value("start_epoch", int64_t{0});
      table.tenant_column = from.at("tenant_column");
      table.month_of = from.at("month_of");
      table.held = from.at("held");
      table.storage = from.value("storage", "");
      table.copy_again = from.value("copy_again", "");
      table.left = from.value("left", false);
      table.select = from.value("select", "");
      table.rules = from.value("rules", "");
      if (from.contains("returning")) table.returning = from.at("returning").get<std::string>();
      registry.tables.emplace(table.source.lake_name, std::move(table));
    }
  } catch (const nlohmann::json::exception& error) {
    return MakeError(ErrorCode::kCorrupt, "'{}' cannot be read: {}", layout.Internal("tables.json"),
                     error.what());
  }
  return registry;
}

std::set<std::string> TableRegistry::Copied() const {
  std::set<std::string> names;
  for (const auto& [name, table] : tables) {
    if (table.start.lsn != Lsn{}) names.insert(table.source.QualifiedName());
  }
  return names;
}

std::set<std::string> TableRegistry::LakeNames() const {
  std::set<std::string> names;
  for (const auto& [name, table] : tables) names.insert(name);
  return names;
}

Result<std::string> TableRegistry::LakeName(const std::string& wanted) const {
  for (const auto& [name, table] : tables) {
    if (name == wanted || table.source.QualifiedName() == wanted) return name;
  }
  return MakeError(ErrorCode::kInvalidArgument,
                   "the lake has no table '{}'; `tarn tables` lists those that it has", wanted);
}

std::map<std::string, SourcePosition> TableRegistry::CopiedAt() const {
  std::map<std::string, SourcePosition> positions;
  for (const auto& [name, table] : tables) {
    if (table.start.lsn != Lsn{}) positions[name] = table.start;
  }
  return positions;
}

Status TableRegistry::Write(storage::Storage& storage, const LakeLayout& layout) const {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& [name, table] : tables) {
    list.push_back({{"source", nlohmann::json::parse(schema::ToJson(table.source))},
                    {"start", table.start.lsn.ToString()},
                    {"start_epoch", table.start.epoch},
                    {"tenant_column", table.tenant_column},
                    {"month_of", table.month_of},
                    {"storage", table.storage},
                    {"held", table.held},
                    {"copy_again", table.copy_again}});
    if (table.left) list.back()["left"] = true;
    if (!table.rules.empty()) list.back()["rules"] = table.rules;
    if (!table.select.empty()) list.back()["select"] = table.select;
    if (table.returning) list.back()["returning"] = *table.returning;
  }
  return storage.Write(layout.Internal("tables.json"), nlohmann::json{{"tables", list}}.dump(1));
}

}  // namespace tarn::catalog
