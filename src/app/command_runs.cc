#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/gold_reading.h"
#include "base/clock.h"
#include "pipeline/gold_runs.h"
#include "pipeline/lake_storage.h"
#include "server/local_client.h"

namespace tarn::app {
namespace {

using pipeline::GoldRun;
using pipeline::GoldStep;

nlohmann::json ToJson(const GoldRun& run) {
  return {{"model", run.model},
          {"started", FormatTimestamp(run.started_micros)},
          {"seconds", run.seconds},
          {"computed", run.kind == GoldStep::Kind::kAll ? "all" : "partitions"},
          {"partitions_computed", run.partitions_computed},
          {"partitions_changed", run.partitions_changed},
          {"rows", run.rows},
          {"bytes_read", run.bytes_read},
          {"bytes_written", run.bytes_written},
          {"reason", run.reason},
          {"error", run.error},
          {"source_instant", run.source_instant}};
}

void Print(const GoldRun& run) {
  const std::string computed =
      fmt::format("{}{} ({} changed)", run.kind == GoldStep::Kind::kAll ? "all " : "",
                  run.partitions_computed, run.partitions_changed);
  fmt::print("{:<23} {:<28} {:>8.3f} {:>10} {:<18} {}\n", FormatTimestamp(run.started_micros).substr(0, 23),
             run.model, run.seconds, run.rows, computed,
             run.error.empty() ? run.reason : "FAILED: " + run.error);
}

/// Without a running tarn: the next one begins with it.
int KeepBackfill(const Config& config, const std::string& model, const std::vector<std::string>& tenants) {
  const catalog::LakeLayout layout(config.pipeline.lake);
  const auto lease = catalog::WriterLease::Take(layout);
  if (!lease) return Fail(lease.error());
  const auto storage = storage::OpenLocalStorage(layout.Internal("staging"));
  if (!storage) return Fail(storage.error());
  auto backfills = pipeline::ReadBackfills(**storage, layout);
  if (!backfills) return Fail(backfills.error());
  pipeline::AddBackfill(model, {tenants.begin(), tenants.end()}, &*backfills);
  const Status written = pipeline::WriteBackfills(**storage, layout, *backfills);
  if (!written) return Fail(written.error());
  fmt::print("no tarn runs on this lake: the next `tarn run` computes it\n");
  return kSuccess;
}

/// Errors: kNotFound, and kInvalidArgument where tenants cannot be computed alone.
Status CheckBackfill(GoldReading& reading, const std::string& name, const std::vector<std::string>& tenants) {
  TARN_ASSIGN(const pipeline::GoldModel* model, pipeline::FindModel(reading.models, name));
  TARN_ASSIGN(const engine::ModelAnalysis* analysis, reading.snapshot->Analyze(*model));
  if (tenants.empty() || analysis->is_partition_local) return {};
  return MakeError(ErrorCode::kInvalidArgument,
                   "gold.{} cannot be computed for some tenants alone: {}; leave --tenant out", name,
                   analysis->why_not_local);
}

}  // namespace

int RunRuns(const Config& config, const std::string& model, size_t limit, bool json) {
  const auto storage = pipeline::OpenLakeStorageReadOnly(config.pipeline);
  const catalog::LakeLayout layout(config.pipeline.lake, config.pipeline.bronze_root());
  const auto identity = catalog::ReadIdentity(*storage, layout);
  if (!identity) return Fail(identity.error());
  const auto runs = pipeline::ReadRuns(*storage, layout, model, limit);
  if (!runs) return Fail(runs.error());
  if (json) {
    nlohmann::json list = nlohmann::json::array();
    for (const GoldRun& run : *runs) list.push_back(ToJson(run));
    fmt::print("{}\n", nlohmann::json{{"runs", list}}.dump(1));
    return kSuccess;
  }
  if (!runs->empty()) {
    fmt::print("{:<23} {:<28} {:>8} {:>10} {:<18} {}\n", "started (UTC)", "model", "seconds", "rows",
               "partitions", "why");
  }
  for (const GoldRun& run : *runs) Print(run);
  if (runs->empty()) fmt::print("no model has run yet{}\n", model.empty() ? "" : " by the name of " + model);
  return kSuccess;
}

int RunBackfill(const Config& config, const std::string& model, const std::vector<std::string>& tenants,
                bool dry_run) {
  const auto reading = GoldReading::Open(config);
  if (!reading) return Fail(reading.error());
  const Status fits = CheckBackfill(**reading, model, tenants);
  if (!fits) return Fail(fits.error());
  const std::string what = tenants.empty() ? "all of it" : fmt::format("{}", fmt::join(tenants, ", "));
  if (dry_run) {
    fmt::print("gold.{} would be computed again: {}\n", model, what);
    return kSuccess;
  }
  const auto reply =
      server::Ask(config.pipeline.lake + "/_tarn",
                  nlohmann::json{{"command", "backfill"}, {"model", model}, {"tenants", tenants}}.dump(), {});
  if (!reply && reply.error().code == ErrorCode::kNotFound) return KeepBackfill(config, model, tenants);
  if (!reply) return Fail(reply.error());
  fmt::print("gold.{} is computed again: {}; `tarn runs {}` tells of it\n", model, what, model);
  return kSuccess;
}

}  // namespace tarn::app
