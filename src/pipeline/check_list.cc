#include "pipeline/check_list.h"

#include <algorithm>

#include "pipeline/gold_model.h"
#include "pipeline/silver_model.h"

namespace tarn::pipeline {

Result<std::vector<ListedCheck>> ListChecks(const storage::Storage& storage, const std::string& models,
                                            const std::set<std::string>& silver_tables,
                                            const std::vector<std::string>& wanted) {
  std::set<std::string> unknown(wanted.begin(), wanted.end());
  std::vector<ListedCheck> list;
  const auto add = [&](const char* schema, const std::string& table, const auto& checks) {
    const std::string full = std::string(schema) + "." + table;
    const bool is_wanted = std::find(wanted.begin(), wanted.end(), table) != wanted.end() ||
                           std::find(wanted.begin(), wanted.end(), full) != wanted.end();
    unknown.erase(table);
    unknown.erase(full);
    if (!wanted.empty() && !is_wanted) return;
    for (const TableCheck& check : checks) list.push_back({schema, table, check});
  };
  TARN_ASSIGN(const auto silver, LoadSilverModels(storage, models));
  for (const auto& [table, model] : silver) add("silver", table, model.checks);
  TARN_ASSIGN(const auto gold, LoadGoldModels(storage, models, silver_tables));
  for (const GoldModel& model : gold) add("gold", model.name, model.checks);
  if (unknown.empty()) return list;
  return MakeError(ErrorCode::kInvalidArgument, "'{}' has no model in '{}/silver' or '{}/gold'",
                   *unknown.begin(), models, models);
}

}  // namespace tarn::pipeline
