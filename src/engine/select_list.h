#pragma once

#include <arrow/type_fwd.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"

namespace tarn::engine {

/// A column of a SELECT over the rows of one table.
struct SelectedColumn {
  std::string name;
  std::string expression;       ///< SQL over the table's columns, without its alias; its value has `type`.
  std::string copied_from;      ///< The table's column that it is, unchanged; empty when it is computed.
  std::set<std::string> reads;  ///< The table's columns that it is computed of.
  /// bool, int32, int64, float, double, decimal128, date32, timestamp(us, UTC), utf8 or binary.
  std::shared_ptr<arrow::DataType> type;
  size_t offset = 0;  ///< Where in the statement it begins; 0 where nobody knows.
};

/// What a SELECT makes of each row of `table`, whose columns `schema` gives. Shape: SELECT expressions FROM
/// table, `*` with EXCLUDE and REPLACE among them; each row gives one row, the same whenever it is computed.
/// Errors: kSql, kPermission and kInvalidArgument say what it may not have (another table, a filter, groups,
/// subqueries, random values, a type that lakes lack), with line and column where they are known.
Result<std::vector<SelectedColumn>> AnalyzeSelectList(const std::string& sql, const std::string& table,
                                                      const arrow::Schema& schema);

/// "line 3, column 8:" and an excerpt, for an error about what stands at `offset`.
std::string PlaceInSql(const std::string& sql, size_t offset);

}  // namespace tarn::engine
