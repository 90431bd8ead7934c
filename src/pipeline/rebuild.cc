#include <arrow/record_batch.h>

#include <algorithm>

#include "base/log.h"
#include "bronze/chain_verifier.h"
#include "pipeline/runner.h"

namespace tarn::pipeline {

Status Runner::ForgetSpoiled(Loads& loads) const {
  for (auto entry = loads.begin(); entry != loads.end();) {
    auto& [name, copies] = *entry;
    while (!copies.empty()) {
      TARN_ASSIGN(const std::string spoiled, WhySpoiled(CopyFiles(name), copies.back()));
      if (spoiled.empty()) break;
      spdlog::warn("the copy of {} at {} counts for nothing: {}", name, copies.back().snapshot.ToString(),
                   spoiled);
      copies.pop_back();
    }
    entry = copies.empty() ? loads.erase(entry) : std::next(entry);
  }
  return {};
}

Status Runner::ProveBronze() const {
  spdlog::info("proving that Bronze is complete before anything is removed");
  bronze::ChainOptions options;
  options.copied = silver_->registry().CopiedAt();
  TARN_ASSIGN(const auto report, bronze::VerifyChain(*storage_, options_.bronze_root(), options));
  if (!report.complete()) {
    const bronze::ChainFault& first = report.faults.front();
    return MakeError(ErrorCode::kCorrupt,
                     "Bronze is not complete, so what the lake has stays as it is: {} {} ({} faults in all; "
                     "`tarn bronze verify` lists them). Fix: {}",
                     first.where, first.what, report.fault_count, first.fix);
  }
  if (report.copies == 0)
    return MakeError(ErrorCode::kNotFound, "'{}' holds no finished first copy", options_.bronze_root());
  return {};
}

/// Histories stay: Bronze has every change, but not when lake versions saw it.
Status Runner::RemoveModels() {
  TARN_ASSIGN(const auto models, LoadSilverModels(*storage_, options_.models));
  std::set<std::string> histories;
  for (const std::string& table : WantedHistories(models)) histories.insert(HistoryTable::NameOf(table));
  TARN_ASSIGN(const auto folders, storage_->List(layout_.root() + "/gold"));
  for (const auto& folder : folders) {
    if (!histories.contains(folder.name))
      TARN_RETURN_IF_ERROR(storage_->RemoveTree(layout_.Gold(folder.name)));
  }
  return {};
}

Status Runner::Rebuild(const CancelToken& cancel, const LoadReporter& report) {
  if (!options_.with_silver)
    return Error{ErrorCode::kInvalidArgument, "silver.enabled is false: there is nothing to rebuild"};
  TARN_RETURN_IF_ERROR(ProveBronze());
  for (const char* folder : {"silver", "quarantine"}) {
    TARN_RETURN_IF_ERROR(storage_->RemoveTree(layout_.root() + "/" + folder));
  }
  TARN_RETURN_IF_ERROR(RemoveModels());
  for (const char* name : {"sidecar", "versions", "gold_versions"}) {
    TARN_RETURN_IF_ERROR(storage_->RemoveTree(layout_.Internal(name)));
  }
  TARN_RETURN_IF_ERROR(storage_->Remove(layout_.Internal("tables.json")));
  TARN_ASSIGN(versions_, catalog::LakeVersions::Open(storage_.get(), layout_));
  view_ = std::make_unique<LakeView>(storage_.get(), layout_, versions_.get(), false);
  check_watch_ = std::make_unique<CheckWatch>(storage_.get(), layout_, options_, view_.get(), clock_);
  TARN_ASSIGN(silver_, SilverLayer::Open(storage_.get(), layout_, options_, clock_, versions_.get()));
  TARN_ASSIGN(auto loads, bronze::ChangeLog::ReadLoads(*storage_, options_.bronze_root()));
  TARN_RETURN_IF_ERROR(ForgetSpoiled(loads));
  LoadProgress progress;
  progress.tables_total = static_cast<int64_t>(loads.size());
  for (const auto& [name, copies] : loads) progress.estimated_rows += copies.back().rows;
  SourcePosition first;
  int64_t first_micros = 0, last_copy_micros = 0;
  for (const auto& [name, copies] : loads) {
    const bronze::LoadManifest& load = copies.back();
    progress.table = load.table->QualifiedName();
    catalog::RegisteredTable registered = Register(*load.table);
    registered.start = load.position();
    TARN_RETURN_IF_ERROR(silver_->AddTable(registered));
    SilverTable& table = *silver_->Find(load.table->lake_name);
    TARN_RETURN_IF_ERROR(table.BeginLoad(silver_->instants()->Next(), 1));
    TARN_RETURN_IF_ERROR(ReadCopy(CopyFiles(name), load, cancel, [&](auto rows) {
      progress.rows += rows->num_rows();
      report(progress);
      return table.Load(0, rows);
    }));
    TARN_RETURN_IF_ERROR(silver_->FinishLoad(name, OrderingValue(load.position())));
    progress.tables_done++;
    last_copy_micros = std::max(last_copy_micros, load.snapshot_micros);
    if (first.lsn.value == 0 || load.position() < first) {
      first = load.position();
      first_micros = load.snapshot_micros;
    }
  }
  TARN_RETURN_IF_ERROR(silver_->SaveRegistry());
  TARN_RETURN_IF_ERROR(silver_->Publish(first, first_micros));
  TARN_RETURN_IF_ERROR(CatchUpFromBronze(cancel));
  const auto awaited = silver_->AwaitedCopy(identity_.epoch);
  const auto& last = bronze_->last();
  if (awaited && last && last->epoch == awaited->epoch && last->end >= awaited->lsn)
    TARN_RETURN_IF_ERROR(silver_->Publish(*awaited, last_copy_micros));
  TARN_RETURN_IF_ERROR(OpenGold());
  TARN_RETURN_IF_ERROR(RunGoldOnce(cancel));
  report(progress);
  TARN_RETURN_IF_ERROR(histories_->Close());
  return silver_->Close();
}

}  // namespace tarn::pipeline
