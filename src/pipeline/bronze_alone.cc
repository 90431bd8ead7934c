#include <algorithm>

#include "base/log.h"
#include "pipeline/runner.h"

// Capture into Bronze and nothing behind it: tables are followed by the registry alone, without Silver's
// files.
namespace tarn::pipeline {

Status Runner::CheckBronzeAlone() const {
  if (options_.with_silver) return {};
  TARN_ASSIGN(const auto tables, storage_->List(layout_.root() + "/silver"));
  if (tables.empty()) return {};
  return MakeError(
      ErrorCode::kInvalidArgument,
      "silver.enabled is false, but the lake '{}' has Silver tables, which would stay behind: set it to "
      "true, or choose another lake",
      layout_.root());
}

catalog::RegisteredTable Runner::RegisterCopy(const FinishedCopy& copy) const {
  catalog::RegisteredTable table = Register(*copy.load.table);
  table.start = copy.load.position();
  table.storage = copy.storage;
  return table;
}

Status Runner::FollowCopies(const std::vector<cdc::SourceTable>& tables) {
  TARN_ASSIGN(const Loads loads, bronze::ChangeLog::ReadLoads(*storage_, options_.bronze_root()));
  for (const cdc::SourceTable& table : tables) {
    const std::string& name = table.schema.lake_name;
    if (silver_->registry().tables.contains(name) || !IsWaiting(table, loads)) continue;
    const bronze::LoadManifest& load = loads.at(name).back();
    silver_->registry().tables[name] = RegisterCopy({load, table.storage});
    // Changes from before a copy are in it, unless it was cut off and is of several snapshots.
    const std::lock_guard lock(followed_mutex_);
    if (load.least_snapshot() == load.snapshot) coming_.erase(load.table->oid);
  }
  return silver_->SaveRegistry();
}

Status Runner::FollowFinishedCopy(const FinishedCopy& copy) {
  const std::string& name = copy.load.table->lake_name;
  spdlog::info("bronze {}: copied at {}, {} rows", name, copy.load.snapshot.ToString(), copy.load.rows);
  silver_->registry().tables[name] = RegisterCopy(copy);
  TARN_RETURN_IF_ERROR(silver_->SaveRegistry());
  Took(copy, true);
  return {};
}

}  // namespace tarn::pipeline
