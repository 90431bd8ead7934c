#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "pipeline/table_checks.h"
#include "storage/storage.h"

namespace tarn::pipeline {

/// A check and the table in whose model it stands.
struct ListedCheck {
  std::string schema, table;
  TableCheck check;

  std::string TableName() const { return schema + "." + table; }
};

/// The checks that a folder of models has: Silver's, then Gold's. `wanted`: of these tables alone ("orders",
/// "silver.orders"); empty: of all. Errors: kInvalidArgument names a wanted table without a model; those of
/// LoadSilverModels and LoadGoldModels.
Result<std::vector<ListedCheck>> ListChecks(const storage::Storage& storage, const std::string& models,
                                            const std::set<std::string>& silver_tables,
                                            const std::vector<std::string>& wanted = {});

}  // namespace tarn::pipeline
