#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/gold_reading.h"
#include "app/portability.h"
#include "catalog/table_registry.h"
#include "pipeline/silver_plan.h"

namespace tarn::app {
namespace {

using pipeline::GoldStep;

std::string TimeName(engine::TimeDependence time) {
  if (time == engine::TimeDependence::kNone) return "none";
  return time == engine::TimeDependence::kDay ? "day" : "moment";
}

std::string NextName(GoldStep::Kind kind) {
  if (kind == GoldStep::Kind::kNothing) return "nothing";
  return kind == GoldStep::Kind::kAll ? "all" : "partitions";
}

/// One model, or why nothing can be said of it.
nlohmann::json PlanOf(const Config& config, GoldReading& reading, const pipeline::GoldModel& model) {
  nlohmann::json json = {{"model", model.name},
                         {"reads", {{"silver", model.silver}, {"gold", model.gold}}},
                         {"partition", model.partition},
                         {"error", ""}};
  const auto analysis = reading.snapshot->Analyze(model);
  const auto step = analysis ? reading.Decide(config, model) : Result<GoldStep>(analysis.error());
  if (!step) {
    json["error"] = step.error().message;
    return json;
  }
  json["incremental"] = (*analysis)->is_partition_local;
  json["full_because"] = (*analysis)->why_not_local;
  json["time"] = TimeName((*analysis)->time);
  json["time_because"] = (*analysis)->time_reason;
  json["next"] = {
      {"computes", NextName(step->kind)}, {"partitions", step->partitions}, {"because", step->reason}};
  return json;
}

std::string Joined(const nlohmann::json& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name.get<std::string>();
  return text;
}

void Print(const nlohmann::json& plan) {
  fmt::print("{}\n", plan["model"].get<std::string>());
  const std::string gold = Joined(plan["reads"]["gold"]);
  fmt::print("  reads     {}{}\n", Joined(plan["reads"]["silver"]),
             gold.empty() ? "" : " (through " + gold + ")");
  if (const auto error = plan["error"].get<std::string>(); !error.empty()) {
    fmt::print("  error     {}\n", error);
    return;
  }
  if (plan["incremental"].get<bool>()) {
    fmt::print("  computed  by touched partitions of {}\n", plan["partition"].get<std::string>());
  } else {
    fmt::print("  computed  in full: {}\n", plan["full_because"].get<std::string>());
  }
  if (plan["time"] == "day") fmt::print("  time      changes when a day turns\n");
  if (plan["time"] == "moment") {
    fmt::print("  time      changes at every moment: {}\n", plan["time_because"].get<std::string>());
  }
  const auto& next = plan["next"];
  std::string what = next["computes"];
  if (what == "partitions")
    what = fmt::format("{} of {}", plan["partition"].get<std::string>(), Joined(next["partitions"]));
  fmt::print("  next run  {}: {}\n", what, next["because"].get<std::string>());
}

nlohmann::json ToJson(const pipeline::NamedChanges& changes) {
  return {{"added", changes.added}, {"removed", changes.removed}, {"changed", changes.changed}};
}

/// What the next start makes of a table of Silver, or why it would not begin.
nlohmann::json PlanOfSilver(const catalog::RegisteredTable& table, const pipeline::SilverModel* model) {
  nlohmann::json json = {{"table", table.source.lake_name}, {"error", ""}};
  const auto plan = pipeline::PlanSilver(table, model);
  if (!plan) {
    json["error"] = plan.error().message;
    return json;
  }
  json["made_anew"] = plan->select_changed;
  json["columns"] = ToJson(plan->columns);
  json["rules"] = ToJson(plan->rules);
  json["rules_known"] = plan->rules_known;
  return json;
}

void PrintChanges(const char* what, const nlohmann::json& changes) {
  std::string text;
  for (const auto& [kind, sign] :
       {std::pair("added", "+"), std::pair("removed", "-"), std::pair("changed", "~")}) {
    for (const auto& name : changes[kind]) text += fmt::format("  {} {}", sign, name.get<std::string>());
  }
  if (!text.empty()) fmt::print("  {:<8}{}\n", what, text);
}

bool IsSame(const nlohmann::json& plan) {
  const auto& rules = plan["rules"];
  return !plan["made_anew"].get<bool>() && rules["added"].empty() && rules["removed"].empty() &&
         rules["changed"].empty();
}

/// Only what is another than before.
void PrintSilver(const nlohmann::json& plan) {
  const std::string table = plan["table"];
  if (const auto error = plan["error"].get<std::string>(); !error.empty()) {
    fmt::print("silver.{}\n  error     {}\n", table, error);
    return;
  }
  if (IsSame(plan)) return;
  fmt::print("silver.{}\n", table);
  PrintChanges("columns", plan["columns"]);
  PrintChanges("rules", plan["rules"]);
  if (plan["made_anew"].get<bool>()) {
    fmt::print(
        "  next run  made anew by the SELECT as it is now, from Bronze; copied again where its source's "
        "columns "
        "changed since it was copied. Readers have what is there until then\n");
    return;
  }
  fmt::print(
      "  next run  its changes follow the rules as they are now, its rows in Silver stay. `tarn quarantine "
      "retry "
      "{}` judges what stands in quarantine, `tarn resync {}` every row\n",
      table, table);
}

/// Every table of Silver.
Result<nlohmann::json> PlanSilverTables(const Config& config, GoldReading& reading) {
  const catalog::LakeLayout layout(config.pipeline.lake, config.pipeline.bronze_root());
  TARN_ASSIGN(const auto registry, catalog::TableRegistry::Read(*reading.storage, layout));
  TARN_ASSIGN(const auto models, pipeline::LoadSilverModels(*reading.storage, config.pipeline.models));
  nlohmann::json list = nlohmann::json::array();
  for (const auto& [name, table] : registry.tables) {
    if (table.start.lsn == Lsn{}) continue;
    const auto model = models.find(name);
    list.push_back(PlanOfSilver(table, model == models.end() ? nullptr : &model->second));
  }
  return list;
}

}  // namespace

int RunPlan(const Config& config, bool json) {
  const auto reading = GoldReading::Open(config);
  if (!reading) return Fail(reading.error());
  const auto silver = PlanSilverTables(config, **reading);
  if (!silver) return Fail(silver.error());
  nlohmann::json list = nlohmann::json::array();
  bool is_whole = true;
  for (const auto& plan : *silver) {
    is_whole &= plan["error"] == "";
    if (!json) PrintSilver(plan);
  }
  for (const auto& model : (*reading)->models) {
    list.push_back(PlanOf(config, **reading, model));
    is_whole &= list.back()["error"] == "";
    if (!json) Print(list.back());
  }
  const auto refusals = SparkRefusals(config);
  if (!refusals) return Fail(refusals.error());
  is_whole &= refusals->empty();
  if (json) {
    fmt::print("{}\n", nlohmann::json{{"silver", *silver}, {"models", list}, {"spark", *refusals}}.dump(1));
  }
  for (const std::string& refusal : *refusals) {
    if (!json) fmt::print("not on Spark  {}\n", refusal);
  }
  if (list.empty() && !json) fmt::print("there are no models in '{}/gold'\n", config.pipeline.models);
  return is_whole ? kSuccess : kFailed;
}

}  // namespace tarn::app
