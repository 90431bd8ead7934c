#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "pipeline/table_checks.h"
#include "storage/storage.h"

namespace tarn::pipeline {

enum class RuleAction { kWarn, kQuarantine, kStop };

/// What a row must satisfy. As with SQL's CHECK, only FALSE breaks it: NULL passes.
struct RowRule {
  std::string name;
  std::string check;    ///< SQL expression over the row's columns.
  std::string explain;  ///< For people: why, and what to do about a row that breaks it.
  RuleAction action = RuleAction::kQuarantine;
};

/// `models/silver/<table>.yml`.
struct SilverModel {
  std::string table;  ///< Lake name.
  std::string description;
  std::string owner;     ///< Whom to ask; empty: nobody is named.
  std::string month_of;  ///< Column by whose month the table is partitioned, too; empty: none.
  std::map<std::string, std::string> columns;  ///< Descriptions.
  std::vector<RowRule> rules;
  std::vector<TableCheck> checks;
  bool history = false;     ///< All versions of its rows are kept as gold.<table>_history.
  std::string select;       ///< `models/silver/<table>.sql`: what Silver's columns are; empty: the source's.
  std::string select_file;  ///< Where it stands; empty without one.
};

/// Its SELECT; empty without one. `model`: may be null.
inline std::string SelectOf(const SilverModel* model) { return model == nullptr ? "" : model->select; }

/// Its row rules, for comparisons: a JSON list of [name, check, action]. `model`: may be null.
std::string RulesText(const SilverModel* model);

/// All models of a folder by table: what `<table>.sql` and the .yml of the table say. Errors:
/// kInvalidArgument names file, line and what is wrong with it.
Result<std::map<std::string, SilverModel>> LoadSilverModels(const storage::Storage& storage,
                                                            const std::string& folder);
Result<SilverModel> ParseSilverModel(const std::string& text, const std::string& file_name);

}  // namespace tarn::pipeline
