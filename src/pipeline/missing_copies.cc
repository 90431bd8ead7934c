#include <algorithm>

#include "base/log.h"
#include "bronze/change_log.h"
#include "bronze/copy_progress.h"
#include "pipeline/runner.h"
#include "pipeline/table_copy.h"

namespace tarn::pipeline {
namespace {

/// How often tables are copied that were truncated or changed meanwhile, while all others wait.
constexpr int kMostRounds = 3;

}  // namespace

Status Runner::RemoveFiles(const std::string& name) {
  for (const char* database : {"silver", "quarantine"}) {
    TARN_RETURN_IF_ERROR(storage_->RemoveTree(layout_.Sidecar(database, name)));
  }
  TARN_RETURN_IF_ERROR(storage_->RemoveTree(layout_.Silver(name)));
  return storage_->RemoveTree(layout_.Quarantine(name));
}

Status Runner::BeginAgain(const schema::TableSchema& table) {
  TARN_RETURN_IF_ERROR(RemoveFiles(table.lake_name));
  return silver_->AddTable(Register(table));
}

Status Runner::DescribeAgain(std::vector<cdc::SourceTable>& tables) {
  if (tables.empty()) return {};
  TARN_ASSIGN(auto connection,
              cdc::PgConnection::Connect(options_.conninfo, cdc::PgConnection::Kind::kOrdinary, "set-up"));
  std::vector<cdc::SourceTable> described;
  for (const cdc::SourceTable& table : tables) {
    TARN_ASSIGN(auto now, cdc::DescribeTable(*connection, table.schema.oid, options_.patterns.mappings));
    if (!now) {  // One that was made in its place is new to the watch.
      silver_->RemoveTable(table.schema.lake_name);
      TARN_RETURN_IF_ERROR(RemoveFiles(table.schema.lake_name));
      continue;
    }
    now->schema.lake_name = table.schema.lake_name;
    TARN_RETURN_IF_ERROR(cdc::Measure(*connection, *now));
    described.push_back(std::move(*now));
  }
  tables = std::move(described);
  return {};
}

Result<bool> Runner::GoesOn(const cdc::SourceTable& table) {
  const std::string& name = table.schema.lake_name;
  TARN_ASSIGN(const bool is_cut_off, IsCutOff(*storage_, options_, identity_.epoch, table));
  if (is_cut_off && !unpublished_.contains(name)) return true;
  TARN_RETURN_IF_ERROR(bronze::ForgetCopyProgress(*storage_, options_.bronze(), name));
  return false;
}

Status Runner::LeaveToWatch(const std::vector<cdc::SourceTable>& tables) {
  for (const cdc::SourceTable& table : tables) {
    TARN_ASSIGN([[maybe_unused]] const bool goes_on, GoesOn(table));
    TARN_RETURN_IF_ERROR(AwaitSilver({table.schema, Lsn{}, table.storage}));
  }
  return {};
}

Result<bool> Runner::IsInLake(const std::string& name) {
  const auto known = silver_->registry().tables.find(name);
  if (known == silver_->registry().tables.end()) return false;
  if (!options_.with_silver) return true;
  TARN_RETURN_IF_ERROR(silver_->AddTable(known->second));
  TARN_ASSIGN(const int64_t applied, silver_->Find(name)->AppliedLsn());
  return applied != 0;
}

bool Runner::IsWaiting(const cdc::SourceTable& table, const Loads& loads) const {
  const auto found = loads.find(table.schema.lake_name);
  if (found == loads.end() || unpublished_.contains(table.schema.lake_name)) return false;
  const bronze::LoadManifest& load = found->second.back();
  return load.epoch == identity_.epoch && load.table->oid == table.schema.oid &&
         load.table->columns == table.schema.columns && load.table->filter_id == table.schema.filter_id;
}

Status Runner::AwaitSilver(const cdc::FollowedTable& table) {
  silver_->RemoveTable(table.schema.lake_name);
  TARN_RETURN_IF_ERROR(RemoveFiles(table.schema.lake_name));
  FollowComing(table);
  return {};
}

Result<std::vector<cdc::SourceTable>> Runner::FindMissing(const std::vector<cdc::SourceTable>& tables,
                                                          const Loads& loads) {
  std::vector<cdc::SourceTable> missing;
  for (const cdc::SourceTable& table : tables) {
    const std::string& name = table.schema.lake_name;
    TARN_ASSIGN(const bool is_there, IsInLake(name));
    if (is_there && loads.contains(name)) continue;
    if (is_there && options_.with_silver) {
      // What it has stays for readers, and its past; Bronze alone could not make it again.
      TARN_RETURN_IF_ERROR(silver_->MarkCopyAgain(name, "Bronze has lost the manifest of its copy", false));
      continue;
    }
    if (!is_there && IsWaiting(table, loads)) {
      if (options_.with_silver) TARN_RETURN_IF_ERROR(AwaitSilver({*loads.at(name).back().table, Lsn{}, ""}));
    } else {
      missing.push_back(table);
    }
  }
  if (!options_.with_silver) return missing;
  // What the lake has and the source has no more, or under another name of the lake, stays readable.
  const auto registered = silver_->registry().tables;
  for (const auto& [name, table] : registered) {
    const bool is_source = std::any_of(tables.begin(), tables.end(), [&, &wanted = name](const auto& source) {
      return source.schema.lake_name == wanted;
    });
    if (!is_source && loads.contains(name) && table.start.lsn != Lsn{})
      TARN_RETURN_IF_ERROR(silver_->AddTable(table));
  }
  return missing;
}

Result<std::set<std::string>> Runner::BeginCopies(const std::vector<cdc::SourceTable>& missing) {
  std::set<std::string> cut_off;
  for (const cdc::SourceTable& table : missing) {
    TARN_ASSIGN(const bool goes_on, GoesOn(table));
    if (goes_on || !options_.with_silver) {
      cut_off.insert(table.schema.lake_name);
      TARN_RETURN_IF_ERROR(AwaitSilver({table.schema, Lsn{}, table.storage}));
    } else {
      TARN_RETURN_IF_ERROR(BeginAgain(table.schema));
    }
  }
  return cut_off;
}

Status Runner::CopyMissing(std::vector<cdc::SourceTable>& tables, bool beside, const CancelToken& cancel,
                           const LoadReporter& report) {
  TARN_ASSIGN(const Loads loads, bronze::ChangeLog::ReadLoads(*storage_, options_.bronze_root()));
  TARN_ASSIGN(auto missing, FindMissing(tables, loads));
  if (beside && options_.with_silver && versions_->size() > 0) {
    for (const cdc::SourceTable& table : missing)
      spdlog::info("{} is new: it is copied beside the stream", table.from);
    TARN_RETURN_IF_ERROR(LeaveToWatch(missing));
    missing.clear();
  }
  const auto tell = [&](const LoadProgress& progress) {
    {
      const std::lock_guard lock(state_.mutex);
      state_.load = progress;
    }
    report(progress);
  };
  for (int round = 0; !missing.empty(); round++) {
    if (round == kMostRounds) {
      for (const cdc::SourceTable& table : missing)
        spdlog::warn("{} is truncated or changed as often as it is copied: it is copied beside the stream",
                     table.from);
      TARN_RETURN_IF_ERROR(LeaveToWatch(missing));
      break;
    }
    state_.phase = RunPhase::kCopying;
    TARN_ASSIGN(const auto cut_off, BeginCopies(missing));
    TARN_ASSIGN(missing, CopyTables(storage_.get(), options_, identity_.epoch, missing, cut_off, *silver_,
                                    cancel, tell));
    TARN_RETURN_IF_ERROR(DescribeAgain(missing));
  }
  unpublished_.clear();
  if (!options_.with_silver) TARN_RETURN_IF_ERROR(FollowCopies(tables));
  if (versions_->size() > 0) return {};
  // The first version, also when a crash came between the copies and it. Where snapshots differ it has the
  // oldest; the others' tables come in when the stream has passed them.
  std::optional<SourcePosition> at;
  for (const auto& [name, table] : silver_->registry().tables)
    at = std::min(at.value_or(table.start), table.start);
  return silver_->Publish(at.value_or(SourcePosition{}), clock_->NowMicros());
}

}  // namespace tarn::pipeline
