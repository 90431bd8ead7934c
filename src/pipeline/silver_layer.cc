#include "pipeline/silver_layer.h"

#include <arrow/api.h>
#include <arrow/compute/api_vector.h>

#include <atomic>
#include <limits>
#include <thread>

#include "base/fault.h"
#include "base/log.h"

namespace tarn::pipeline {
namespace {

/// The rows of a batch that are newer than `after`; batches are in commit order.
std::shared_ptr<arrow::RecordBatch> NewerRows(const std::shared_ptr<arrow::RecordBatch>& rows,
                                              const schema::ChangePosition& after) {
  const auto& lsn = static_cast<const arrow::Int64Array&>(*rows->GetColumnByName(std::string(schema::kLsn)));
  const auto& ordinal =
      static_cast<const arrow::Int64Array&>(*rows->GetColumnByName(std::string(schema::kOrdinal)));
  int64_t first = 0;
  while (first < lsn.length() && schema::ChangePosition{lsn.Value(first), ordinal.Value(first)} <= after)
    first++;
  return first == 0 ? rows : rows->Slice(first);
}

/// Rows of one shape, which one commit takes.
struct ShapeRun {
  std::shared_ptr<const schema::TableSchema> shape;
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
};

/// The rows of a step that are newer than `after`, cut where the table's shape changes.
std::vector<ShapeRun> RunsAfter(const std::vector<const bronze::TableRows*>& events,
                                const schema::ChangePosition& after) {
  std::vector<ShapeRun> runs;
  for (const bronze::TableRows* event : events) {
    if (event->rows == nullptr) continue;
    auto rows = NewerRows(event->rows, after);
    if (rows->num_rows() == 0) continue;
    if (runs.empty() || runs.back().shape->columns != event->table->columns)
      runs.push_back({event->table, {}});
    runs.back().batches.push_back(std::move(rows));
  }
  return runs;
}

/// Everything of the transactions up to an ordering value.
schema::ChangePosition EndOf(int64_t lsn) { return {lsn, std::numeric_limits<int64_t>::max()}; }

}  // namespace

Result<std::unique_ptr<SilverLayer>> SilverLayer::Open(storage::Storage* storage,
                                                       const catalog::LakeLayout& layout,
                                                       const PipelineOptions& options, const Clock* clock,
                                                       catalog::LakeVersions* versions) {
  std::unique_ptr<SilverLayer> layer(new SilverLayer(storage, layout, options, clock, versions));
  TARN_ASSIGN(layer->models_, LoadSilverModels(*storage, options.models));
  TARN_ASSIGN(layer->registry_, catalog::TableRegistry::Read(*storage, layout));
  const auto newest = versions->Find(std::nullopt);
  if (newest) {
    layer->instants_.MustPass(newest->instant);
    layer->position_ = newest->lsn;
  }
  return layer;
}

SilverTable* SilverLayer::Find(const std::string& lake_name) {
  const auto found = tables_.find(lake_name);
  return found == tables_.end() ? nullptr : found->second.get();
}

Status SilverLayer::AddTable(const catalog::RegisteredTable& table) {
  const std::string& name = table.source.lake_name;
  const auto model = models_.find(name);
  TARN_ASSIGN(auto opened, SilverTable::Open(storage_, layout_, table,
                                             model == models_.end() ? nullptr : &model->second, &instants_));
  TARN_ASSIGN(applied_[name], opened->AppliedLsn());
  tables_[name] = std::move(opened);
  registry_.tables[name] = table;
  return {};
}

Status SilverLayer::SaveRegistry() {
  for (const auto& [name, table] : tables_) registry_.tables[name].source = table->registered().source;
  return registry_.Write(*storage_, layout_);
}

Lsn SilverLayer::ReleaseHeld() {
  Lsn from = position_;
  for (auto& [name, table] : registry_.tables) {
    if (table.held.empty() || !tables_.contains(name)) continue;
    from = std::min(from, OrderingLsn(applied_[name]));
    table.held.clear();
  }
  return from;
}

Status SilverLayer::Hold(const std::string& name, const Error& reason) {
  spdlog::error("silver {}: held: {}", name, reason.message);
  registry_.tables[name].held = reason.message;
  return registry_.Write(*storage_, layout_);
}

Result<bool> SilverLayer::ApplyTable(const std::string& name,
                                     const std::vector<const bronze::TableRows*>& events, int64_t lsn) {
  SilverTable& table = *tables_.at(name);
  int64_t& applied = applied_.at(name);
  const auto columns_before = table.registered().source.columns;
  // What was before the last truncation of the step is gone at its end, so it is not written at all.
  schema::ChangePosition from = EndOf(applied);
  for (const bronze::TableRows* event : events) {
    if (event->rows == nullptr) from = std::max(from, event->truncated_at);
  }
  const bool truncated = from != EndOf(applied);
  const std::vector<ShapeRun> runs = RunsAfter(events, from);
  size_t commits = runs.size() + (truncated ? 1 : 0);
  // Only the last commit of a step says that the step is in: after a crash between them all of it comes
  // again.
  const auto next_lsn = [&] { return --commits == 0 ? lsn : applied; };
  if (truncated) TARN_RETURN_IF_ERROR(table.Truncate(next_lsn()));
  for (const ShapeRun& run : runs) {
    TARN_FAULT_POINT("silver.apply.before_run");
    TARN_RETURN_IF_ERROR(table.Apply(run.shape, run.batches, next_lsn()));
  }
  applied = lsn;
  return table.registered().source.columns != columns_before;
}

std::vector<Result<bool>> SilverLayer::ApplyTogether(const std::vector<TableWork>& work, int64_t lsn) {
  std::vector<Result<bool>> outcomes(work.size(), Result<bool>(false));
  std::atomic<size_t> next{0};
  const auto run = [&] {
    for (size_t at = next.fetch_add(1); at < work.size(); at = next.fetch_add(1)) {
      outcomes[at] = ApplyTable(work[at].first, work[at].second, lsn);
    }
  };
  // A commit mostly waits for the disk: tables commit side by side.
  std::vector<std::thread> threads;
  for (size_t i = 1; i < std::min<size_t>(kTablesAtOnce, work.size()); i++) threads.emplace_back(run);
  run();
  for (std::thread& thread : threads) thread.join();
  return outcomes;
}

Status SilverLayer::Apply(const SilverStep& step) {
  std::map<std::string, std::vector<const bronze::TableRows*>> by_table;
  for (const bronze::TableRows& event : step.events) by_table[event.table->lake_name].push_back(&event);
  std::vector<TableWork> work;
  for (auto& [name, events] : by_table) {
    if (tables_.contains(name) && registry_.tables[name].held.empty())
      work.emplace_back(name, std::move(events));
  }
  // Of a transaction that goes on, nothing counts as applied: after a crash all of it comes again.
  const int64_t lsn = OrderingValue(step.epoch, step.lsn) - (step.open ? 1 : 0);
  std::vector<Result<bool>> outcomes = ApplyTogether(work, lsn);
  bool shapes_changed = false;
  for (size_t i = 0; i < work.size(); i++) {
    const std::string& name = work[i].first;
    if (outcomes[i]) {
      touched_[name] = true;
      shapes_changed |= *outcomes[i];
      continue;
    }
    const ErrorCode code = outcomes[i].error().code;
    const bool cannot_follow = code == ErrorCode::kUnsupported || code == ErrorCode::kInvalidArgument;
    if (!cannot_follow) return std::move(outcomes[i]).error().In("silver " + name);
    TARN_RETURN_IF_ERROR(Hold(name, outcomes[i].error()));
  }
  if (shapes_changed) TARN_RETURN_IF_ERROR(SaveRegistry());
  if (step.open) return {};
  return Publish(step.epoch, step.lsn, step.commit_micros);
}

Status SilverLayer::Publish(int64_t epoch, Lsn lsn, int64_t commit_micros) {
  // Transactions that a first copy already holds come once more, with nothing in them.
  if (lsn < position_ && versions_->size() > 0) return {};
  catalog::LakeVersion version{instants_.Next(), epoch, lsn, commit_micros, {}, {}};
  for (const auto& [name, table] : registry_.tables) {
    if (!tables_.contains(name)) continue;
    if (!table.held.empty()) {
      version.held[name] = table.held;
    } else if (table.start <= lsn) {
      version.tables.push_back(name);
    }
  }
  position_ = lsn;
  return versions_->Publish(*storage_, version);
}

Status SilverLayer::RunServices() {
  if (tables_.empty()) return {};
  auto next = tables_.upper_bound(served_);
  if (next == tables_.end()) next = tables_.begin();
  served_ = next->first;
  Status done = next->second->RunServices(options_.services, false);
  if (!done) return std::move(done).error().In("services of silver " + served_);
  return {};
}

Status SilverLayer::Close() {
  for (const auto& [name, table] : tables_) TARN_RETURN_IF_ERROR(table->Close());
  return {};
}

std::vector<std::string> SilverLayer::TakeTouched() {
  std::vector<std::string> names;
  for (const auto& [name, touched] : touched_) names.push_back(name);
  touched_.clear();
  return names;
}

std::map<std::string, const SilverCounts*> SilverLayer::Counts() const {
  std::map<std::string, const SilverCounts*> counts;
  for (const auto& [name, table] : tables_) counts[name] = &table->counts();
  return counts;
}

}  // namespace tarn::pipeline
