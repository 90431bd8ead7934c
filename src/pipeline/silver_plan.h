#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "catalog/table_registry.h"
#include "pipeline/silver_model.h"

namespace tarn::pipeline {

/// Names of what came, went, or is another one than before.
struct NamedChanges {
  std::vector<std::string> added, removed, changed;
  bool empty() const { return added.empty() && removed.empty() && changed.empty(); }
};

/// What models/silver says of a table beside what its rows were made by.
struct SilverPlan {
  bool select_changed = false;  ///< The next start makes the table anew.
  NamedChanges columns;         ///< Of those that statements see. Removed ones stay, without values.
  NamedChanges rules;
  bool rules_known = true;  ///< False for tables that were made before tarn kept their rules.
};

/// `model`: as the folder has it now; may be null. Errors: kInvalidArgument when the next start would refuse
/// its SELECT.
Result<SilverPlan> PlanSilver(const catalog::RegisteredTable& table, const SilverModel* model);

}  // namespace tarn::pipeline
