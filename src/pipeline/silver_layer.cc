#include "pipeline/silver_layer.h"

#include <arrow/api.h>

#include <algorithm>

#include "base/fault.h"
#include "base/log.h"
#include "pipeline/step_cut.h"

namespace tarn::pipeline {

Result<std::unique_ptr<SilverLayer>> SilverLayer::Open(storage::Storage* storage,
                                                       const catalog::LakeLayout& layout,
                                                       const PipelineOptions& options, const Clock* clock,
                                                       catalog::LakeVersions* versions) {
  std::unique_ptr<SilverLayer> layer(new SilverLayer(storage, layout, options, clock, versions));
  TARN_ASSIGN(auto models, LoadSilverModels(*storage, options.models));
  for (auto& [name, model] : models)
    layer->models_[name] = std::make_shared<const SilverModel>(std::move(model));
  TARN_ASSIGN(layer->registry_, catalog::TableRegistry::Read(*storage, layout));
  const auto newest = versions->Find(std::nullopt);
  if (newest) {
    layer->instants_.MustPass(newest->instant);
    layer->position_ = newest->position();
    layer->base_ = *newest;
  }
  return layer;
}

std::shared_ptr<const SilverModel> SilverLayer::ModelOf(const std::string& lake_name) const {
  const std::lock_guard lock(models_mutex_);
  const auto found = models_.find(lake_name);
  return found == models_.end() ? nullptr : found->second;
}

SilverTable* SilverLayer::Find(const std::string& lake_name) {
  const auto found = tables_.find(lake_name);
  return found == tables_.end() ? nullptr : found->second.get();
}

Status SilverLayer::AddTable(const catalog::RegisteredTable& table) {
  const std::string& name = table.source.lake_name;
  std::shared_ptr<SilverCounts> counts;
  {
    const std::lock_guard lock(counts_mutex_);
    auto& known = counts_[name];
    if (known == nullptr) known = std::make_shared<SilverCounts>();
    counts = known;
  }
  TARN_ASSIGN(auto opened,
              SilverTable::Open(storage_, layout_, table, ModelOf(name), &instants_, std::move(counts)));
  TARN_ASSIGN(applied_[name], opened->AppliedLsn());
  tables_[name] = std::move(opened);
  registry_.tables[name] = table;
  const auto model = ModelOf(name);
  const std::string select = SelectOf(model.get());
  outdated_.erase(name);
  if (applied_[name] == 0) {
    registry_.tables[name].select = select;
    registry_.tables[name].rules = RulesText(model.get());
  } else if (table.select != select) {
    outdated_.insert(name);
  }
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
  applied_.at(name) = lsn;
  return {};
}

void SilverLayer::RemoveTable(const std::string& name) {
  tables_.erase(name);
  applied_.erase(name);
  registry_.tables.erase(name);
  outdated_.erase(name);
  const std::lock_guard lock(counts_mutex_);
  counts_.erase(name);
}

Status SilverLayer::SaveRegistry() {
  for (const auto& [name, table] : tables_) registry_.tables[name].source = table->registered().source;
  return WriteRegistry();
}

Status SilverLayer::SaveReshaped() {
  const bool reshaped = std::any_of(tables_.begin(), tables_.end(), [&](const auto& entry) {
    return registry_.tables.at(entry.first).source.columns != entry.second->registered().source.columns;
  });
  return reshaped ? SaveRegistry() : Status{};
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
  TARN_RETURN_IF_ERROR(registry_.Write(*storage_, layout_));
  TARN_FAULT_POINT("silver.registry.after_write");
  return {};
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
    silver.DropLoad();
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
  registered.returning.reset();
  registered.select = SelectOf(ModelOf(name).get());
  registered.rules = RulesText(ModelOf(name).get());
  outdated_.erase(name);
  TARN_RETURN_IF_ERROR(WriteRegistry());
  TARN_FAULT_POINT("silver.take_copy.before_changes");
  registered.held.clear();
  touched_[name] = true;
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
  if (position < position_ && versions_->size() > 0) {
    const std::lock_guard lock(tail_mutex_);
    ForgetStaged();
    return {};
  }
  catalog::LakeVersion version{instants_.Next(), position.epoch, position.lsn, commit_micros, {}, {}, {}};
  for (const auto& [name, table] : registry_.tables) {
    if (!options_.with_silver && table.start <= position) version.bronze_alone.push_back(name);
    if (!tables_.contains(name)) continue;
    if (!table.held.empty()) {
      version.held[name] = table.held;
    } else if (outdated_.contains(name)) {
      version.held[name] = "its SELECT in models/silver changed, and it is being made anew";
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
  ForgetStaged();
  base_ = std::move(version);
  return {};
}

void SilverLayer::ForgetStaged() {
  for (const auto& [name, table] : tables_) table->DropStaged();
  staged_.reset();
  tail_.reset();
}

Status SilverLayer::RunServices() {
  if (tables_.empty()) return {};
  auto next = tables_.upper_bound(served_);
  if (next == tables_.end()) next = tables_.begin();
  served_ = next->first;
  // What keeps it from following may keep it from being compacted; it is held, and the others go on.
  if (!registry_.tables.at(served_).held.empty()) return {};
  const auto compacted = next->second->RunServices(options_.services, false);
  if (!compacted) TARN_RETURN_IF_ERROR(HoldOrFail(served_, compacted.error()));
  if (!base_ || (compacted && !*compacted)) return {};
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
