#include <arrow/record_batch.h>

#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/lake_answers.h"
#include "catalog/table_registry.h"
#include "pipeline/check_list.h"
#include "pipeline/lake_storage.h"

namespace tarn::app {
namespace {

using pipeline::ListedCheck;

Result<std::vector<ListedCheck>> ListChecks(const Config& config, const std::vector<std::string>& wanted) {
  const auto storage = pipeline::OpenLakeStorageReadOnly(config.pipeline);
  const catalog::LakeLayout layout(config.pipeline.lake, config.pipeline.bronze_root());
  TARN_ASSIGN(const auto registry, catalog::TableRegistry::Read(*storage, layout));
  return pipeline::ListChecks(*storage, config.pipeline.models, registry.LakeNames(), wanted);
}

struct Outcome {
  int64_t wrong_rows = 0;
  std::string error;
};

Outcome Try(const Config& config, const pipeline::TableCheck& check) {
  Outcome outcome;
  server::AnswerHandler handler;
  handler.on_batch = [&](std::shared_ptr<arrow::RecordBatch> batch) -> Status {
    outcome.wrong_rows += batch->num_rows();
    return {};
  };
  const auto reply = AskOrRead(config, {check.sql, "operator", std::nullopt, false}, handler);
  if (!reply) outcome.error = reply.error().message;
  return outcome;
}

void Print(const ListedCheck& listed, const Outcome& outcome) {
  const std::string verdict = !outcome.error.empty()    ? "cannot be run"
                              : outcome.wrong_rows == 0 ? "holds"
                              : listed.check.warns
                                  ? fmt::format("{} wrong rows (a warning)", outcome.wrong_rows)
                                  : fmt::format("{} wrong rows", outcome.wrong_rows);
  fmt::print("{:<34} {:<36} {}\n", listed.TableName(), listed.check.name, verdict);
  if (!outcome.error.empty()) fmt::print("    {}\n", outcome.error);
  if (outcome.wrong_rows != 0 && !listed.check.explain.empty()) fmt::print("    {}\n", listed.check.explain);
}

}  // namespace

int RunChecks(const Config& config, const std::vector<std::string>& tables, bool json) {
  const auto checks = ListChecks(config, tables);
  if (!checks) return Fail(checks.error());
  nlohmann::json list = nlohmann::json::array();
  int64_t wrong = 0, warned = 0, broken = 0;
  for (const ListedCheck& listed : *checks) {
    const Outcome outcome = Try(config, listed.check);
    broken += outcome.error.empty() ? 0 : 1;
    if (outcome.wrong_rows > 0) (listed.check.warns ? warned : wrong)++;
    list.push_back({{"schema", listed.schema},
                    {"table", listed.table},
                    {"check", listed.check.name},
                    {"severity", listed.check.warns ? "warn" : "error"},
                    {"wrong_rows", outcome.wrong_rows},
                    {"error", outcome.error},
                    {"explain", listed.check.explain}});
    if (!json) Print(listed, outcome);
  }
  const bool all_hold = wrong + broken == 0;
  if (json) {
    fmt::print("{}\n", nlohmann::json{{"ok", all_hold}, {"checks", list}}.dump(1));
  } else if (list.empty()) {
    fmt::print("there are no checks in '{}'\n", config.pipeline.models);
  } else {
    fmt::print("{} checks: {} found wrong rows, {} warn, {} could not be run\n", list.size(), wrong, warned,
               broken);
  }
  if (broken > 0) return kFailed;
  return all_hold ? kSuccess : kDifference;
}

}  // namespace tarn::app
