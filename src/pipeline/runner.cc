#include "pipeline/runner.h"

#include <arrow/record_batch.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"

namespace tarn::pipeline {
namespace {

constexpr auto kTakeTimeout = std::chrono::milliseconds(50);
constexpr int kSlotWaitMs = 15'000;
constexpr int64_t kServiceIntervalMicros = 5'000'000;

bronze::FlushInput FlushInputOf(const cdc::Segment& segment, int64_t epoch) {
  bronze::FlushInput input;
  for (const cdc::TableEvent& event : segment.events)
    input.events.push_back({event.table, event.rows, event.truncated_at});
  input.epoch = epoch;
  input.last_commit = segment.last_commit;
  input.end = segment.end;
  input.last_commit_micros = segment.last_commit_micros;
  input.transactions = segment.transactions;
  input.rows = segment.rows;
  input.open = segment.open;
  return input;
}

}  // namespace

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
  TARN_ASSIGN(storage_, storage::OpenLocalStorage(layout_.Internal("staging")));
  auto identity = catalog::ReadIdentity(*storage_, layout_);
  if (identity) {
    identity_ = *identity;
  } else if (identity.error().code != ErrorCode::kNotFound) {
    return std::move(identity).error();
  }
  TARN_ASSIGN(versions_, catalog::LakeVersions::Open(storage_.get(), layout_));
  view_ = std::make_unique<LakeView>(storage_.get(), layout_, versions_.get(), false);
  TARN_ASSIGN(bronze_, bronze::ChangeLog::Open(storage_.get(), options_.lake, clock_));
  TARN_ASSIGN(silver_, SilverLayer::Open(storage_.get(), layout_, options_, clock_, versions_.get()));
  stream_ = std::make_unique<cdc::ReplicationStream>(options_.conninfo, options_.names);
  return {};
}

Status Runner::CheckIdentity() {
  TARN_ASSIGN(auto replication,
              cdc::PgConnection::Connect(options_.conninfo, cdc::PgConnection::Kind::kReplication, "check"));
  TARN_ASSIGN(const cdc::SourceIdentity source, cdc::IdentifySource(*replication));
  if (identity_.system_identifier.empty()) {
    identity_.system_identifier = source.system_identifier;
    identity_.timeline = source.timeline;
    return catalog::WriteIdentity(*storage_, layout_, identity_);
  }
  if (identity_.system_identifier != source.system_identifier) {
    return MakeError(
        ErrorCode::kConflict,
        "the lake '{}' follows the server {}, but the source is {}: point [source] at the right server, or "
        "choose another lake",
        layout_.root(), identity_.system_identifier, source.system_identifier);
  }
  if (identity_.timeline != source.timeline) {
    return MakeError(
        ErrorCode::kUnsupported,
        "the source was failed over or restored (timeline {} became {}): following it without a new copy is "
        "not supported yet; choose another lake",
        identity_.timeline, source.timeline);
  }
  return {};
}

Status Runner::PrepareSource(std::vector<cdc::SourceTable>& tables, const CancelToken& cancel) {
  TARN_RETURN_IF_ERROR(CheckIdentity());
  TARN_ASSIGN(auto connection,
              cdc::PgConnection::Connect(options_.conninfo, cdc::PgConnection::Kind::kOrdinary, "set-up"));
  TARN_ASSIGN(tables, cdc::LoadTables(*connection, options_.patterns));
  TARN_ASSIGN(cdc::SlotState slot, cdc::GetSlot(*connection, options_.names.slot));
  // The server takes a moment to notice that a killed tarn is gone.
  for (int waited_ms = 0; slot.exists && slot.active && waited_ms < kSlotWaitMs; waited_ms += 100) {
    TARN_RETURN_IF_ERROR(cancel.Check());
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    TARN_ASSIGN(slot, cdc::GetSlot(*connection, options_.names.slot));
  }
  if (slot.exists && slot.active) {
    return MakeError(ErrorCode::kConflict,
                     "the slot '{}' is in use by another process; give this lake a slot of its own",
                     options_.names.slot);
  }
  const bool lost = !slot.exists || slot.wal_status == "lost";
  const auto newest = versions_->Find(std::nullopt);
  if (lost && newest) {
    return MakeError(
        ErrorCode::kNotFound,
        "the slot '{}' is {} on the source: changes after {} cannot be had any more; start again with an "
        "empty lake folder (the present one stays readable)",
        options_.names.slot, slot.exists ? "lost" : "missing", newest->lsn.ToString());
  }
  TARN_RETURN_IF_ERROR(
      cdc::EnsurePublications(*connection, options_.names, tables, silver_->registry().Copied()));
  if (!slot.exists) {
    TARN_ASSIGN(auto replication,
                cdc::PgConnection::Connect(options_.conninfo, cdc::PgConnection::Kind::kReplication, "set-up",
                                           &cancel));
    TARN_ASSIGN(const Lsn at, cdc::CreateSlot(*replication, options_.names.slot));
    spdlog::info("made the slot {} at {}", options_.names.slot, at.ToString());
  }
  return {};
}

catalog::RegisteredTable Runner::Register(const schema::TableSchema& table) const {
  catalog::RegisteredTable registered;
  registered.source = table;
  const auto model = silver_->models().find(table.lake_name);
  if (model != silver_->models().end()) registered.month_of = model->second.month_of;
  for (const schema::Column& column : table.columns) {
    if (!options_.tenant_column.empty() && column.name == options_.tenant_column)
      registered.tenant_column = column.lake_name;
  }
  return registered;
}

Status Runner::BeginAgain(const catalog::RegisteredTable& table) {
  const std::string& name = table.source.lake_name;
  for (const char* database : {"silver", "quarantine"}) {
    TARN_RETURN_IF_ERROR(storage_->RemoveTree(layout_.Sidecar(database, name)));
  }
  TARN_RETURN_IF_ERROR(storage_->RemoveTree(layout_.Silver(name)));
  TARN_RETURN_IF_ERROR(storage_->RemoveTree(layout_.Quarantine(name)));
  return silver_->AddTable(table);
}

Status Runner::CopyMissing(std::vector<cdc::SourceTable>& tables, const CancelToken& cancel,
                           const LoadReporter& report) {
  TARN_ASSIGN(const auto loads, bronze::ChangeLog::ReadLoads(*storage_, options_.lake));
  std::vector<cdc::SourceTable> missing;
  std::map<std::string, catalog::RegisteredTable> registry;
  for (cdc::SourceTable& table : tables) {
    const std::string& name = table.schema.lake_name;
    const auto known = silver_->registry().tables.find(name);
    catalog::RegisteredTable registered =
        known != silver_->registry().tables.end() ? known->second : Register(table.schema);
    schemas_.push_back(table.schema);
    if (loads.contains(table.schema.QualifiedName()) && known != silver_->registry().tables.end()) {
      TARN_RETURN_IF_ERROR(silver_->AddTable(registered));
      TARN_ASSIGN(const int64_t applied, silver_->Find(name)->AppliedLsn());
      if (applied != 0) continue;
    }
    registered.source = table.schema;
    registry[name] = registered;
    missing.push_back(table);
  }
  const auto tell = [&](const LoadProgress& progress) {
    {
      const std::lock_guard lock(state_.mutex);
      state_.load = progress;
    }
    report(progress);
  };
  while (!missing.empty()) {
    state_.phase = RunPhase::kCopying;
    for (const cdc::SourceTable& table : missing)
      TARN_RETURN_IF_ERROR(BeginAgain(registry.at(table.schema.lake_name)));
    TARN_ASSIGN(missing,
                CopyTables(storage_.get(), options_, identity_.epoch, missing, *silver_, cancel, tell));
  }
  if (versions_->size() > 0) return {};
  // The first version, also when a crash came between the copies and it.
  Lsn at;
  for (const auto& [name, table] : silver_->registry().tables) at = std::max(at, table.start);
  return silver_->Publish(identity_.epoch, at, clock_->NowMicros());
}

Status Runner::CatchUpFromBronze(const CancelToken& cancel) {
  state_.phase = RunPhase::kCatchingUp;
  return bronze::ChangeLog::ForEachManifest(
      *storage_, options_.lake, silver_->ReleaseHeld(), [&](const bronze::Manifest& manifest) -> Status {
        TARN_RETURN_IF_ERROR(cancel.Check());
        SilverStep step;
        step.epoch = manifest.epoch;
        step.lsn = manifest.last_commit;
        step.commit_micros = manifest.last_commit_micros;
        for (const bronze::ManifestEvent& event : manifest.events) {
          if (event.truncated_at) {
            step.events.push_back({event.table, nullptr, *event.truncated_at});
            continue;
          }
          TARN_RETURN_IF_ERROR(
              bronze::ReadChangeFile(*storage_, options_.lake, event.file, [&](auto rows) -> Status {
                step.rows += rows->num_rows();
                step.events.push_back({event.table, std::move(rows)});
                return {};
              }));
        }
        TARN_RETURN_IF_ERROR(silver_->Apply(step));
        state_.silver_lsn = step.lsn.value;
        state_.silver_commit_micros = step.commit_micros;
        state_.silver_rows += step.rows;
        return {};
      });
}

Status Runner::Prepare(const CancelToken& cancel, const LoadReporter& report) {
  std::vector<cdc::SourceTable> tables;
  TARN_RETURN_IF_ERROR(PrepareSource(tables, cancel));
  TARN_RETURN_IF_ERROR(CopyMissing(tables, cancel, report));
  TARN_RETURN_IF_ERROR(CatchUpFromBronze(cancel));
  TARN_ASSIGN(const catalog::LakeVersion newest, versions_->Find(std::nullopt));
  state_.bronze_lsn = state_.silver_lsn = newest.lsn.value;
  state_.bronze_commit_micros = state_.silver_commit_micros = newest.commit_micros;
  return OpenGold();
}

Status Runner::Run(const CancelToken& cancel, std::optional<Lsn> until, const LoadReporter& report) {
  Status outcome = Prepare(cancel, report);
  if (outcome) {
    CancelToken gold_cancel;
    std::thread gold_thread([&] {
      if (!gold_->models().empty()) GoldLoop(gold_cancel);
    });
    outcome = Stream(cancel, until);
    {
      const std::lock_guard lock(gold_mutex_);
      gold_stop_ = true;
    }
    gold_wanted_.notify_all();
    if (!until) gold_cancel.Cancel();
    gold_thread.join();
  }
  state_.phase = RunPhase::kStopped;
  if (!outcome && outcome.error().code == ErrorCode::kCancelled) outcome = {};
  if (!outcome) return outcome;
  return silver_->Close();
}

Status Runner::OpenGold() {
  std::vector<std::string> names;
  for (const auto& [name, table] : silver_->registry().tables) names.push_back(name);
  TARN_ASSIGN(gold_, GoldLayer::Open(storage_.get(), layout_, options_, names, versions_.get(), view_.get(),
                                     silver_->instants()));
  return {};
}

Status Runner::Stream(const CancelToken& cancel, std::optional<Lsn> until) {
  int failures = 0;
  while (true) {
    state_.phase = RunPhase::kStreaming;
    const int64_t started = MonotonicMicros();
    Status outcome = StreamOnce(cancel, until);
    if (outcome || !IsRetryable(outcome.error().code)) return outcome;
    state_.phase = RunPhase::kReconnecting;
    if (MonotonicMicros() - started > 60'000'000) failures = 0;
    const int wait_ms = std::min(200 << std::min(failures++, 7), 15'000);
    {
      const std::lock_guard lock(state_.mutex);
      state_.last_error = outcome.error().message;
    }
    spdlog::warn("{}; trying again in {} ms", outcome.error().message, wait_ms);
    for (int waited = 0; waited < wait_ms; waited += 50) {
      TARN_RETURN_IF_ERROR(cancel.Check());
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
}

Status Runner::StreamOnce(const CancelToken& cancel, std::optional<Lsn> until) {
  cdc::CollectorOptions collector_options;
  collector_options.epoch = identity_.epoch;
  collector_options.max_bytes = options_.segment_bytes;
  if (bronze_->last()) collector_options.skip_up_to = bronze_->last()->last_commit;
  bronze_->DiscardOpen();
  cdc::ChangeCollector collector(collector_options, schemas_);
  for (const auto& [name, table] : silver_->registry().tables)
    collector.SetTableStart(table.source.oid, table.start);
  {
    const std::lock_guard lock(collector_mutex_);
    collector_ = &collector;
  }
  const Lsn from = bronze_->last() ? bronze_->last()->end : Lsn{};
  CancelToken stream_cancel;
  std::atomic<bool> stream_ended{false};
  Status stream_status;
  std::thread stream_thread([&] {
    stream_status = stream_->Run(collector, from, stream_cancel);
    stream_ended = true;
  });
  Status applied = ApplySegments(collector, stream_ended, cancel, until);
  stream_cancel.Cancel();
  stream_thread.join();
  {
    const std::lock_guard lock(collector_mutex_);
    collector_ = nullptr;
  }
  if (!applied) return applied;
  if (!stream_status && stream_status.error().code != ErrorCode::kCancelled) return stream_status;
  return cancel.Check();
}

Status Runner::ApplySegments(cdc::ChangeCollector& collector, const std::atomic<bool>& stream_ended,
                             const CancelToken& cancel, std::optional<Lsn> until) {
  int64_t last_cut = 0;
  int64_t last_service = MonotonicMicros();
  while (true) {
    const bool ended = stream_ended;
    if (cancel.IsCancelled()) return {};
    const int64_t wait = last_cut + options_.commit_interval_ms * 1000 - MonotonicMicros();
    if (wait > 0 && !collector.IsFull())
      std::this_thread::sleep_for(std::chrono::microseconds(std::min<int64_t>(wait, 50'000)));
    if (wait > 50'000 && !collector.IsFull() && !collector.MustWait()) continue;
    auto segment = collector.Take(kTakeTimeout);
    if (segment) {
      last_cut = MonotonicMicros();
      TARN_RETURN_IF_ERROR(ApplySegment(std::move(*segment)));
      state_.apply_micros = MonotonicMicros() - last_cut;
      collector.Done();
    } else if (ended) {
      return {};
    }
    if (until && state_.silver_lsn >= until->value) return {};
    if (until && collector.IsIdle() && stream_->positions().server_end >= until->value) return {};
    if (until) stream_->RequestPosition();
    const auto tables = static_cast<int64_t>(std::max<size_t>(silver_->table_count(), 1));
    if (MonotonicMicros() - last_service > kServiceIntervalMicros / tables) {
      TARN_RETURN_IF_ERROR(silver_->RunServices());
      TARN_ASSIGN([[maybe_unused]] const int64_t pruned,
                  versions_->Prune(*storage_, clock_->NowMicros() - options_.services.retain_micros));
      last_service = MonotonicMicros();
    }
  }
}

Status Runner::ApplySegment(cdc::Segment segment) {
  if (segment.events.empty() && !segment.open) {
    // Transactions of which nothing is followed: nothing to store, so they are durable as they are.
    stream_->Confirm(segment.end);
    return {};
  }
  TARN_ASSIGN(const auto manifest, bronze_->Flush(FlushInputOf(segment, identity_.epoch)));
  if (manifest) {
    stream_->Confirm(manifest->end);
    state_.bronze_lsn = manifest->last_commit.value;
    state_.bronze_commit_micros = manifest->last_commit_micros;
    state_.bronze_flushes++;
  }
  state_.bronze_rows += segment.rows;
  SilverStep step;
  for (cdc::TableEvent& event : segment.events)
    step.events.push_back({std::move(event.table), std::move(event.rows), event.truncated_at});
  step.epoch = identity_.epoch;
  step.lsn = segment.last_commit;
  step.commit_micros = segment.last_commit_micros;
  step.rows = segment.rows;
  step.open = segment.open;
  TARN_FAULT_POINT("runner.between_layers");
  TARN_RETURN_IF_ERROR(silver_->Apply(step));
  state_.silver_rows += segment.rows;
  if (segment.open) return {};
  state_.silver_lsn = step.lsn.value;
  state_.silver_commit_micros = step.commit_micros;
  state_.silver_commits++;
  const std::lock_guard lock(gold_mutex_);
  for (std::string& name : silver_->TakeTouched()) gold_touched_.push_back(std::move(name));
  gold_wanted_.notify_all();
  return {};
}

Status Runner::RunGoldOnce(const CancelToken& cancel) {
  std::vector<std::string> touched;
  {
    const std::lock_guard lock(gold_mutex_);
    touched.swap(gold_touched_);
  }
  TARN_ASSIGN(const catalog::LakeVersion version, versions_->Find(std::nullopt));
  TARN_RETURN_IF_ERROR(gold_->Run(version, touched, cancel));
  state_.gold_lsn = version.lsn.value;
  state_.gold_commit_micros = version.commit_micros;
  state_.gold_runs++;
  hudi::ServiceOptions services = options_.services;
  services.retain_micros = std::min<int64_t>(services.retain_micros, 3'600'000'000LL);
  return gold_->RunServices(services);
}

void Runner::GoldLoop(const CancelToken& cancel) {
  // Models may take all of a core for long: the scheduler gives it to whoever follows the source first.
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), 10);
  bool first = true;
  while (true) {
    bool stop = false;
    {
      std::unique_lock lock(gold_mutex_);
      gold_wanted_.wait(lock, [&] { return first || gold_stop_ || !gold_touched_.empty(); });
      stop = gold_stop_;
      // At the end of a bounded run Gold still follows Silver; at an ordinary stop the next start does it.
      if (stop && gold_touched_.empty() && !first) return;
    }
    if (cancel.IsCancelled()) return;
    first = false;
    const int64_t started = MonotonicMicros();
    const Status done = RunGoldOnce(cancel);
    if (!done && done.error().code != ErrorCode::kCancelled) {
      spdlog::error("gold: {}", done.error().message);
      const std::lock_guard lock(state_.mutex);
      state_.last_error = done.error().message;
    }
    std::unique_lock lock(gold_mutex_);
    const int64_t wait = options_.gold_interval_ms * 1000 - (MonotonicMicros() - started);
    gold_wanted_.wait_for(lock, std::chrono::microseconds(std::max<int64_t>(wait, 0)),
                          [&] { return gold_stop_; });
  }
}

Result<Runner::Aligned> Runner::AlignWithSource(const CancelToken& cancel, const AlignOptions& options) {
  const auto with_collector = [&](auto action) -> Status {
    const std::lock_guard lock(collector_mutex_);
    if (collector_ == nullptr) {
      return Error{ErrorCode::kUnavailable,
                   "the pipeline is not streaming now (see `tarn status`); try again when it is"};
    }
    action(*collector_);
    return {};
  };
  Aligned aligned;
  TARN_RETURN_IF_ERROR(with_collector([](cdc::ChangeCollector& c) { c.SetBarrier(Lsn{}); }));
  struct Lift {
    decltype(with_collector)& run;
    ~Lift() {
      (void)run([](cdc::ChangeCollector& c) { c.SetBarrier(std::nullopt); }).has_value();
    }
  } lift{with_collector};
  // The stream holds still while the snapshot is made, so that it cannot pass it.
  TARN_ASSIGN(aligned.snapshot, cdc::ExportSnapshot(options_.conninfo, &cancel));
  if (options.when_exported) TARN_RETURN_IF_ERROR(options.when_exported(aligned.snapshot));
  const Lsn at = aligned.snapshot.lsn;
  TARN_RETURN_IF_ERROR(with_collector([at](cdc::ChangeCollector& c) { c.SetBarrier(at); }));
  const int64_t deadline = MonotonicMicros() + options.patience_micros;
  while (true) {
    TARN_RETURN_IF_ERROR(cancel.Check());
    bool reached = false;
    bool nothing_waits = false;
    TARN_RETURN_IF_ERROR(with_collector([&](cdc::ChangeCollector& c) {
      const bool at_barrier = c.IsAtBarrier();
      nothing_waits = !c.HasWork();
      reached = at_barrier || stream_->positions().server_end >= at.value;
    }));
    if (reached && nothing_waits) break;
    if (MonotonicMicros() > deadline) {
      return MakeError(ErrorCode::kUnavailable, "the stream did not reach {} within {} s; see `tarn status`",
                       at.ToString(), options.patience_micros / 1'000'000);
    }
    stream_->RequestPosition();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  TARN_ASSIGN(aligned.version, versions_->Find(std::nullopt));
  return aligned;
}

}  // namespace tarn::pipeline
