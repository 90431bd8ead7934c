#include "pipeline/table_checks.h"

#include <algorithm>
#include <map>

#include "cdc/pg_connection.h"
#include "pipeline/yaml_reading.h"

namespace tarn::pipeline {
namespace {

using cdc::QuoteName;
using cdc::QuoteText;

/// One test as it stands in the file: a name, or a name with its arguments.
struct Test {
  const std::string& file;
  const std::string& table;
  std::string column;  ///< Empty: of the table.
  std::string name;
  YAML::Node arguments;  ///< Null: none.
  YAML::Node place;

  Error Wrong(const std::string& what) const { return WrongYaml(file, place, name + ": " + what); }
  Status KnownArguments(std::set<std::string> known) const {
    known.insert({"name", "severity", "explain"});
    return CheckKeys(file, arguments, known);
  }
  std::string Text(const char* key) const { return TextOf(arguments, key); }
  Result<std::string> Needed(const char* key) const {
    if (arguments.IsMap() && arguments[key]) return Text(key);
    return Wrong(fmt::format("'{}' is missing", key));
  }
  /// A whole number, of at least one.
  Result<int64_t> Number(const char* key, int64_t otherwise) const {
    if (!arguments[key]) return otherwise;
    int64_t number = 0;
    if (YAML::convert<int64_t>::decode(arguments[key], number) && number >= 1) return number;
    return WrongYaml(file, arguments[key],
                     fmt::format("'{}' must be a whole number, 1 or more, and not '{}'", key, Text(key)));
  }
};

Result<std::string> NotNull(const Test& test) {
  return fmt::format("SELECT * FROM {} WHERE {} IS NULL", test.table, QuoteName(test.column));
}

Result<std::string> Unique(const Test& test) {
  std::vector<std::string> columns{test.column};
  if (test.column.empty()) {
    const YAML::Node& list = test.arguments.IsMap() ? test.arguments["columns"] : test.arguments;
    if (!list || !list.IsSequence() || list.size() == 0) return test.Wrong("a list of columns is expected");
    columns = list.as<std::vector<std::string>>();
  }
  std::string names, are_there;
  for (const std::string& column : columns) {
    names += (names.empty() ? "" : ", ") + QuoteName(column);
    are_there += (are_there.empty() ? "" : " AND ") + QuoteName(column) + " IS NOT NULL";
  }
  return fmt::format("SELECT {0}, count(*) AS times FROM {1} WHERE {2} GROUP BY {0} HAVING count(*) > 1",
                     names, test.table, are_there);
}

Result<std::string> AcceptedValues(const Test& test) {
  const YAML::Node& list = test.arguments.IsMap() ? test.arguments["values"] : test.arguments;
  if (!list || !list.IsSequence() || list.size() == 0) return test.Wrong("a list of values is expected");
  std::string values;
  for (const auto& value : list) values += (values.empty() ? "" : ", ") + QuoteText(value.as<std::string>());
  return fmt::format("SELECT * FROM {} WHERE CAST({} AS VARCHAR) NOT IN ({})", test.table,
                     QuoteName(test.column), values);
}

Result<std::string> Relationships(const Test& test) {
  TARN_ASSIGN(const std::string to, test.Needed("to"));
  TARN_ASSIGN(const std::string field, test.Needed("field"));
  const size_t dot = to.find('.');
  const std::string other = dot == std::string::npos
                                ? QuoteName(to)
                                : QuoteName(to.substr(0, dot)) + "." + QuoteName(to.substr(dot + 1));
  return fmt::format(
      "SELECT child.* FROM {} child WHERE child.{} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {} parent WHERE "
      "parent.{} = child.{})",
      test.table, QuoteName(test.column), other, QuoteName(field), QuoteName(test.column));
}

Result<std::string> Expression(const Test& test) {
  const std::string sql = test.arguments.IsMap() ? test.Text("expression") : test.arguments.as<std::string>();
  if (sql.empty()) return test.Wrong("an SQL expression is expected");
  return fmt::format("SELECT * FROM {} WHERE NOT ({}\n)", test.table, sql);
}

Result<std::string> Freshness(const Test& test) {
  TARN_ASSIGN(const std::string column, test.Needed("loaded_at_field"));
  const YAML::Node after =
      test.arguments["error_after"] ? test.arguments["error_after"] : test.arguments["warn_after"];
  if (!after || !after.IsMap()) return test.Wrong("error_after: {count: 12, period: hour} is expected");
  const std::string period = TextOf(after, "period"), count = TextOf(after, "count");
  if (period != "minute" && period != "hour" && period != "day")
    return WrongYaml(test.file, after, "'" + period + "' is no period; one of minute, hour, day");
  if (count.empty() || count.find_first_not_of("0123456789") != std::string::npos)
    return WrongYaml(test.file, after, "'count' must be a whole number, and not '" + count + "'");
  return fmt::format(
      "SELECT max({0}) AS newest FROM {1} HAVING coalesce(max({0}) < as_of() - INTERVAL {2} {3}, true)",
      QuoteName(column), test.table, count, period);
}

Result<std::string> RowCount(const Test& test) {
  if (!test.arguments.IsMap() || (!test.arguments["min"] && !test.arguments["max"]))
    return test.Wrong("min or max is expected");
  TARN_ASSIGN(const int64_t least, test.Number("min", 0));
  TARN_ASSIGN(const int64_t most, test.Number("max", INT64_MAX));
  return fmt::format("SELECT count(*) AS row_count FROM {} HAVING count(*) NOT BETWEEN {} AND {}", test.table,
                     least, most);
}

/// The newest complete day against the days before it; fewer than seven days tell nothing.
Result<std::string> RowCountAnomaly(const Test& test) {
  TARN_ASSIGN(const std::string column, test.Needed("time_column"));
  TARN_ASSIGN(const int64_t days, test.Number("days", 28));
  TARN_ASSIGN(const int64_t deviations, test.Number("deviations", 3));
  return fmt::format(
      "WITH today AS (SELECT CAST(as_of() AS DATE) AS today), "
      "counted AS (SELECT CAST({0} AS DATE) AS day, count(*) AS row_count FROM {1}, today WHERE {0} >= today "
      "- {2} "
      "AND {0} < today GROUP BY 1), "
      "first AS (SELECT min(day) AS first_day FROM counted), "
      "days AS (SELECT today - 1 - CAST(n AS INTEGER) AS day FROM today, range({2}) r(n)), "
      "filled AS (SELECT d.day, coalesce(c.row_count, 0) AS row_count FROM days d CROSS JOIN first f LEFT "
      "JOIN counted "
      "c ON c.day "
      "= d.day WHERE d.day >= f.first_day), "
      "known AS (SELECT avg(row_count) AS mean, stddev_samp(row_count) AS deviation, count(*) AS days FROM "
      "filled, today "
      "WHERE day < today - 1) "
      "SELECT f.day, f.row_count, k.mean, k.deviation FROM filled f, known k, today WHERE f.day = today - 1 "
      "AND k.days "
      ">= 7 AND abs(f.row_count - k.mean) > {3} * greatest(k.deviation, 1)",
      QuoteName(column), test.table, days, deviations);
}

/// Population stability index of a column's values, the last days against as many before.
Result<std::string> DistributionDrift(const Test& test) {
  TARN_ASSIGN(const std::string column, test.Needed("column"));
  TARN_ASSIGN(const std::string time, test.Needed("time_column"));
  TARN_ASSIGN(const int64_t days, test.Number("days", 7));
  const std::string most = test.arguments["max"] ? test.Text("max") : "0.2";
  if (most.empty() || most.find_first_not_of("0123456789.") != std::string::npos)
    return test.Wrong("'max' must be a number, and not '" + most + "'");
  return fmt::format(
      "WITH recent AS (SELECT CAST({0} AS VARCHAR) AS value, {1} >= as_of() - INTERVAL {3} DAY AS is_new "
      "FROM {2} WHERE "
      "{1} >= as_of() - INTERVAL {4} DAY), "
      "counted AS (SELECT value, count(*) FILTER (is_new) AS new_rows, count(*) FILTER (NOT is_new) AS "
      "old_rows FROM "
      "recent GROUP BY 1), "
      "shares AS (SELECT value, (new_rows + 0.5) / (sum(new_rows) OVER () + 0.5 * count(*) OVER ()) AS "
      "new_share, "
      "(old_rows + 0.5) / (sum(old_rows) OVER () + 0.5 * count(*) OVER ()) AS old_share, sum(new_rows) OVER "
      "() AS "
      "all_new, sum(old_rows) OVER () AS all_old FROM counted) "
      "SELECT sum((new_share - old_share) * ln(new_share / old_share)) AS drift FROM shares WHERE all_new > "
      "0 AND "
      "all_old > 0 HAVING sum((new_share - old_share) * ln(new_share / old_share)) > {5}",
      QuoteName(column), QuoteName(time), test.table, days, 2 * days, most);
}

struct Kind {
  Result<std::string> (*sql)(const Test&);
  bool of_columns, of_tables;
  std::set<std::string> arguments;  ///< When they are a mapping.
};

const std::map<std::string, Kind>& Kinds() {
  static const std::map<std::string, Kind> kinds = {
      {"not_null", {NotNull, true, false, {}}},
      {"unique", {Unique, true, true, {"columns"}}},
      {"accepted_values", {AcceptedValues, true, false, {"values"}}},
      {"relationships", {Relationships, true, false, {"to", "field"}}},
      {"expression", {Expression, false, true, {"expression"}}},
      {"freshness", {Freshness, false, true, {"loaded_at_field", "warn_after", "error_after"}}},
      {"row_count", {RowCount, false, true, {"min", "max"}}},
      {"row_count_anomaly", {RowCountAnomaly, false, true, {"time_column", "days", "deviations"}}},
      {"distribution_drift", {DistributionDrift, false, true, {"column", "time_column", "days", "max"}}},
  };
  return kinds;
}

Result<TableCheck> ParseTest(const Test& test) {
  const auto kind = Kinds().find(test.name);
  const bool is_column = !test.column.empty();
  if (kind == Kinds().end() || !(is_column ? kind->second.of_columns : kind->second.of_tables)) {
    std::string known;
    for (const auto& [name, other] : Kinds()) {
      if (is_column ? other.of_columns : other.of_tables) known += (known.empty() ? "" : ", ") + name;
    }
    return WrongYaml(test.file, test.place,
                     fmt::format("'{}' is no test of a {}; known are: {}", test.name,
                                 is_column ? "column" : "table", known));
  }
  if (test.arguments.IsMap()) TARN_RETURN_IF_ERROR(test.KnownArguments(kind->second.arguments));
  TableCheck check;
  TARN_ASSIGN(check.sql, kind->second.sql(test));
  check.name = is_column ? test.name + " " + test.column : test.name;
  if (!test.arguments.IsMap()) return check;
  if (test.arguments["name"]) check.name = test.Text("name");
  check.explain = test.Text("explain");
  TARN_ASSIGN(check.warns, ReadSeverity(test.file, test.arguments));
  check.warns |= test.name == "freshness" && !test.arguments["error_after"];
  return check;
}

Status AddTests(const std::string& file, const std::string& table, const std::string& column,
                const YAML::Node& tests, std::vector<TableCheck>* checks) {
  if (!tests) return {};
  if (!tests.IsSequence()) return WrongYaml(file, tests, "a list of tests is expected here");
  for (const auto& node : tests) {
    Test test{file, table, column, "", YAML::Node(), node};
    if (node.IsMap() && node.size() == 1) {
      test.name = node.begin()->first.as<std::string>();
      test.arguments = node.begin()->second;
    } else if (node.IsScalar()) {
      test.name = node.as<std::string>();
    } else {
      return WrongYaml(file, node, "a test is expected here: its name, or its name and its arguments");
    }
    TARN_ASSIGN(TableCheck check, ParseTest(test));
    const auto has_name = [&](const TableCheck& other) { return other.name == check.name; };
    for (int number = 2; std::any_of(checks->begin(), checks->end(), has_name); number++)
      check.name =
          fmt::format("{} {}", check.name.substr(0, check.name.find(" #")), "#" + std::to_string(number));
    checks->push_back(std::move(check));
  }
  return {};
}

}  // namespace

Result<YAML::Node> ListColumns(const std::string& file, const YAML::Node& columns) {
  YAML::Node list(YAML::NodeType::Sequence);
  if (!columns || columns.IsNull()) return list;
  if (columns.IsSequence()) {
    for (const auto& column : columns) {
      TARN_RETURN_IF_ERROR(CheckKeys(file, column, {"name", "description", "tests"}));
      if (TextOf(column, "name").empty()) return WrongYaml(file, column, "a column needs a name");
    }
    return columns;
  }
  if (!columns.IsMap()) return WrongYaml(file, columns, "columns are expected here, by name");
  for (const auto& entry : columns) {
    if (entry.second.IsMap()) TARN_RETURN_IF_ERROR(CheckKeys(file, entry.second, {"description", "tests"}));
    // Not a copy, which would forget the places.
    YAML::Node column(YAML::NodeType::Map);
    column["name"] = entry.first;
    if (!entry.second.IsMap()) column["description"] = entry.second;
    for (const char* key : {"description", "tests"}) {
      if (entry.second.IsMap() && entry.second[key]) column[key] = entry.second[key];
    }
    list.push_back(column);
  }
  return list;
}

Result<bool> ReadSeverity(const std::string& file, const YAML::Node& check) {
  const std::string severity = check["severity"] ? TextOf(check, "severity") : "error";
  if (severity == "warn" || severity == "error") return severity == "warn";
  return WrongYaml(file, check["severity"], "'" + severity + "' is no severity; one of warn, error");
}

Result<std::vector<TableCheck>> ParseTableChecks(const std::string& file, const std::string& table,
                                                 const YAML::Node& columns, const YAML::Node& tests) {
  std::vector<TableCheck> checks;
  for (const auto& column : columns) {
    TARN_RETURN_IF_ERROR(AddTests(file, table, TextOf(column, "name"), column["tests"], &checks));
  }
  TARN_RETURN_IF_ERROR(AddTests(file, table, "", tests, &checks));
  return checks;
}

}  // namespace tarn::pipeline
