#include "pipeline/table_copy.h"

#include <arrow/record_batch.h>

#include <algorithm>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "bronze/change_log.h"
#include "bronze/load_writer.h"

namespace tarn::pipeline {
namespace {

using bronze::CopyProgress;

/// Transactions have an order over 2^31 numbers (PostgreSQL, section 25.1.5); half of it is left for those to
/// come.
constexpr uint64_t kMostTransactions = uint64_t{1} << 30;

/// What must be the same for a range to be the same rows: where they are stored, and which are taken.
std::string SourceOf(const cdc::SourceTable& table) {
  return table.from + " " + table.storage + " " + table.where;
}

/// Whether the rows of the table of which SourceOf was this still are where they were.
bool IsAsItWas(const std::string& source, const cdc::SourceTable& table) {
  const std::string before = table.from + " ", behind = " " + table.where;
  if (!source.starts_with(before) || !source.ends_with(behind)) return false;
  if (source.size() < before.size() + behind.size()) return false;
  return cdc::RowsKeptPlaces(source.substr(before.size(), source.size() - before.size() - behind.size()),
                             table.storage);
}

/// What goes on needs keys, to tell which rows changed, and pages that say where a row is.
bool CanGoOn(const cdc::SourceTable& table) {
  return !table.schema.append_only && !cdc::IsKeyless(table.schema) && !table.pages.empty();
}

Result<std::optional<CopyProgress>> FindCutOff(const storage::Storage& storage,
                                               const PipelineOptions& options, int64_t epoch,
                                               const cdc::SourceTable& table) {
  const std::string& name = table.schema.lake_name;
  TARN_ASSIGN(auto progress, bronze::ReadCopyProgress(storage, options.bronze(), name));
  if (!progress || !CanGoOn(table)) return std::optional<CopyProgress>();
  const bool same = progress->epoch == epoch && IsAsItWas(progress->source, table) &&
                    schema::ToJson(*progress->table) == schema::ToJson(table.schema);
  if (!same) return std::optional<CopyProgress>();
  TARN_ASSIGN(const auto loads, bronze::ChangeLog::ReadLoads(storage, options.bronze_root()));
  const auto finished = loads.find(name);
  // One that was finished all the same.
  const SourcePosition begun{epoch, progress->runs.front().snapshot};
  if (finished != loads.end() && finished->second.back().position() >= begun)
    return std::optional<CopyProgress>();
  return progress;
}

CopyProgress NewCopy(const PipelineOptions& options, int64_t epoch, const cdc::SourceTable& table) {
  CopyProgress progress;
  progress.table = std::make_shared<const schema::TableSchema>(table.schema);
  progress.epoch = epoch;
  progress.source = SourceOf(table);
  for (const cdc::PageRange& range : cdc::SplitPages(table, options.copy_range_pages()))
    progress.starts.push_back(range.from);
  progress.runs_done.assign(progress.starts.size(), CopyProgress::kMissing);
  return progress;
}

/// What a run has to read: missing ranges, then, of those that are there, what was written since.
std::vector<cdc::CopyRange> RangesOf(const CopyProgress& progress) {
  std::vector<cdc::CopyRange> missing, again;
  for (size_t i = 0; i < progress.starts.size(); i++) {
    cdc::CopyRange range{i, {progress.starts[i], -1}};
    if (i + 1 < progress.starts.size()) range.pages.to = progress.starts[i + 1];
    const int done = progress.runs_done[i];
    if (done != CopyProgress::kMissing) range.since_xid = progress.runs[static_cast<size_t>(done)].oldest_xid;
    (range.since_xid ? again : missing).push_back(range);
  }
  missing.insert(missing.end(), again.begin(), again.end());
  return missing;
}

cdc::CopyOptions CopyOptionsOf(const PipelineOptions& options, const CopyTask& task) {
  cdc::CopyOptions copy;
  copy.conninfo = options.conninfo;
  copy.snapshot_name = task.snapshot.name;
  copy.snapshot_lsn = task.snapshot.lsn;
  copy.epoch = task.epoch;
  copy.workers = task.workers;
  copy.mappings = options.patterns.mappings;
  copy.rate = task.rate;
  return copy;
}

Result<std::unique_ptr<bronze::LoadWriter>> BeginWriter(storage::Storage* storage,
                                                        const PipelineOptions& options, int workers,
                                                        const CopyProgress& progress) {
  return bronze::LoadWriter::Begin(storage, options.bronze(), progress,
                                   {workers, options.copy_save_ms * 1000});
}

}  // namespace

Result<bool> IsCutOff(const storage::Storage& storage, const PipelineOptions& options, int64_t epoch,
                      const cdc::SourceTable& table) {
  TARN_ASSIGN(const auto progress, FindCutOff(storage, options, epoch, table));
  return progress.has_value();
}

Result<std::optional<bronze::LoadManifest>> CopyIntoBronze(
    storage::Storage* storage, const PipelineOptions& options, const CopyTask& task,
    const cdc::SourceTable& table, const CancelToken& cancel, cdc::CopyProgress* progress,
    const AlsoTake& also) {
  const bronze::CopyRun run{task.snapshot.lsn, Clock::System().NowMicros(), task.oldest_xid};
  TARN_ASSIGN(auto cut_off, FindCutOff(*storage, options, task.epoch, table));
  if (cut_off && (also || run.oldest_xid - cut_off->runs.front().oldest_xid > kMostTransactions))
    cut_off.reset();
  CopyProgress done = cut_off ? *std::move(cut_off) : NewCopy(options, task.epoch, table);
  done.runs.push_back(run);
  auto begun = BeginWriter(storage, options, task.workers, done);
  if (!begun && begun.error().code == ErrorCode::kNotFound) {
    spdlog::warn("{}; {} is copied from its start", begun.error().message, table.from);
    done = NewCopy(options, task.epoch, table);
    done.runs.push_back(run);
    begun = BeginWriter(storage, options, task.workers, done);
  }
  TARN_ASSIGN(const auto writer, std::move(begun));
  if (done.runs.size() > 1) {
    spdlog::info("going on with the copy of {}: {} of {} ranges are there, {} rows", table.from,
                 done.ranges_done(), done.starts.size(), done.rows());
  }
  cdc::CopyOptions copy = CopyOptionsOf(options, task);
  copy.ranges = RangesOf(done);
  cdc::CopySink sink;
  sink.rows = [&](int worker, const cdc::CopyRange& range, auto rows) -> Status {
    TARN_RETURN_IF_ERROR(writer->Append(worker, *rows, range.since_xid.has_value()));
    return also ? also(worker, rows) : Status{};
  };
  sink.done = [&](int worker, const cdc::CopyRange& range) { return writer->Complete(worker, range.number); };
  TARN_ASSIGN(const cdc::CopyOutcome outcome, cdc::CopyTable(table, copy, cancel, progress, sink));
  if (outcome == cdc::CopyOutcome::kRewritten) {
    TARN_RETURN_IF_ERROR(bronze::ForgetCopyProgress(*storage, options.bronze(), table.schema.lake_name));
    return std::optional<bronze::LoadManifest>();
  }
  TARN_FAULT_POINT("copy.before_manifest");
  TARN_ASSIGN(auto load, writer->Finish());
  return std::optional(std::move(load));
}

}  // namespace tarn::pipeline
