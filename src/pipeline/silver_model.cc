#include "pipeline/silver_model.h"

#include <yaml-cpp/yaml.h>

#include <nlohmann/json.hpp>
#include <set>

namespace tarn::pipeline {
namespace {

Error Wrong(const std::string& file, const YAML::Node& node, const std::string& what) {
  return MakeError(ErrorCode::kInvalidArgument, "{}:{}: {}", file, node.Mark().line + 1, what);
}

Status CheckKeys(const std::string& file, const YAML::Node& map, const std::set<std::string>& known) {
  if (!map.IsMap()) return Wrong(file, map, "a mapping (key: value) is expected here");
  for (const auto& entry : map) {
    const auto key = entry.first.as<std::string>();
    if (known.contains(key)) continue;
    std::string all;
    for (const std::string& name : known) all += (all.empty() ? "" : ", ") + name;
    return Wrong(file, entry.first, "'" + key + "' is not known here; known are: " + all);
  }
  return {};
}

std::string Text(const YAML::Node& map, const char* key) {
  return map[key] ? map[key].as<std::string>() : "";
}

Result<RowRule> ParseRule(const std::string& file, const YAML::Node& node) {
  TARN_RETURN_IF_ERROR(CheckKeys(file, node, {"name", "check", "explain", "action"}));
  RowRule rule{Text(node, "name"), Text(node, "check"), Text(node, "explain")};
  if (rule.name.empty() || rule.check.empty()) return Wrong(file, node, "a rule needs a name and a check");
  const std::string action = node["action"] ? Text(node, "action") : "quarantine";
  if (action == "warn") {
    rule.action = RuleAction::kWarn;
  } else if (action == "stop") {
    rule.action = RuleAction::kStop;
  } else if (action != "quarantine") {
    return Wrong(file, node["action"], "'" + action + "' is no action; one of warn, quarantine, stop");
  }
  return rule;
}

Result<TableCheck> ParseCheck(const std::string& file, const YAML::Node& node) {
  TARN_RETURN_IF_ERROR(CheckKeys(file, node, {"name", "sql", "explain"}));
  TableCheck check{Text(node, "name"), Text(node, "sql"), Text(node, "explain")};
  if (check.name.empty() || check.sql.empty()) return Wrong(file, node, "a check needs a name and sql");
  return check;
}

Result<SilverModel> ParseNode(const YAML::Node& root, const std::string& file) {
  TARN_RETURN_IF_ERROR(
      CheckKeys(file, root, {"table", "description", "month_of", "columns", "rules", "checks"}));
  SilverModel model{Text(root, "table"), Text(root, "description"), Text(root, "month_of")};
  if (model.table.empty()) return Wrong(file, root, "`table` is missing");
  for (const auto& column : root["columns"]) {
    model.columns[column.first.as<std::string>()] = column.second.as<std::string>();
  }
  for (const auto& node : root["rules"]) {
    TARN_ASSIGN(RowRule rule, ParseRule(file, node));
    model.rules.push_back(std::move(rule));
  }
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
