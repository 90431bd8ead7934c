#include "base/clock.h"
#include "pipeline/model_unit_test.h"
#include "pipeline/yaml_reading.h"

namespace tarn::pipeline {
namespace {

Result<std::vector<GivenRow>> ParseRows(const std::string& file, const YAML::Node& rows,
                                        const YAML::Node& place) {
  std::vector<GivenRow> parsed;
  if (!rows || !rows.IsSequence())
    return WrongYaml(file, place, "'rows' is missing: a list of rows ({column: value}), which may be empty");
  for (const auto& node : rows) {
    if (!node.IsMap()) return WrongYaml(file, node, "a row ({column: value}) is expected here");
    GivenRow row;
    for (const auto& cell : node) {
      if (!cell.second.IsScalar() && !cell.second.IsNull())
        return WrongYaml(file, cell.second, "a single value is expected here; write lists and JSON as text");
      row[cell.first.as<std::string>()] =
          cell.second.IsNull() ? std::nullopt : std::optional(cell.second.as<std::string>());
    }
    parsed.push_back(std::move(row));
  }
  return parsed;
}

Result<ModelUnitTest> ParseUnitTest(const std::string& file, const YAML::Node& node) {
  TARN_RETURN_IF_ERROR(CheckKeys(file, node, {"name", "description", "as_of", "given", "expect"}));
  ModelUnitTest test;
  test.name = TextOf(node, "name");
  if (test.name.empty()) return WrongYaml(file, node, "a unit test needs a name");
  if (node["as_of"]) {
    const auto micros = ParseTimestamp(TextOf(node, "as_of"));
    if (!micros) return WrongYaml(file, node["as_of"], micros.error().message);
    test.as_of_micros = *micros;
  }
  if (!node["given"] || !node["given"].IsSequence())
    return WrongYaml(file, node, "'given' is missing: a list of {input: table, rows: [...]}");
  for (const auto& given : node["given"]) {
    TARN_RETURN_IF_ERROR(CheckKeys(file, given, {"input", "rows"}));
    const std::string input = TextOf(given, "input");
    if (input.empty())
      return WrongYaml(file, given, "'input' is missing: the table or model that has the rows");
    TARN_ASSIGN(auto rows, ParseRows(file, given["rows"], given));
    if (!test.given.emplace(input, std::move(rows)).second)
      return WrongYaml(file, given, "'" + input + "' is given a second time");
  }
  if (!node["expect"]) return WrongYaml(file, node, "'expect' is missing: {rows: [...]}");
  TARN_RETURN_IF_ERROR(CheckKeys(file, node["expect"], {"rows"}));
  TARN_ASSIGN(test.expected, ParseRows(file, node["expect"]["rows"], node["expect"]));
  return test;
}

}  // namespace

Result<std::vector<ModelUnitTest>> ParseUnitTests(const std::string& file, const YAML::Node& tests) {
  std::vector<ModelUnitTest> parsed;
  if (!tests || tests.IsNull()) return parsed;
  if (!tests.IsSequence()) return WrongYaml(file, tests, "a list of unit tests is expected here");
  for (const auto& node : tests) {
    TARN_ASSIGN(ModelUnitTest test, ParseUnitTest(file, node));
    parsed.push_back(std::move(test));
  }
  return parsed;
}

}  // namespace tarn::pipeline
