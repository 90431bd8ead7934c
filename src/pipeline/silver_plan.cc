#include "pipeline/silver_plan.h"

#include <arrow/type.h>

#include <map>
#include <nlohmann/json.hpp>

#include "pipeline/row_rules.h"

namespace tarn::pipeline {
namespace {

using Named = std::map<std::string, std::string>;  ///< What each thing is, by name.

NamedChanges Compare(const Named& before, const Named& now) {
  NamedChanges changes;
  for (const auto& [name, what] : now) {
    const auto known = before.find(name);
    if (known == before.end()) {
      changes.added.push_back(name);
    } else if (known->second != what) {
      changes.changed.push_back(name);
    }
  }
  for (const auto& [name, what] : before) {
    if (!now.contains(name)) changes.removed.push_back(name);
  }
  return changes;
}

Named ColumnsOf(const SilverShape& shape) {
  Named columns;
  for (const SilverColumn& column : shape.columns()) {
    if (column.name.starts_with(kHiddenPrefix)) continue;
    columns[column.name] = column.copied_from + "|" + column.expression + "|" + column.type->ToString();
  }
  return columns;
}

Named RulesOf(const std::string& text) {
  Named rules;
  const auto list = nlohmann::json::parse(text, nullptr, false);
  if (!list.is_array()) return rules;
  for (const auto& rule : list) rules[rule.at(0).get<std::string>()] = rule.dump();
  return rules;
}

}  // namespace

Result<SilverPlan> PlanSilver(const catalog::RegisteredTable& table, const SilverModel* model) {
  SilverPlan plan;
  TARN_ASSIGN(const auto now, RowRules::Make(table.source, model));
  plan.select_changed = SelectOf(model) != table.select;
  if (plan.select_changed) {
    SilverModel earlier;
    earlier.select = table.select;
    // One that the source's columns do not fit any more tells of none.
    const auto before = SilverShape::Make(table.source, &earlier);
    plan.columns = Compare(before ? ColumnsOf(*before) : Named(), ColumnsOf(now->shape()));
  }
  plan.rules_known = !table.rules.empty();
  if (plan.rules_known) plan.rules = Compare(RulesOf(table.rules), RulesOf(RulesText(model)));
  return plan;
}

}  // namespace tarn::pipeline
