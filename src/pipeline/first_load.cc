#include "pipeline/first_load.h"

#include <arrow/record_batch.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "pipeline/table_copy.h"

namespace tarn::pipeline {
namespace {

/// Copies tables at one snapshot. Large ones one after another, by all workers; those of one range side by
/// side, a worker each.
class TableCopier {
 public:
  TableCopier(storage::Storage* storage, const PipelineOptions& options,
              const cdc::ExportedSnapshot& snapshot, uint64_t oldest_xid, int64_t epoch,
              const std::set<std::string>& cut_off, SilverLayer& silver, const CancelToken& cancel)
      : storage_(storage),
        options_(options),
        snapshot_(snapshot),
        oldest_xid_(oldest_xid),
        epoch_(epoch),
        cut_off_(cut_off),
        silver_(silver),
        cancel_(cancel),
        rate_(options.copy_mb_per_s << 20) {}

  Status CopyAll(const std::vector<cdc::SourceTable>& tables) {
    BeginWith(tables);
    std::vector<const cdc::SourceTable*> small;
    for (const cdc::SourceTable& table : tables) {
      if (cdc::SplitPages(table, options_.copy_range_pages()).size() == 1) small.push_back(&table);
    }
    for (const cdc::SourceTable& table : tables) {
      if (std::count(small.begin(), small.end(), &table) == 0)
        TARN_RETURN_IF_ERROR(CopyOne(table, options_.copy_workers));
    }
    return CopySideBySide(small);
  }

  /// What to tell. Threads: any.
  LoadProgress Now() {
    const std::lock_guard lock(mutex_);
    LoadProgress now = state_;
    const int64_t micros = MonotonicMicros();
    for (const Copying& copying : copying_) {
      TableProgress& table = now.tables.at(copying.table);
      table.rows = copying.progress.rows.load(std::memory_order_relaxed);
      table.bytes = copying.progress.bytes.load(std::memory_order_relaxed);
      if (!table.done) table.elapsed_micros = micros - copying.started_micros;
      now.rows += table.rows;
    }
    now.elapsed_micros = micros - started_micros_;
    return now;
  }
  std::vector<cdc::SourceTable> TakeRewritten() { return std::move(rewritten_); }

 private:
  struct Copying {
    explicit Copying(std::string name) : table(std::move(name)) {}
    std::string table;
    int64_t started_micros = MonotonicMicros();
    cdc::CopyProgress progress;
  };

  void BeginWith(const std::vector<cdc::SourceTable>& tables) {
    const std::lock_guard lock(mutex_);
    state_.tables_total = static_cast<int64_t>(tables.size());
    for (const cdc::SourceTable& table : tables) {
      state_.estimated_rows += std::max<int64_t>(table.estimated_rows, 0);
      state_.tables[table.schema.lake_name] = {.estimated_rows = table.estimated_rows,
                                               .size_bytes = table.size_bytes};
    }
  }

  Status CopySideBySide(const std::vector<const cdc::SourceTable*>& tables) {
    std::atomic<size_t> next{0};
    std::atomic<bool> failed{false};
    Status outcome;
    const auto work = [&] {
      for (size_t at = next.fetch_add(1); !failed && at < tables.size(); at = next.fetch_add(1)) {
        Status copied = CopyOne(*tables[at], 1);
        if (copied) continue;
        const std::lock_guard lock(mutex_);
        if (!failed.exchange(true)) outcome = std::move(copied);
      }
    };
    std::vector<std::thread> threads;
    const size_t workers = std::min(static_cast<size_t>(options_.copy_workers), tables.size());
    for (size_t worker = 1; worker < workers; worker++) threads.emplace_back(work);
    work();
    for (std::thread& thread : threads) thread.join();
    return outcome;
  }

  Status CopyOne(const cdc::SourceTable& table, int workers) {
    Copying* copying = nullptr;
    {
      const std::lock_guard lock(mutex_);
      state_.table = table.schema.QualifiedName();
      copying = &copying_.emplace_back(table.schema.lake_name);
    }
    cdc::CopyProgress* progress = &copying->progress;
    TARN_ASSIGN(const bool complete, cut_off_.contains(table.schema.lake_name)
                                         ? GoOn(table, workers, progress)
                                         : Copy(table, workers, progress));
    const std::lock_guard lock(mutex_);
    if (complete) {
      spdlog::info("copied {}: {} rows", table.schema.QualifiedName(), progress->rows.load());
      state_.tables_done++;
      TableProgress& told = state_.tables.at(table.schema.lake_name);
      told.done = true;
      told.elapsed_micros = MonotonicMicros() - copying->started_micros;
    } else {
      spdlog::info("{} was truncated or changed while it was copied; it is copied again",
                   table.schema.QualifiedName());
      progress->rows = 0;
      rewritten_.push_back(table);
    }
    return {};
  }

  /// Into Bronze and Silver; false when it was rewritten.
  Result<bool> Copy(const cdc::SourceTable& table, int workers, cdc::CopyProgress* progress) {
    const std::string& name = table.schema.lake_name;
    SilverTable& silver = *silver_.Find(name);
    TARN_RETURN_IF_ERROR(silver.BeginLoad(silver_.instants()->Next(), workers));
    // Bronze first: Silver is never ahead of it.
    const auto also = [&](int worker, const auto& rows) { return silver.Load(worker, rows); };
    TARN_ASSIGN(const auto load,
                CopyIntoBronze(storage_, options_, Task(workers), table, cancel_, progress, also));
    if (!load) return false;
    TARN_FAULT_POINT("first_load.between_layers");
    TARN_RETURN_IF_ERROR(silver_.FinishLoad(name, OrderingValue(load->position())));
    const std::lock_guard lock(silver_mutex_);
    catalog::RegisteredTable& registered = silver_.registry().tables[name];
    registered.start = load->position();
    registered.storage = table.storage;
    registered.copy_again.clear();
    TARN_RETURN_IF_ERROR(silver_.SaveRegistry());
    return true;
  }

  /// What is missing of a copy that was cut off, into Bronze: Silver takes it when the stream has passed it.
  Result<bool> GoOn(const cdc::SourceTable& table, int workers, cdc::CopyProgress* progress) {
    TARN_ASSIGN(const auto load,
                CopyIntoBronze(storage_, options_, Task(workers), table, cancel_, progress, nullptr));
    return load.has_value();
  }

  CopyTask Task(int workers) { return {snapshot_, oldest_xid_, epoch_, workers, &rate_}; }

  storage::Storage* storage_;
  const PipelineOptions& options_;
  const cdc::ExportedSnapshot& snapshot_;
  const uint64_t oldest_xid_;
  const int64_t epoch_;
  const std::set<std::string>& cut_off_;
  SilverLayer& silver_;
  const CancelToken& cancel_;
  cdc::CopyRate rate_;
  const int64_t started_micros_ = MonotonicMicros();
  std::mutex silver_mutex_;  ///< For the registry, which all tables share.
  std::mutex mutex_;         ///< For what follows.
  LoadProgress state_;
  std::deque<Copying> copying_;
  std::vector<cdc::SourceTable> rewritten_;
};

/// Tells how far the copy is, four times a second, for as long as it lives.
class ProgressTeller {
 public:
  ProgressTeller(TableCopier& copier, const LoadReporter& report)
      : thread_([this, &copier, &report] {
          while (!done_.IsCancelled()) {
            report(copier.Now());
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
  TARN_ASSIGN(const uint64_t oldest_xid, cdc::OldestTransaction(options.conninfo, snapshot, &cancel));
  spdlog::info("first copy of {} tables at {}", tables.size(), snapshot.lsn.ToString());
  TableCopier copier(storage, options, snapshot, oldest_xid, epoch, cut_off, silver, cancel);
  {
    const ProgressTeller teller(copier, report);
    TARN_RETURN_IF_ERROR(copier.CopyAll(tables));
  }
  TARN_RETURN_IF_ERROR(silver.SaveRegistry());
  report(copier.Now());
  return copier.TakeRewritten();
}

}  // namespace tarn::pipeline
