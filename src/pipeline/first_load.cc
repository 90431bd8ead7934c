#include "pipeline/first_load.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <thread>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "bronze/change_log.h"

namespace tarn::pipeline {
namespace {

class TableCopier {
 public:
  TableCopier(storage::Storage* storage, const PipelineOptions& options,
              const cdc::ExportedSnapshot& snapshot, int64_t epoch, SilverLayer& silver,
              const CancelToken& cancel)
      : storage_(storage),
        options_(options),
        snapshot_(snapshot),
        epoch_(epoch),
        silver_(silver),
        cancel_(cancel) {}

  Result<cdc::CopyOutcome> Copy(const cdc::SourceTable& table, cdc::CopyProgress* progress) {
    TARN_ASSIGN(auto bronze,
                bronze::LoadWriter::Begin(storage_, options_.bronze(), table.schema, options_.copy_workers));
    SilverTable& silver = *silver_.Find(table.schema.lake_name);
    TARN_RETURN_IF_ERROR(silver.BeginLoad(silver_.instants()->Next(), options_.copy_workers));
    const cdc::CopyOptions copy = CopyOptionsAt(options_, snapshot_, epoch_);
    TARN_ASSIGN(const cdc::CopyOutcome outcome,
                cdc::CopyTable(table, copy, cancel_, progress, [&](int worker, auto rows) -> Status {
                  TARN_RETURN_IF_ERROR(bronze->Append(worker, *rows));
                  return silver.Load(worker, rows);
                }));
    if (outcome == cdc::CopyOutcome::kRewritten) return outcome;
    // Bronze first: Silver is never ahead of it.
    TARN_ASSIGN([[maybe_unused]] const auto manifest,
                bronze->Finish(epoch_, snapshot_.lsn, Clock::System().NowMicros()));
    TARN_FAULT_POINT("first_load.between_layers");
    TARN_RETURN_IF_ERROR(silver_.FinishLoad(table.schema.lake_name, OrderingValue(epoch_, snapshot_.lsn)));
    return outcome;
  }

 private:
  storage::Storage* storage_;
  const PipelineOptions& options_;
  const cdc::ExportedSnapshot& snapshot_;
  int64_t epoch_;
  SilverLayer& silver_;
  const CancelToken& cancel_;
};

/// Tells how far the copy is, four times a second, for as long as it lives.
class ProgressTeller {
 public:
  ProgressTeller(const cdc::CopyProgress& copy, const LoadProgress& state, const LoadReporter& report)
      : thread_([this, &copy, start = state, &report] {
          LoadProgress state = start;
          const int64_t started = MonotonicMicros() - state.elapsed_micros;
          const int64_t rows_before = state.rows;
          while (!done_.IsCancelled()) {
            state.rows = rows_before + copy.rows.load(std::memory_order_relaxed);
            state.elapsed_micros = MonotonicMicros() - started;
            report(state);
            for (int i = 0; i < 25 && !done_.IsCancelled(); i++)
              std::this_thread::sleep_for(std::chrono::milliseconds(10));
          }
        }) {}
  ~ProgressTeller() {
    done_.Cancel();
    thread_.join();
  }

 private:
  CancelToken done_;
  std::thread thread_;
};

}  // namespace

cdc::CopyOptions CopyOptionsAt(const PipelineOptions& options, const cdc::ExportedSnapshot& snapshot,
                               int64_t epoch) {
  cdc::CopyOptions copy;
  copy.conninfo = options.conninfo;
  copy.snapshot_name = snapshot.name;
  copy.snapshot_lsn = snapshot.lsn;
  copy.epoch = epoch;
  copy.workers = options.copy_workers;
  copy.mappings = options.patterns.mappings;
  copy.bytes_per_second = options.copy_mb_per_s << 20;
  return copy;
}

Result<std::vector<cdc::SourceTable>> CopyTables(storage::Storage* storage, const PipelineOptions& options,
                                                 int64_t epoch, std::vector<cdc::SourceTable> tables,
                                                 SilverLayer& silver, const CancelToken& cancel,
                                                 const LoadReporter& report) {
  std::sort(tables.begin(), tables.end(),
            [](const auto& a, const auto& b) { return a.size_bytes > b.size_bytes; });
  TARN_ASSIGN(const cdc::ExportedSnapshot snapshot, cdc::ExportSnapshot(options.conninfo, &cancel));
  spdlog::info("first copy of {} tables at {}", tables.size(), snapshot.lsn.ToString());
  LoadProgress state;
  state.tables_total = static_cast<int64_t>(tables.size());
  for (const auto& table : tables) state.estimated_rows += std::max<int64_t>(table.estimated_rows, 0);
  const int64_t started = MonotonicMicros();
  TableCopier copier(storage, options, snapshot, epoch, silver, cancel);
  std::vector<cdc::SourceTable> rewritten;
  for (const cdc::SourceTable& table : tables) {
    state.table = table.schema.QualifiedName();
    state.elapsed_micros = MonotonicMicros() - started;
    cdc::CopyProgress progress;
    cdc::CopyOutcome outcome{};
    {
      const ProgressTeller teller(progress, state, report);
      TARN_ASSIGN(outcome, copier.Copy(table, &progress));
    }
    if (outcome == cdc::CopyOutcome::kRewritten) {
      spdlog::info("{} was truncated or changed while it was copied; it is copied again", state.table);
      rewritten.push_back(table);
      continue;
    }
    state.rows += progress.rows.load();
    state.tables_done++;
    catalog::RegisteredTable& registered = silver.registry().tables[table.schema.lake_name];
    registered.start = {epoch, snapshot.lsn};
    registered.storage = table.storage;
    registered.copy_again.clear();
    spdlog::info("copied {}: {} rows", table.schema.QualifiedName(), progress.rows.load());
  }
  TARN_RETURN_IF_ERROR(silver.SaveRegistry());
  state.elapsed_micros = MonotonicMicros() - started;
  report(state);
  return rewritten;
}

}  // namespace tarn::pipeline
