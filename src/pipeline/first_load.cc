#include "pipeline/first_load.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <thread>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "pipeline/table_copy.h"

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

  /// Into Bronze and Silver; false when it was rewritten.
  Result<bool> Copy(const cdc::SourceTable& table, cdc::CopyProgress* progress) {
    const std::string& name = table.schema.lake_name;
    SilverTable& silver = *silver_.Find(name);
    TARN_RETURN_IF_ERROR(silver.BeginLoad(silver_.instants()->Next(), options_.copy_workers));
    // Bronze first: Silver is never ahead of it.
    TARN_ASSIGN(const auto load,
                CopyIntoBronze(storage_, options_, snapshot_, epoch_, table, cancel_, progress,
                               [&](int worker, const auto& rows) { return silver.Load(worker, rows); }));
    if (!load) return false;
    TARN_FAULT_POINT("first_load.between_layers");
    TARN_RETURN_IF_ERROR(silver_.FinishLoad(name, OrderingValue(load->position())));
    catalog::RegisteredTable& registered = silver_.registry().tables[name];
    registered.start = load->position();
    registered.storage = table.storage;
    registered.copy_again.clear();
    TARN_RETURN_IF_ERROR(silver_.SaveRegistry());
    return true;
  }

  /// What is missing of a copy that was cut off, into Bronze: Silver takes it when the stream has passed it.
  Result<bool> GoOn(const cdc::SourceTable& table, cdc::CopyProgress* progress) {
    TARN_ASSIGN(const auto load,
                CopyIntoBronze(storage_, options_, snapshot_, epoch_, table, cancel_, progress, nullptr));
    return load.has_value();
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

Result<std::vector<cdc::SourceTable>> CopyTables(storage::Storage* storage, const PipelineOptions& options,
                                                 int64_t epoch, std::vector<cdc::SourceTable> tables,
                                                 const std::set<std::string>& cut_off, SilverLayer& silver,
                                                 const CancelToken& cancel, const LoadReporter& report) {
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
    bool complete = false;
    {
      const ProgressTeller teller(progress, state, report);
      TARN_ASSIGN(complete, cut_off.contains(table.schema.lake_name) ? copier.GoOn(table, &progress)
                                                                     : copier.Copy(table, &progress));
    }
    if (!complete) {
      spdlog::info("{} was truncated or changed while it was copied; it is copied again", state.table);
      rewritten.push_back(table);
      continue;
    }
    state.rows += progress.rows.load();
    state.tables_done++;
    spdlog::info("copied {}: {} rows", table.schema.QualifiedName(), progress.rows.load());
  }
  TARN_RETURN_IF_ERROR(silver.SaveRegistry());
  state.elapsed_micros = MonotonicMicros() - started;
  report(state);
  return rewritten;
}

}  // namespace tarn::pipeline
