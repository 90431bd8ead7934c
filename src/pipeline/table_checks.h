#pragma once

#include <yaml-cpp/node/node.h>

#include <string>
#include <vector>

#include "base/error.h"

namespace tarn::pipeline {

/// A statement that gives the rows that are wrong: for what one row cannot show (duplicates, references).
struct TableCheck {
  std::string name;
  std::string sql;
  std::string explain;
  bool warns = false;  ///< Wrong rows are told and are no failure.
};

/// The columns of a file as a list of {name, description, tests}: that, or a mapping of names to descriptions
/// or to {description, tests}. Errors: kInvalidArgument.
Result<YAML::Node> ListColumns(const std::string& file, const YAML::Node& columns);
/// Whether a check says `severity: warn`; `error` is what it is without. Errors: kInvalidArgument.
Result<bool> ReadSeverity(const std::string& file, const YAML::Node& check);
/// Checks in dbt's words. `columns`: as ListColumns gives them; `tests`: those of the table, a list (or
/// null). Known are, of a column: not_null, unique, accepted_values, relationships; of the table: unique,
/// expression, freshness, row_count, row_count_anomaly, distribution_drift. `table`: schema.name in SQL,
/// quoted. Errors: kInvalidArgument names file, line and what is wrong. Throws: YAML::Exception for values of
/// a wrong kind.
Result<std::vector<TableCheck>> ParseTableChecks(const std::string& file, const std::string& table,
                                                 const YAML::Node& columns, const YAML::Node& tests);

}  // namespace tarn::pipeline
