#pragma once

#include <arrow/type_fwd.h>
#include <yaml-cpp/node/node.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace tarn::pipeline {

struct GoldModel;

/// A row by column, as texts; nullopt is NULL.
using GivenRow = std::map<std::string, std::optional<std::string>>;

/// What a model gives of a few rows, in dbt's words (`unit_tests` of models/gold/<name>.yml).
struct ModelUnitTest {
  std::string name;
  std::optional<int64_t> as_of_micros;                 ///< What as_of() gives; none: now.
  std::map<std::string, std::vector<GivenRow>> given;  ///< By Silver table or model.
  std::vector<GivenRow> expected;                      ///< Columns that no row names are not compared.
};

/// `tests`: a list, or null. Errors: kInvalidArgument names file, line and what is wrong. Throws:
/// YAML::Exception for values of a wrong kind.
Result<std::vector<ModelUnitTest>> ParseUnitTests(const std::string& file, const YAML::Node& tests);

/// Rows as texts ("tenant_id=1, revenue=10.00"); both empty: the test holds.
struct UnitTestOutcome {
  std::vector<std::string> missing, unexpected;
};

/// What Silver's tables look like. Errors: kNotFound.
using SchemaFinder = std::function<Result<std::shared_ptr<arrow::Schema>>(const std::string& table)>;

/// Runs a model of `models` over the test's rows, in memory. A model that it reads is given as rows, or
/// computed of what it reads. Errors: kInvalidArgument names a table that is read and not given, a column
/// that there is not, a value that has not the column's type; kSql of the model.
Result<UnitTestOutcome> RunUnitTest(const std::vector<GoldModel>& models, const GoldModel& model,
                                    const ModelUnitTest& test, const SchemaFinder& silver);

}  // namespace tarn::pipeline
