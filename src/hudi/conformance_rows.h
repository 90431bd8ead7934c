#pragma once

#include <arrow/api.h>

#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"

namespace tarn::hudi {

/// For judging: rows of every type that the writer takes, drawn at random, and how they are told to others.
using Random = std::mt19937_64;
using Cell = std::shared_ptr<arrow::Scalar>;
/// A row that must be in the table; cells as the schema's columns.
struct ExpectedRow {
  std::vector<Cell> cells;
  std::string instant;  ///< Of the commit that wrote it.
};
/// By the row's number, which its identity is made of.
using ExpectedRows = std::map<int64_t, ExpectedRow>;

/// Columns id, code (identities), region, day, open, shard (partitions), one of every type, and _lsn.
std::shared_ptr<arrow::Schema> ConformanceSchema();
/// The schema with one more change of those that evolution allows: "add", "widen_int", "widen_float",
/// "make_nullable". Errors: kInvalidArgument names one that is not known.
Result<std::shared_ptr<arrow::Schema>> Evolved(const arrow::Schema& schema, const std::string& change);
/// Cells of another schema's columns: those that it has, converted, and nulls.
std::vector<Cell> Carried(const std::vector<Cell>& cells, const arrow::Schema& from, const arrow::Schema& to);

/// A row of number `number`, partition columns too. `ancient`: also dates before 1582 and times before 1900,
/// which readers of the Java world know two calendars for.
std::vector<Cell> DrawRow(Random& random, const arrow::Schema& schema, int64_t number, int64_t lsn,
                          bool ancient);
/// One batch of all rows. Errors: kInternal.
Result<std::shared_ptr<arrow::RecordBatch>> BatchOf(const std::shared_ptr<arrow::Schema>& schema,
                                                    const std::vector<const std::vector<Cell>*>& rows);

/// Name and type of each column: "bool", "int", "long", "float", "double", "decimal", "date", "time", "text",
/// "bytes".
nlohmann::json ColumnsJson(const arrow::Schema& schema);
/// Numbers and texts as they are; floats that are no numbers as text; decimals as text; dates in days, times
/// in microseconds since 1970; bytes in hexadecimal digits.
nlohmann::json RowJson(const std::vector<Cell>& cells);

}  // namespace tarn::hudi
