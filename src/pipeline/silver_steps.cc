#include <arrow/api.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/fault.h"
#include "base/log.h"
#include "pipeline/silver_layer.h"
#include "pipeline/step_cut.h"

namespace tarn::pipeline {
namespace {

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

}  // namespace

Status SilverLayer::ApplyTable(const std::string& name, const std::vector<const bronze::TableRows*>& events,
                               int64_t lsn) {
  SilverTable& table = *tables_.at(name);
  int64_t& applied = applied_.at(name);
  TARN_ASSIGN(const StepCut cut, CutOf(events, EndOf(applied)));
  for (const ShapeRun& run : cut.runs) {
    TARN_FAULT_POINT("silver.apply.before_run");
    TARN_RETURN_IF_ERROR(table.Apply(run.shape, run.batches, lsn));
  }
  applied = std::max(applied, lsn);
  return {};
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
    const bool takes_changes =
        tables_.contains(name) && registry_.tables.at(name).held.empty() && !outdated_.contains(name);
    if (takes_changes) by_table[name].push_back(&event);
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

Status SilverLayer::HoldSpooledOrFail(const std::string& name, const Error& error) {
  // It is copied, or read from Bronze, again, with the columns that it has then.
  (void)tables_.at(name)->DropSpooled();
  return HoldOrFail(name, error);
}

Status SilverLayer::FollowShapes(const SilverStep& step) {
  bool reshaped = false;
  for (const bronze::TableRows& event : step.events) {
    const auto table = registry_.tables.find(event.table->lake_name);
    if (table == registry_.tables.end()) continue;
    const bool is_newer = OrderingPosition(event.at.lsn) > table->second.start;
    if (!event.copy_again.empty() && is_newer)
      TARN_RETURN_IF_ERROR(MarkCopyAgain(table->first, event.copy_again, false));
    if (table->second.source.columns == event.table->columns) continue;
    table->second.source = *event.table;
    reshaped = true;
  }
  return reshaped ? WriteRegistry() : Status{};
}

Status SilverLayer::Apply(const SilverStep& step) {
  if (!options_.with_silver) {
    TARN_RETURN_IF_ERROR(FollowShapes(step));
    return step.open ? Status{} : Publish(step.position, step.commit_micros);
  }
  const TableEvents by_table = EventsByTable(step);
  if (step.open || spooling_ || !IsOneCommitEach(by_table)) return ApplyPiece(step);
  const int64_t lsn = OrderingValue(step.position);
  std::vector<const TableEvents::value_type*> work;
  for (const auto& entry : by_table) work.push_back(&entry);
  const auto outcomes = TogetherOver<Status>(
      work, [&](const auto* entry) { return ApplyTable(entry->first, entry->second, lsn); });
  for (size_t i = 0; i < work.size(); i++) {
    if (!outcomes[i]) {
      TARN_RETURN_IF_ERROR(HoldOrFail(work[i]->first, outcomes[i].error()));
      continue;
    }
    touched_[work[i]->first] = true;
  }
  TARN_RETURN_IF_ERROR(SaveReshaped());
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
    if (!outcomes[i]) TARN_RETURN_IF_ERROR(HoldSpooledOrFail(work[i]->first, outcomes[i].error()));
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
    const Status done = tables_.at(name)->CommitSpooled(lsn);
    if (!done) {
      TARN_RETURN_IF_ERROR(HoldSpooledOrFail(name, done.error()));
      continue;
    }
    touched_[name] = true;
    applied_.at(name) = std::max(applied_.at(name), lsn);
  }
  // Columns may have been added in the midst; the registry must not know of them before the tables do.
  TARN_RETURN_IF_ERROR(SaveReshaped());
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
  if (!options_.with_silver) TARN_RETURN_IF_ERROR(FollowShapes(step));
  std::vector<std::pair<SilverTable*, SilverTable::Changes>> prepared;
  for (const auto& [name, events] : EventsByTable(step)) {
    if (!CanStage(name, events)) return false;
    TARN_ASSIGN(const StepCut cut, CutOf(events, EndOf(applied_.at(name))));
    if (cut.runs.empty()) continue;
    SilverTable& table = *tables_.at(name);
    auto changes = table.Prepare(*cut.runs[0].shape, cut.runs[0].batches);
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

}  // namespace tarn::pipeline
