#include "pipeline/gold_model.h"

#include <algorithm>
#include <map>

#include "cdc/pg_connection.h"
#include "engine/referenced_tables.h"
#include "pipeline/yaml_reading.h"

namespace tarn::pipeline {
namespace {

Status ReadDescription(const std::string& text, const std::string& file, GoldModel& model) {
  try {
    const YAML::Node root = YAML::Load(text);
    TARN_RETURN_IF_ERROR(CheckKeys(
        file, root, {"description", "owner", "key", "partition", "columns", "tests", "unit_tests"}));
    model.description = TextOf(root, "description");
    model.owner = TextOf(root, "owner");
    if (root["key"]) model.key = root["key"].as<std::vector<std::string>>();
    model.partition = TextOf(root, "partition");
    TARN_ASSIGN(const YAML::Node columns, ListColumns(file, root["columns"]));
    for (const auto& column : columns) model.columns[TextOf(column, "name")] = TextOf(column, "description");
    TARN_ASSIGN(model.checks,
                ParseTableChecks(file, "gold." + cdc::QuoteName(model.name), columns, root["tests"]));
    TARN_ASSIGN(model.unit_tests, ParseUnitTests(file, root["unit_tests"]));
  } catch (const YAML::Exception& error) {
    return MakeError(ErrorCode::kInvalidArgument, "{}:{}: {}", file, error.mark.line + 1, error.msg);
  }
  if (model.key.empty()) return MakeError(ErrorCode::kInvalidArgument, "{}: `key` is missing", file);
  if (!model.partition.empty() &&
      std::find(model.key.begin(), model.key.end(), model.partition) == model.key.end()) {
    return MakeError(ErrorCode::kInvalidArgument, "{}: the partition column '{}' must be part of the key",
                     file, model.partition);
  }
  return {};
}

Status FindReferences(const std::string& file, const std::set<std::string>& silver_tables,
                      const std::map<std::string, GoldModel>& models, GoldModel& model) {
  auto references = engine::ReferencedTables(model.sql);
  if (!references) return std::move(references).error().In(file);
  for (const engine::TableName& table : *references) {
    if (table.schema == "gold") {
      // Of the run before: by its name alone it is of the same version as everything else.
      return MakeError(ErrorCode::kInvalidArgument,
                       "{}: 'gold.{}' may be older than the rest: name the model without its schema, '{}'",
                       file, table.name, table.name);
    }
    if (silver_tables.contains(table.name)) {
      model.silver.insert(table.name);
    } else if (table.schema != "silver" && models.contains(table.name)) {
      model.gold.insert(table.name);
    } else {
      return MakeError(ErrorCode::kInvalidArgument,
                       "{}: '{}' is neither a table of silver nor a model of gold", file, table.name);
    }
  }
  return {};
}

/// Depth first: what a model reads comes before it.
Status Visit(const std::string& name, std::map<std::string, GoldModel>& models,
             std::map<std::string, int>& state, std::vector<GoldModel>& ordered) {
  if (state[name] == 2) return {};
  if (state[name] == 1) {
    return MakeError(ErrorCode::kInvalidArgument, "the model gold.{} reads itself, through others", name);
  }
  state[name] = 1;
  GoldModel& model = models.at(name);
  for (const std::string& other : model.gold) {
    TARN_RETURN_IF_ERROR(Visit(other, models, state, ordered));
    const auto& silver = models.at(other).silver;
    model.silver.insert(silver.begin(), silver.end());
  }
  state[name] = 2;
  ordered.push_back(model);
  return {};
}

}  // namespace

Result<std::vector<GoldModel>> LoadGoldModels(const storage::Storage& storage, const std::string& folder,
                                              const std::set<std::string>& silver_tables) {
  std::vector<GoldModel> ordered;
  if (folder.empty()) return ordered;
  std::map<std::string, GoldModel> models;
  TARN_ASSIGN(const auto files, storage.List(folder + "/gold"));
  for (const auto& file : files) {
    if (!file.name.ends_with(".sql")) continue;
    GoldModel model;
    model.name = file.name.substr(0, file.name.size() - 4);
    const std::string path = folder + "/gold/" + model.name;
    TARN_ASSIGN(model.sql, storage.Read(path + ".sql"));
    TARN_ASSIGN(const std::string description, storage.Read(path + ".yml"));
    TARN_RETURN_IF_ERROR(ReadDescription(description, path + ".yml", model));
    models.emplace(model.name, std::move(model));
  }
  for (auto& [name, model] : models) {
    TARN_RETURN_IF_ERROR(FindReferences(folder + "/gold/" + name + ".sql", silver_tables, models, model));
  }
  std::map<std::string, int> state;
  for (const auto& [name, model] : models) TARN_RETURN_IF_ERROR(Visit(name, models, state, ordered));
  return ordered;
}

Result<const GoldModel*> FindModel(const std::vector<GoldModel>& models, const std::string& name) {
  std::string names;
  for (const GoldModel& model : models) {
    if (model.name == name) return &model;
    names += (names.empty() ? "" : ", ") + model.name;
  }
  return MakeError(ErrorCode::kNotFound, "there is no model '{}'; there are: {}", name,
                   names.empty() ? "none" : names);
}

}  // namespace tarn::pipeline
