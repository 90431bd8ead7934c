#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/gold_reading.h"

namespace tarn::app {
namespace {

/// Adds what became of one test; true when it holds.
bool Add(const pipeline::GoldModel& model, const pipeline::ModelUnitTest& test,
         const Result<pipeline::UnitTestOutcome>& outcome, nlohmann::json& list) {
  nlohmann::json json = {{"model", model.name}, {"test", test.name}, {"error", ""}};
  if (outcome) {
    json["missing"] = outcome->missing;
    json["unexpected"] = outcome->unexpected;
  } else {
    json["error"] = outcome.error().message;
  }
  json["holds"] = outcome && outcome->missing.empty() && outcome->unexpected.empty();
  list.push_back(std::move(json));
  return list.back()["holds"].get<bool>();
}

void Print(const nlohmann::json& test) {
  const bool holds = test["holds"].get<bool>();
  const auto error = test["error"].get<std::string>();
  fmt::print("{:<34} {:<36} {}\n", "gold." + test["model"].get<std::string>(),
             test["test"].get<std::string>(),
             holds           ? "holds"
             : error.empty() ? "differs"
                             : "cannot be run");
  if (!error.empty()) fmt::print("    {}\n", error);
  for (const char* kind : {"missing", "unexpected"}) {
    for (const auto& row : test.value(kind, nlohmann::json::array()))
      fmt::print("    {:<11} {}\n", kind, row.get<std::string>());
  }
}

}  // namespace

int RunUnitTests(const Config& config, const std::vector<std::string>& models, bool json) {
  const auto reading = GoldReading::Open(config);
  if (!reading) return Fail(reading.error());
  for (const std::string& name : models) {
    const auto model = pipeline::FindModel((*reading)->models, name);
    if (!model) return Fail(model.error());
  }
  const auto version = (*reading)->versions->Find(std::nullopt);
  if (!version) return Fail(version.error());
  const auto lake = (*reading)->view->PinVersion(*version);
  if (!lake) return Fail(lake.error());
  const auto schema_of = [&](const std::string& table) -> Result<std::shared_ptr<arrow::Schema>> {
    TARN_ASSIGN(const auto plan, (*lake)->Plan({"silver", table}, true));
    return plan->schema;
  };
  nlohmann::json list = nlohmann::json::array();
  bool all_hold = true;
  for (const pipeline::GoldModel& model : (*reading)->models) {
    if (!models.empty() && std::find(models.begin(), models.end(), model.name) == models.end()) continue;
    for (const pipeline::ModelUnitTest& test : model.unit_tests) {
      all_hold &= Add(model, test, pipeline::RunUnitTest((*reading)->models, model, test, schema_of), list);
      if (!json) Print(list.back());
    }
  }
  if (json) fmt::print("{}\n", nlohmann::json{{"ok", all_hold}, {"tests", list}}.dump(1));
  if (list.empty() && !json) fmt::print("there are no unit tests in '{}/gold'\n", config.pipeline.models);
  return all_hold ? kSuccess : kDifference;
}

}  // namespace tarn::app
