#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "pipeline/model_unit_test.h"
#include "pipeline/table_checks.h"
#include "storage/storage.h"

namespace tarn::pipeline {

/// A Gold table: one SELECT in `models/gold/<name>.sql`, described in `<name>.yml` beside it.
struct GoldModel {
  std::string name;
  std::string sql;
  std::string description;
  std::string owner;                           ///< Whom to ask; empty: nobody is named.
  std::vector<std::string> key;                ///< Columns that identify a row of the result.
  std::string partition;                       ///< Column, part of the key; empty: unpartitioned.
  std::map<std::string, std::string> columns;  ///< Descriptions.
  std::vector<TableCheck> checks;              ///< Of its `tests`.
  std::vector<ModelUnitTest> unit_tests;
  std::set<std::string> silver;  ///< Silver tables that it reads, itself or through other models.
  std::set<std::string> gold;    ///< Models that it reads.
};

/// All models in an order in which each comes behind those that it reads. Errors: kInvalidArgument names the
/// file and what is wrong: no key, a name that is no table, a circle; kSql when a model does not parse.
Result<std::vector<GoldModel>> LoadGoldModels(const storage::Storage& storage, const std::string& folder,
                                              const std::set<std::string>& silver_tables);

/// kNotFound names those that there are.
Result<const GoldModel*> FindModel(const std::vector<GoldModel>& models, const std::string& name);

}  // namespace tarn::pipeline
