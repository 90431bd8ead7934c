#include "pipeline/runner.h"

#include <arrow/record_batch.h>
#include <arrow/util/byte_size.h>

#include <algorithm>
#include <chrono>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "pipeline/lake_storage.h"

namespace tarn::pipeline {
std::string_view RunPhaseName(RunPhase phase) {
  switch (phase) {
    case RunPhase::kStarting:
      return "starting";
    case RunPhase::kCopying:
      return "first copy";
    case RunPhase::kCatchingUp:
      return "catching up from bronze";
    case RunPhase::kStreaming:
      return "streaming";
    case RunPhase::kReconnecting:
      return "reconnecting";
    case RunPhase::kStopped:
      return "stopped";
  }
  return "";
}

Runner::~Runner() = default;

Result<std::unique_ptr<Runner>> Runner::Open(PipelineOptions options, const Clock* clock) {
  std::unique_ptr<Runner> runner(new Runner(std::move(options), clock));
  runner->state_.started_micros = clock->NowMicros();
  TARN_RETURN_IF_ERROR(runner->OpenLake());
  return runner;
}

Status Runner::OpenLake() {
  TARN_ASSIGN(lease_, catalog::WriterLease::Take(layout_));
  TARN_ASSIGN(storage_, OpenLakeStorage(options_));
  TARN_RETURN_IF_ERROR(ClaimBronze(*storage_, options_));
  TARN_RETURN_IF_ERROR(CheckBronzeAlone());
  auto identity = catalog::ReadIdentity(*storage_, layout_);
  if (identity) {
    identity_ = *identity;
  } else if (identity.error().code != ErrorCode::kNotFound) {
    return std::move(identity).error();
  } else if (!options_.adopt_bronze) {
    TARN_RETURN_IF_ERROR(CheckNewLake(*storage_, options_));
  }
  TARN_ASSIGN(versions_, catalog::LakeVersions::Open(storage_.get(), layout_));
  view_ = std::make_unique<LakeView>(storage_.get(), layout_, versions_.get(), false);
  TARN_ASSIGN(bronze_, bronze::ChangeLog::Open(storage_.get(), options_.bronze(), clock_));
  if (!identity && options_.adopt_bronze && bronze_->last()) {
    // A lake whose folder is lost: the source tells its name when it is asked.
    identity_.epoch = bronze_->last()->epoch;
    TARN_RETURN_IF_ERROR(catalog::WriteIdentity(*storage_, layout_, identity_));
  }
  TARN_ASSIGN(silver_, SilverLayer::Open(storage_.get(), layout_, options_, clock_, versions_.get()));
  TARN_ASSIGN(confirmed_, ConfirmedNote::Open(storage_.get(), layout_.Internal("confirmed.json")));
  stream_ = std::make_unique<cdc::ReplicationStream>(options_.conninfo, options_.names,
                                                     cdc::SpoolOptions{layout_.Internal("spool")},
                                                     [this](Lsn at) { return NoteConfirmed(at); });
  watch_ = std::make_unique<SourceWatch>(
      storage_.get(), options_, &selection_, identity_.epoch,
      SourceWatch::Hooks{[this](const cdc::FollowedTable& table) { FollowComing(table); }});
  slot_alarm_ = std::make_unique<SlotAlarm>(options_);
  archive_ = std::make_unique<BronzeArchive>(storage_.get(), options_, clock_);
  check_watch_ = std::make_unique<CheckWatch>(storage_.get(), layout_, options_, view_.get(), clock_);
  return {};
}

catalog::RegisteredTable Runner::Register(const schema::TableSchema& table) const {
  catalog::RegisteredTable registered;
  registered.source = table;
  if (const auto model = silver_->ModelOf(table.lake_name)) registered.month_of = model->month_of;
  for (const schema::Column& column : table.columns) {
    if (!options_.tenant_column.empty() && column.name == options_.tenant_column)
      registered.tenant_column = column.lake_name;
  }
  return registered;
}

Status Runner::CatchUpFromBronze(const CancelToken& cancel) {
  state_.phase = RunPhase::kCatchingUp;
  TARN_RETURN_IF_ERROR(silver_->FinishReturns(cancel));
  return ReplayFromBronze(silver_->ReleaseHeld(), "", cancel);
}

Status Runner::ReplayFromBronze(const SourcePosition& after, const std::string& only,
                                const CancelToken& cancel) {
  bronze::ChangeReader reader(*storage_, options_.bronze_root());
  bronze::UnbrokenChain chain;
  return bronze::ChangeLog::ForEachManifest(*storage_, options_.bronze_root(), after,
                                            [&](const bronze::Manifest& manifest) -> Status {
                                              TARN_RETURN_IF_ERROR(cancel.Check());
                                              TARN_RETURN_IF_ERROR(chain.Follow(manifest));
                                              return ReplayManifest(manifest, only, reader);
                                            });
}

Status Runner::ReplayManifest(const bronze::Manifest& manifest, const std::string& only,
                              bronze::ChangeReader& reader) {
  SilverStep step;
  step.position = manifest.position();
  step.commit_micros = manifest.last_commit_micros;
  if (!options_.with_silver) {
    for (const bronze::ManifestEvent& event : manifest.events)
      step.events.push_back(
          {event.table, nullptr, event.at.value_or(schema::ChangePosition{}), event.copy_again});
    return silver_->Apply(step);
  }
  const auto wanted = [&](const bronze::ManifestEvent& event) {
    return only.empty() || event.table->lake_name == only;
  };
  // A file has the rows of before a truncation and of behind it: whatever piece comes must know of it.
  std::vector<bronze::TableRows> truncations;
  for (const bronze::ManifestEvent& event : manifest.events) {
    if (event.at && wanted(event)) truncations.push_back({event.table, nullptr, *event.at, event.copy_again});
  }
  step.events = truncations;
  int64_t bytes = 0;
  // As the stream brings it: what is larger than memory comes in pieces.
  const auto apply_piece = [&]() -> Status {
    step.open = true;
    TARN_RETURN_IF_ERROR(silver_->Apply(step));
    step.events = truncations;
    step.open = false;
    bytes = 0;
    return {};
  };
  for (const bronze::ManifestEvent& event : manifest.events) {
    if (event.at || !wanted(event)) continue;
    TARN_RETURN_IF_ERROR(reader.Read(event.file, [&](auto rows) -> Status {
      step.rows += rows->num_rows();
      bytes += arrow::util::ReferencedBufferSize(*rows).ValueOr(0);
      step.events.push_back({event.table, std::move(rows)});
      return bytes < options_.piece_bytes() ? Status{} : apply_piece();
    }));
  }
  if (!only.empty() && step.events.empty() && !silver_->has_spooled()) return {};
  TARN_RETURN_IF_ERROR(silver_->Apply(step));
  if (!only.empty()) return {};
  state_.silver_lsn = step.position.lsn.value;
  state_.silver_commit_micros = step.commit_micros;
  state_.silver_rows += step.rows;
  return {};
}

Status Runner::Prepare(bool beside, const CancelToken& cancel, const LoadReporter& report) {
  std::vector<cdc::SourceTable> tables;
  TARN_RETURN_IF_ERROR(PrepareSource(tables, cancel));
  slot_alarm_->Start();
  TARN_RETURN_IF_ERROR(CopyMissing(tables, beside, cancel, report));
  TARN_RETURN_IF_ERROR(CatchUpFromBronze(cancel));
  TARN_RETURN_IF_ERROR(RemakeOutdated(cancel));
  TARN_RETURN_IF_ERROR(AddUntakenCopies());
  UpdateFollowed();
  TARN_ASSIGN(const catalog::LakeVersion newest, versions_->Find(std::nullopt));
  const bool same_epoch = newest.epoch == identity_.epoch;
  state_.tail_lsn = state_.bronze_lsn = state_.silver_lsn = same_epoch ? newest.lsn.value : 0;
  state_.tail_commit_micros = state_.bronze_commit_micros = state_.silver_commit_micros =
      newest.commit_micros;
  return OpenGold();
}

Status Runner::Run(const CancelToken& cancel, std::optional<Lsn> until, const LoadReporter& report) {
  // Who waits for a position wants all tables there.
  Status outcome = Prepare(!until.has_value(), cancel, report);
  if (outcome) {
    CancelToken gold_cancel;
    std::thread gold_thread([&] {
      if (HasFollowers()) GoldLoop(gold_cancel);
    });
    view_->Follow(silver_.get());
    watch_->Start();
    archive_->Start();
    check_watch_->Start();
    outcome = Stream(cancel, until);
    check_watch_->Stop();
    archive_->Stop();
    watch_->Stop();
    {
      const std::lock_guard lock(gold_mutex_);
      gold_stop_ = true;
    }
    gold_wanted_.notify_all();
    if (!until) gold_cancel.Cancel();
    gold_thread.join();
  }
  EndReturns();
  slot_alarm_->Stop();
  state_.phase = RunPhase::kStopped;
  if (!outcome && outcome.error().code == ErrorCode::kCancelled) outcome = {};
  if (!outcome) return outcome;
  // Null when the start did not come to Gold.
  if (histories_ != nullptr) TARN_RETURN_IF_ERROR(histories_->Close());
  return silver_->Close();
}

}  // namespace tarn::pipeline
