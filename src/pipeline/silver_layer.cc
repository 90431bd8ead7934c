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

/// `work` for every item, several at once: a commit mostly waits for the disk. Outcomes in the items' order.
template <typename Outcome, typename Item, typename Work>
std::vector<Outcome> TogetherOver(const std::vector<Item>& items, const Work& work) {
  constexpr size_t kAtOnce = 4;
  std::vector<std::optional<Outcome>> outcomes(items.size());
  std::atomic<size_t> next{0};
  const auto run = [&] {
    for (size_t at = next.fetch_add(1); at < items.size(); at = next.fetch_add(1))
      outcomes[at] = work(items[at]);
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < std::min(kAtOnce, items.size()); i++) threads.emplace_back(run);
  run();
  for (std::thread& thread : threads) thread.join();
  std::vector<Outcome> done;
  for (auto& outcome : outcomes) done.push_back(std::move(*outcome));
  return done;
}

/// Everything of the transactions up to an ordering value.
schema::ChangePosition EndOf(int64_t lsn) { return {lsn, std::numeric_limits<int64_t>::max()}; }

/// What a step does to one table.
struct StepCut {
  schema::ChangePosition from;  ///< Of the last truncation, which comes first of all; else where it began.
  std::vector<ShapeRun> runs;
};

/// Of a table's events those that are newer than `after`. What was before the last truncation among them is
/// gone at its end, so it is not written at all. kUnsupported when the table must be copied again.
Result<StepCut> CutOf(const std::vector<const bronze::TableRows*>& events,
                      const schema::ChangePosition& after) {
  schema::ChangePosition from = after;
  for (const bronze::TableRows* event : events) {
    if (event->rows != nullptr) continue;
    if (!event->copy_again.empty() && event->at > after)
      return MakeError(ErrorCode::kUnsupported, "{}", event->copy_again);
    if (event->copy_again.empty()) from = std::max(from, event->at);
  }
  return StepCut{from, RunsAfter(events, from)};
}

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
    layer->position_ = newest->position();
    layer->base_ = *newest;
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
  std::shared_ptr<SilverCounts> counts;
  {
    const std::lock_guard lock(counts_mutex_);
    auto& known = counts_[name];
    if (known == nullptr) known = std::make_shared<SilverCounts>();
    counts = known;
  }
  TARN_ASSIGN(auto opened,
              SilverTable::Open(storage_, layout_, table, model == models_.end() ? nullptr : &model->second,
                                &instants_, std::move(counts)));
  TARN_ASSIGN(applied_[name], opened->AppliedLsn());
  tables_[name] = std::move(opened);
  registry_.tables[name] = table;
  return MarkHalfApplied(name);
}

Status SilverLayer::MarkHalfApplied(const std::string& name) {
  const bool is_half = tables_.at(name)->IsHalfApplied() && registry_.tables.at(name).copy_again.empty();
  if (!is_half) return {};
  return MarkCopyAgain(
      name, "tarn was interrupted within a step of this table, which has no key to tell what is in it", true);
}

Status SilverLayer::MarkHalfApplied() {
  for (const auto& [name, table] : tables_) TARN_RETURN_IF_ERROR(MarkHalfApplied(name));
  return {};
}

Status SilverLayer::FinishLoad(const std::string& name, int64_t lsn) {
  TARN_RETURN_IF_ERROR(tables_.at(name)->FinishLoad(lsn));
  applied_[name] = lsn;
  return {};
}

void SilverLayer::RemoveTable(const std::string& name) {
  tables_.erase(name);
  applied_.erase(name);
  registry_.tables.erase(name);
  const std::lock_guard lock(counts_mutex_);
  counts_.erase(name);
}

Status SilverLayer::SaveRegistry() {
  for (const auto& [name, table] : tables_) registry_.tables[name].source = table->registered().source;
  return WriteRegistry();
}

SourcePosition SilverLayer::ReleaseHeld() {
  SourcePosition from = position_;
  for (auto& [name, table] : registry_.tables) {
    if (table.held.empty() || !table.copy_again.empty() || !tables_.contains(name)) continue;
    from = std::min(from, OrderingPosition(applied_[name]));
    table.held.clear();
  }
  return from;
}

Status SilverLayer::WriteRegistry() {
  registry_changes_++;
  return registry_.Write(*storage_, layout_);
}

bool SilverLayer::SetComing(std::map<std::string, std::string> coming) {
  if (coming == coming_) return false;
  coming_ = std::move(coming);
  return true;
}

Status SilverLayer::MarkCopyAgain(const std::string& name, const std::string& reason, bool hold) {
  const auto table = registry_.tables.find(name);
  if (table == registry_.tables.end()) return {};
  if (table->second.copy_again.empty()) table->second.copy_again = reason;
  if (hold && table->second.held.empty()) {
    spdlog::warn("silver {}: held until it is copied again: {}", name, reason);
    table->second.held = reason + "; it is being copied again, `tarn status` tells how far";
  }
  return WriteRegistry();
}

Status SilverLayer::NoteStorages(const std::vector<std::pair<std::string, std::string>>& storages) {
  for (const auto& [name, storage] : storages) {
    const auto table = registry_.tables.find(name);
    if (table != registry_.tables.end()) table->second.storage = storage;
  }
  return WriteRegistry();
}

std::map<std::string, std::string> SilverLayer::WantedCopies() const {
  std::map<std::string, std::string> wanted;
  for (const auto& [name, table] : registry_.tables) {
    if (!table.copy_again.empty()) wanted[name] = table.copy_again;
  }
  return wanted;
}

std::optional<SourcePosition> SilverLayer::AwaitedCopy(int64_t epoch) const {
  std::optional<SourcePosition> awaited;
  for (const auto& [name, table] : registry_.tables) {
    if (table.start.epoch == epoch && table.start > position_ && (!awaited || table.start > *awaited))
      awaited = table.start;
  }
  return awaited;
}

Status SilverLayer::LoadCopy(SilverTable& table, int64_t lsn,
                             const std::function<Status(const CopyRows&)>& read) {
  TARN_RETURN_IF_ERROR(read([&](auto rows) { return table.Load(0, rows); }));
  return table.FinishLoad(lsn);
}

Status SilverLayer::TakeCopy(const catalog::RegisteredTable& table, const SourcePosition& position,
                             const std::function<Status(const CopyRows&)>& read) {
  const std::string& name = table.source.lake_name;
  if (!tables_.contains(name)) TARN_RETURN_IF_ERROR(AddTable(table));
  SilverTable& silver = *tables_.at(name);
  TARN_ASSIGN(const int64_t applied, silver.AppliedLsn());
  const int64_t lsn = OrderingValue(position);
  // Until its changes since the copy are in: a crash meanwhile has them applied at the next start.
  catalog::RegisteredTable& registered = registry_.tables.at(name);
  registered.held = "its changes since it was copied are being applied";
  TARN_RETURN_IF_ERROR(WriteRegistry());
  Status loaded = applied == 0 ? silver.BeginLoad(instants_.Next(), 1)
                               : silver.BeginReload(instants_.Next(), table.source);
  if (loaded) loaded = LoadCopy(silver, lsn, read);
  if (!loaded) {
    const bool refused =
        loaded.error().code == ErrorCode::kUnsupported || loaded.error().code == ErrorCode::kInvalidArgument;
    if (!refused) return std::move(loaded).error().In("silver " + name);
    spdlog::error("silver {}: held: {}", name, loaded.error().message);
    registered.held = loaded.error().message;
    registered.copy_again.clear();
    return WriteRegistry();
  }
  applied_[name] = lsn;
  registered.source = silver.registered().source;
  registered.start = position;
  registered.storage = table.storage;
  registered.copy_again.clear();
  TARN_RETURN_IF_ERROR(WriteRegistry());
  TARN_FAULT_POINT("silver.take_copy.before_changes");
  registered.held.clear();
  touched_[name] = true;
  return {};
}

Result<bool> SilverLayer::ApplyTable(const std::string& name,
                                     const std::vector<const bronze::TableRows*>& events, int64_t lsn) {
  SilverTable& table = *tables_.at(name);
  int64_t& applied = applied_.at(name);
  const auto columns_before = table.registered().source.columns;
  TARN_ASSIGN(const StepCut cut, CutOf(events, EndOf(applied)));
  for (const ShapeRun& run : cut.runs) {
    TARN_FAULT_POINT("silver.apply.before_run");
    TARN_RETURN_IF_ERROR(table.Apply(run.shape, run.batches, lsn));
  }
  applied = std::max(applied, lsn);
  return table.registered().source.columns != columns_before;
}

bool SilverLayer::IsOneCommitEach(const TableEvents& by_table) const {
  return std::all_of(by_table.begin(), by_table.end(), [&](const auto& entry) {
    const schema::ChangePosition after = EndOf(applied_.at(entry.first));
    const auto cut = CutOf(entry.second, after);
    return !cut || (cut->from == after && cut->runs.size() <= 1);
  });
}

SilverLayer::TableEvents SilverLayer::EventsByTable(const SilverStep& step) const {
  TableEvents by_table;
  for (const bronze::TableRows& event : step.events) {
    const std::string& name = event.table->lake_name;
    if (tables_.contains(name) && registry_.tables.at(name).held.empty()) by_table[name].push_back(&event);
  }
  return by_table;
}

Status SilverLayer::HoldOrFail(const std::string& name, const Error& error) {
  const bool cannot_follow =
      error.code == ErrorCode::kUnsupported || error.code == ErrorCode::kInvalidArgument;
  if (!cannot_follow) return Error(error).In("silver " + name);
  if (error.code == ErrorCode::kUnsupported) return MarkCopyAgain(name, error.message, true);
  spdlog::error("silver {}: held: {}", name, error.message);
  registry_.tables[name].held = error.message;
  return WriteRegistry();
}

Status SilverLayer::Apply(const SilverStep& step) {
  const TableEvents by_table = EventsByTable(step);
  if (step.open || spooling_ || !IsOneCommitEach(by_table)) return ApplyPiece(step);
  const int64_t lsn = OrderingValue(step.position);
  std::vector<const TableEvents::value_type*> work;
  for (const auto& entry : by_table) work.push_back(&entry);
  const auto outcomes = TogetherOver<Result<bool>>(
      work, [&](const auto* entry) { return ApplyTable(entry->first, entry->second, lsn); });
  bool shapes_changed = false;
  for (size_t i = 0; i < work.size(); i++) {
    if (!outcomes[i]) {
      TARN_RETURN_IF_ERROR(HoldOrFail(work[i]->first, outcomes[i].error()));
      continue;
    }
    touched_[work[i]->first] = true;
    shapes_changed |= *outcomes[i];
  }
  if (shapes_changed) TARN_RETURN_IF_ERROR(SaveRegistry());
  return Publish(step.position, step.commit_micros);
}

Status SilverLayer::SpoolTable(const std::string& name, const std::vector<const bronze::TableRows*>& events,
                               int64_t lsn) {
  SilverTable& table = *tables_.at(name);
  schema::ChangePosition after = EndOf(applied_.at(name));
  if (table.has_spooled()) after = std::max(after, table.spooled_from());
  TARN_ASSIGN(const StepCut cut, CutOf(events, after));
  if (cut.from != after) TARN_RETURN_IF_ERROR(table.SpoolTruncation(cut.from));
  for (const ShapeRun& run : cut.runs) TARN_RETURN_IF_ERROR(table.Spool(run.shape, run.batches, lsn));
  return {};
}

Status SilverLayer::ApplyPiece(const SilverStep& step) {
  spooling_ = true;
  const TableEvents by_table = EventsByTable(step);
  // Of a transaction that goes on, nothing counts as applied: after a crash all of it comes again.
  const int64_t lsn = OrderingValue(step.position) - 1;
  std::vector<const TableEvents::value_type*> work;
  for (const auto& entry : by_table) work.push_back(&entry);
  const auto outcomes = TogetherOver<Status>(
      work, [&](const auto* entry) { return SpoolTable(entry->first, entry->second, lsn); });
  for (size_t i = 0; i < work.size(); i++) {
    if (outcomes[i]) continue;
    (void)tables_.at(work[i]->first)
        ->DropSpooled();  // It is copied again, with the columns that it has then.
    TARN_RETURN_IF_ERROR(HoldOrFail(work[i]->first, outcomes[i].error()));
  }
  return step.open ? Status{} : CommitSpooled(step);
}

Status SilverLayer::CommitSpooled(const SilverStep& step) {
  const int64_t lsn = OrderingValue(step.position);
  std::vector<std::string> work;
  for (const auto& [name, table] : tables_) {
    if (table->has_spooled()) work.push_back(name);
  }
  // One after the other, as each may need the memory of a file group.
  for (const std::string& name : work) {
    SilverTable& table = *tables_.at(name);
    Status done = table.CommitSpooled(lsn);
    if (!done) return std::move(done).error().In("silver " + name);
    touched_[name] = true;
    applied_.at(name) = std::max(applied_.at(name), lsn);
  }
  // Columns may have been added in the midst; the registry must not know of them before the tables do.
  TARN_RETURN_IF_ERROR(SaveRegistry());
  spooling_ = false;
  return Publish(step.position, step.commit_micros);
}

bool SilverLayer::CanStage(const std::string& name,
                           const std::vector<const bronze::TableRows*>& events) const {
  const auto& columns = tables_.at(name)->registered().source.columns;
  return std::all_of(events.begin(), events.end(), [&](const bronze::TableRows* event) {
    return event->rows != nullptr && event->table->columns == columns;
  });
}

Result<bool> SilverLayer::Stage(const SilverStep& step) {
  if (step.open) return false;
  std::vector<std::pair<SilverTable*, SilverTable::Changes>> prepared;
  for (const auto& [name, events] : EventsByTable(step)) {
    if (!CanStage(name, events)) return false;
    const std::vector<ShapeRun> runs = RunsAfter(events, EndOf(applied_.at(name)));
    if (runs.empty()) continue;
    SilverTable& table = *tables_.at(name);
    auto changes = table.Prepare(*runs[0].shape, runs[0].batches);
    if (!changes) {
      // A rule that says stop, or what only a newer copy tells: Apply holds the table.
      if (changes.error().code == ErrorCode::kInvalidArgument ||
          changes.error().code == ErrorCode::kUnsupported)
        return false;
      return std::move(changes).error().In("silver " + name);
    }
    prepared.emplace_back(&table, std::move(*changes));
  }
  const std::lock_guard lock(tail_mutex_);
  for (const auto& [table, changes] : prepared) TARN_RETURN_IF_ERROR(table->Stage(changes));
  staged_ = Staged{step.position, step.commit_micros};
  tail_.reset();
  return true;
}

int64_t SilverLayer::staged_bytes() const {
  int64_t bytes = 0;
  for (const auto& [name, table] : tables_) bytes += table->staged_bytes();
  return bytes;
}

Status SilverLayer::CommitStaged() {
  if (!staged_) return {};
  const Staged staged = *staged_;
  const int64_t lsn = OrderingValue(staged.position);
  std::vector<std::string> work;
  for (const auto& [name, table] : tables_) {
    if (table->has_staged()) work.push_back(name);
  }
  const auto outcomes = TogetherOver<Status>(
      work, [&](const std::string& name) { return tables_.at(name)->CommitStaged(lsn); });
  for (size_t i = 0; i < work.size(); i++) {
    if (!outcomes[i]) {
      TARN_RETURN_IF_ERROR(HoldOrFail(work[i], outcomes[i].error()));
      continue;
    }
    touched_[work[i]] = true;
    applied_.at(work[i]) = lsn;
  }
  return Publish(staged.position, staged.commit_micros);
}

Status SilverLayer::DropStaged() {
  std::vector<std::string> reshaped;
  {
    const std::lock_guard lock(tail_mutex_);
    for (const auto& [name, table] : tables_) {
      table->DropStaged();
      if (table->DropSpooled()) reshaped.push_back(name);
    }
    spooling_ = false;
    staged_.reset();
    tail_.reset();
  }
  // What comes again has the columns of before first.
  for (const std::string& name : reshaped) {
    const catalog::RegisteredTable table = registry_.tables.at(name);
    tables_.erase(name);
    TARN_RETURN_IF_ERROR(AddTable(table));
  }
  return {};
}

Result<std::shared_ptr<const TailState>> SilverLayer::PinTail() {
  const std::lock_guard lock(tail_mutex_);
  if (tail_ || !base_) return tail_;
  auto tail = std::make_shared<TailState>();
  tail->base = *base_;
  tail->lsn = staged_ ? staged_->position.lsn : base_->lsn;
  tail->commit_micros = staged_ ? staged_->commit_micros : base_->commit_micros;
  if (staged_) {
    for (const std::string& name : base_->tables) {
      const auto table = tables_.find(name);
      if (table == tables_.end() || !table->second->has_staged()) continue;
      TARN_ASSIGN(tail->silver[name], table->second->staged_silver().Snapshot());
      TARN_ASSIGN(tail->quarantine[name], table->second->staged_quarantine().Snapshot());
      tail->rows += table->second->staged_rows();
    }
  }
  tail_ = std::move(tail);
  return tail_;
}

Status SilverLayer::Publish(const SourcePosition& position, int64_t commit_micros) {
  // Transactions that a first copy already holds come once more, with nothing in them.
  if (position < position_ && versions_->size() > 0) return {};
  catalog::LakeVersion version{instants_.Next(), position.epoch, position.lsn, commit_micros, {}, {}};
  for (const auto& [name, table] : registry_.tables) {
    if (!tables_.contains(name)) continue;
    if (!table.held.empty()) {
      version.held[name] = table.held;
    } else if (table.start <= position) {
      version.tables.push_back(name);
    } else {
      version.held[name] = "it was copied just now, and the stream has not come as far yet";
    }
  }
  for (const auto& [name, reason] : coming_) {
    if (!registry_.tables.contains(name)) version.held[name] = reason;
  }
  position_ = position;
  TARN_RETURN_IF_ERROR(versions_->Publish(*storage_, version));
  const std::lock_guard lock(tail_mutex_);
  for (const auto& [name, table] : tables_) table->DropStaged();
  staged_.reset();
  base_ = std::move(version);
  tail_.reset();
  return {};
}

Status SilverLayer::RunServices() {
  if (tables_.empty()) return {};
  auto next = tables_.upper_bound(served_);
  if (next == tables_.end()) next = tables_.begin();
  served_ = next->first;
  auto compacted = next->second->RunServices(options_.services, false);
  if (!compacted) return std::move(compacted).error().In("services of silver " + served_);
  if (!*compacted || !base_) return {};
  // Row positions are those of the new files now; so are the readers' plans from here on.
  return Publish(base_->position(), base_->commit_micros);
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

std::map<std::string, std::shared_ptr<const SilverCounts>> SilverLayer::Counts() const {
  const std::lock_guard lock(counts_mutex_);
  return {counts_.begin(), counts_.end()};
}

}  // namespace tarn::pipeline
