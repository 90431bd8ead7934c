#include "pipeline/silver_model.h"

#include <nlohmann/json.hpp>

#include "cdc/pg_connection.h"
#include "pipeline/yaml_reading.h"

namespace tarn::pipeline {
namespace {

Result<RowRule> ParseRule(const std::string& file, const YAML::Node& node) {
  TARN_RETURN_IF_ERROR(CheckKeys(file, node, {"name", "check", "explain", "action"}));
  RowRule rule{TextOf(node, "name"), TextOf(node, "check"), TextOf(node, "explain")};
  if (rule.name.empty() || rule.check.empty())
    return WrongYaml(file, node, "a rule needs a name and a check");
  const std::string action = node["action"] ? TextOf(node, "action") : "quarantine";
  if (action == "warn") {
    rule.action = RuleAction::kWarn;
  } else if (action == "stop") {
    rule.action = RuleAction::kStop;
  } else if (action != "quarantine") {
    return WrongYaml(file, node["action"], "'" + action + "' is no action; one of warn, quarantine, stop");
  }
  return rule;
}

Result<TableCheck> ParseCheck(const std::string& file, const YAML::Node& node) {
  TARN_RETURN_IF_ERROR(CheckKeys(file, node, {"name", "sql", "explain", "severity"}));
  TableCheck check{TextOf(node, "name"), TextOf(node, "sql"), TextOf(node, "explain")};
  TARN_ASSIGN(check.warns, ReadSeverity(file, node));
  if (check.name.empty() || check.sql.empty()) return WrongYaml(file, node, "a check needs a name and sql");
  return check;
}

Result<SilverModel> ParseNode(const YAML::Node& root, const std::string& file) {
  TARN_RETURN_IF_ERROR(CheckKeys(
      file, root,
      {"table", "description", "owner", "month_of", "history", "columns", "rules", "tests", "checks"}));
  SilverModel model{TextOf(root, "table"), TextOf(root, "description"), TextOf(root, "owner"),
                    TextOf(root, "month_of")};
  if (model.table.empty()) return WrongYaml(file, root, "`table` is missing");
  if (root["history"] && !YAML::convert<bool>::decode(root["history"], model.history)) {
    return WrongYaml(file, root["history"], "'" + TextOf(root, "history") + "' must be true or false");
  }
  TARN_ASSIGN(const YAML::Node columns, ListColumns(file, root["columns"]));
  for (const auto& column : columns) model.columns[TextOf(column, "name")] = TextOf(column, "description");
  for (const auto& node : root["rules"]) {
    TARN_ASSIGN(RowRule rule, ParseRule(file, node));
    model.rules.push_back(std::move(rule));
  }
  TARN_ASSIGN(model.checks,
              ParseTableChecks(file, "silver." + cdc::QuoteName(model.table), columns, root["tests"]));
  for (const auto& node : root["checks"]) {
    TARN_ASSIGN(TableCheck check, ParseCheck(file, node));
    model.checks.push_back(std::move(check));
  }
  return model;
}

}  // namespace

Result<SilverModel> ParseSilverModel(const std::string& text, const std::string& file_name) {
  try {
    return ParseNode(YAML::Load(text), file_name);
  } catch (const YAML::Exception& error) {
    return MakeError(ErrorCode::kInvalidArgument, "{}:{}: {}", file_name, error.mark.line + 1, error.msg);
  }
}

std::string RulesText(const SilverModel* model) {
  nlohmann::json list = nlohmann::json::array();
  const char* actions[] = {"warn", "quarantine", "stop"};
  for (const RowRule& rule : model == nullptr ? std::vector<RowRule>() : model->rules)
    list.push_back({rule.name, rule.check, actions[static_cast<size_t>(rule.action)]});
  return list.dump();
}

Result<std::map<std::string, SilverModel>> LoadSilverModels(const storage::Storage& storage,
                                                            const std::string& folder) {
  std::map<std::string, SilverModel> models;
  if (folder.empty()) return models;
  TARN_ASSIGN(const auto files, storage.List(folder + "/silver"));
  for (const auto& file : files) {
    if (!file.name.ends_with(".yml")) continue;
    const std::string path = folder + "/silver/" + file.name;
    TARN_ASSIGN(const std::string text, storage.Read(path));
    TARN_ASSIGN(SilverModel model, ParseSilverModel(text, path));
    const std::string table = model.table;
    if (!models.emplace(table, std::move(model)).second) {
      return MakeError(ErrorCode::kInvalidArgument, "{}: the table '{}' has a second model", path, table);
    }
  }
  for (const auto& file : files) {
    if (!file.name.ends_with(".sql")) continue;
    const std::string path = folder + "/silver/" + file.name;
    SilverModel& model = models[file.name.substr(0, file.name.size() - 4)];
    TARN_ASSIGN(model.select, storage.Read(path));
    model.select_file = path;
    if (model.select.find_first_not_of(" \t\r\n") == std::string::npos)
      return MakeError(ErrorCode::kInvalidArgument, "{}: it is empty; one SELECT is expected", path);
    if (model.table.empty()) model.table = file.name.substr(0, file.name.size() - 4);
  }
  return models;
}

}  // namespace tarn::pipeline
