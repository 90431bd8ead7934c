#include "pipeline/history_layer.h"

#include <algorithm>

#include "base/log.h"

namespace tarn::pipeline {

std::set<std::string> WantedHistories(const std::map<std::string, SilverModel>& models) {
  std::set<std::string> wanted;
  for (const auto& [table, model] : models) {
    if (model.history) wanted.insert(table);
  }
  return wanted;
}

HistoryLayer::HistoryLayer(storage::Storage* storage, const catalog::LakeLayout& layout,
                           const PipelineOptions& options, std::set<std::string> tables, LakeView* view,
                           InstantClock* clock)
    : storage_(storage), layout_(layout), wanted_(std::move(tables)), view_(view), clock_(clock) {
  session_options_.memory_limit_bytes = options.query_memory_bytes;
  session_options_.threads = 1;
  session_options_.spill_folder = layout_.Internal("spill");
}

Status HistoryLayer::Follow(const std::string& name, const catalog::RegisteredTable& table,
                            const catalog::LakeVersion& version) {
  auto& history = tables_[name];
  if (history == nullptr) {
    TARN_ASSIGN(history, HistoryTable::Open(storage_, layout_, table, clock_));
  }
  const Status followed = history->Follow(view_, version, session_options_);
  // After an error its state is read again.
  if (!followed) history.reset();
  return followed;
}

Status HistoryLayer::Run(const catalog::LakeVersion& version, const CancelToken& cancel) {
  if (wanted_.empty()) return {};
  TARN_ASSIGN(const auto registry, catalog::TableRegistry::Read(*storage_, layout_));
  for (const std::string& name : wanted_) {
    TARN_RETURN_IF_ERROR(cancel.Check());
    const auto table = registry.tables.find(name);
    const bool is_member =
        std::find(version.tables.begin(), version.tables.end(), name) != version.tables.end();
    if (table == registry.tables.end() || !is_member) continue;
    const Status followed = Follow(name, table->second, version);
    const std::string reason = followed ? "" : followed.error().message;
    if (std::string& told = told_[name]; told != reason) {
      told = reason;
      if (!reason.empty()) spdlog::error("history of {}: {}", name, reason);
    }
  }
  return {};
}

Status HistoryLayer::RunServices(const hudi::ServiceOptions& options) {
  for (const auto& [name, table] : tables_) {
    if (table != nullptr) TARN_RETURN_IF_ERROR(table->RunServices(options));
  }
  return {};
}

std::vector<std::string> HistoryLayer::Names() const {
  std::vector<std::string> names;
  for (const std::string& table : wanted_) {
    const auto known = tables_.find(table);
    const bool is_open = known != tables_.end() && known->second != nullptr;
    // One that could not follow now has what it had.
    const bool is_there =
        is_open ? !known->second->LastInstant().empty()
                : storage_->Exists(layout_.Gold(HistoryTable::NameOf(table)) + "/.hoodie/hoodie.properties");
    if (is_there) names.push_back(HistoryTable::NameOf(table));
  }
  return names;
}

std::string HistoryLayer::LastInstant() const {
  std::string newest;
  for (const auto& [name, table] : tables_) {
    if (table != nullptr) newest = std::max(newest, table->LastInstant());
  }
  return newest;
}

Status HistoryLayer::Close() {
  for (const auto& [name, table] : tables_) {
    if (table != nullptr) TARN_RETURN_IF_ERROR(table->Close());
  }
  return {};
}

}  // namespace tarn::pipeline
