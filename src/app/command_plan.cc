#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/gold_reading.h"

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

}  // namespace

int RunPlan(const Config& config, bool json) {
  const auto reading = GoldReading::Open(config);
  if (!reading) return Fail(reading.error());
  nlohmann::json list = nlohmann::json::array();
  bool is_whole = true;
  for (const auto& model : (*reading)->models) {
    list.push_back(PlanOf(config, **reading, model));
    is_whole &= list.back()["error"] == "";
    if (!json) Print(list.back());
  }
  if (json) fmt::print("{}\n", nlohmann::json{{"models", list}}.dump(1));
  if (list.empty() && !json) fmt::print("there are no models in '{}/gold'\n", config.pipeline.models);
  return is_whole ? kSuccess : kFailed;
}

}  // namespace tarn::app
