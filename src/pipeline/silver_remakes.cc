#include <arrow/record_batch.h>

#include <algorithm>

#include "base/log.h"
#include "pipeline/runner.h"

namespace tarn::pipeline {

Status Runner::Remake(const bronze::LoadManifest& load, const CancelToken& cancel) {
  const std::string& name = load.table->lake_name;
  catalog::RegisteredTable table = silver_->registry().tables.at(name);
  table.source = *load.table;
  spdlog::info(
      "silver {}: its SELECT changed; it is made anew from the copy of {} rows at {} and the changes since",
      name, load.rows, load.snapshot.ToString());
  TARN_RETURN_IF_ERROR(silver_->TakeCopy(table, load.position(), [&](const auto& take) {
    return ReadCopy(CopyFiles(name), load, cancel, take);
  }));
  TARN_RETURN_IF_ERROR(ReplayFromBronze(load.position(), name, cancel));
  return silver_->SaveRegistry();
}

Status Runner::RemakeOutdated(const CancelToken& cancel) {
  const std::set<std::string> outdated = silver_->outdated();
  if (outdated.empty()) return {};
  TARN_ASSIGN(const auto loads, bronze::ChangeLog::ReadLoads(*storage_, options_.bronze_root()));
  const SourcePosition position = silver_->position();
  for (const std::string& name : outdated) {
    const auto& registered = silver_->registry().tables.at(name);
    const bronze::LoadManifest* copy = nullptr;
    if (const auto found = loads.find(name); found != loads.end()) {
      for (const bronze::LoadManifest& load : found->second) {
        if (load.position() == registered.start) copy = &load;
      }
    }
    std::string why_not = "Bronze has no copy of it";
    if (copy != nullptr) {
      TARN_ASSIGN(why_not, WhySpoiled(CopyFiles(name), *copy));
      // The SELECT may name columns that the copy does not have.
      if (copy->table->columns != registered.source.columns)
        why_not = "its columns changed since it was copied";
    }
    if (why_not.empty()) {
      TARN_RETURN_IF_ERROR(Remake(*copy, cancel));
      continue;
    }
    TARN_RETURN_IF_ERROR(silver_->MarkCopyAgain(
        name, "its SELECT in models/silver changed, and Bronze cannot make it anew: " + why_not, true));
  }
  TARN_ASSIGN(const catalog::LakeVersion newest, versions_->Find(std::nullopt));
  return silver_->Publish(position, std::max(newest.commit_micros, clock_->NowMicros()));
}

}  // namespace tarn::pipeline
