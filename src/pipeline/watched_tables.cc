#include <algorithm>

#include "base/log.h"
#include "cdc/replication_objects.h"
#include "pipeline/source_watch.h"

namespace tarn::pipeline {

const cdc::FollowedTable* FindFollowed(const std::map<std::string, cdc::FollowedTable>& followed,
                                       const cdc::SourceTable& table) {
  const cdc::FollowedTable* same_name = nullptr;
  for (const auto& [name, known] : followed) {
    if (known.schema.oid == table.schema.oid) return &known;
    if (known.schema.QualifiedName() == table.schema.QualifiedName()) same_name = &known;
  }
  return same_name;
}

bool IsSameSource(const schema::TableSchema& known, const schema::TableSchema& source) {
  return known.oid == source.oid || known.QualifiedName() == source.QualifiedName();
}

Status CheckGivenNames(const catalog::TableRegistry& registry, const std::vector<cdc::SourceTable>& tables) {
  for (const cdc::SourceTable& table : tables) {
    if (!table.schema.named) continue;
    for (const auto& [name, other] : registry.tables) {
      if (!IsSameSource(other.source, table.schema) && cdc::NamesMeet(table.schema, other.source))
        return cdc::GivenNameTaken(table.schema, other.source);
    }
  }
  return {};
}

cdc::SourceTable UnderLakeNames(cdc::SourceTable table, const cdc::FollowedTable* known) {
  if (known != nullptr) table.schema = cdc::FollowShape(table, *known).table;
  return table;
}

std::string SourceWatch::WhyCopy(const cdc::SourceTable& table, const cdc::FollowedTable* known,
                                 const std::string& kept_back) const {
  if (known == nullptr) return "the table is new";
  const cdc::ShapeChange change = cdc::FollowShape(table, *known);
  const auto refused = refused_.find(change.table.lake_name);
  if (refused != refused_.end() && refused->second.oid == change.table.oid &&
      refused->second.columns == change.table.columns) {
    return "";
  }
  return change.copy_again.empty() ? kept_back : change.copy_again;
}

void SourceWatch::NoteStorage(const cdc::SourceTable& table, const cdc::FollowedTable& known, Lsn before,
                              Lsn behind) {
  const std::string& name = known.schema.lake_name;
  if (table.storage == known.storage) {
    as_known_[name] = before;
    return;
  }
  const cdc::ShapeChange change = cdc::FollowShape(table, known);
  // With the columns of the copy no DDL of columns came between: the stream, wherever it is, is behind none.
  if (!change.copy_again.empty() || change.table.columns != known.schema.columns) return;
  SeenStorage seen{name, table.storage, std::nullopt, behind};
  if (cdc::NeedsTruncate(known.storage, table.storage)) seen.since = as_known_[name];
  storages_.push_back(std::move(seen));
}

void SourceWatch::TellFaults(const std::vector<cdc::PublicationFault>& faults) {
  std::set<std::string> told;
  for (const cdc::PublicationFault& fault : faults) {
    told.insert(fault.what);
    if (!told_faults_.contains(fault.what))
      spdlog::error("{}; it is mended by: {}; what it left out is copied again", fault.what, fault.fix);
  }
  told_faults_ = std::move(told);
}

Result<std::set<std::string>> SourceWatch::FindTakenOut(const std::vector<cdc::SourceTable>& tables) {
  TARN_ASSIGN(const auto published, cdc::FollowedByPublications(*connection_, options_.names));
  std::set<std::string> taken_out;
  for (const cdc::SourceTable& table : tables) {
    if (published.contains(table.from)) continue;
    // One that was renamed since the tables were listed is there under its new name.
    TARN_ASSIGN(const auto now,
                cdc::DescribeTable(*connection_, table.schema.oid, options_.patterns.mappings));
    if (now && now->from == table.from) taken_out.insert(table.from);
  }
  return taken_out;
}

Result<SourceWatch::Chosen> SourceWatch::Choose(const std::vector<cdc::SourceTable>& tables, Lsn before,
                                                Lsn behind) {
  Chosen chosen;
  // First: a fault that comes between hides tables, and is to be told.
  TARN_ASSIGN(const auto taken_out, FindTakenOut(tables));
  TARN_ASSIGN(const auto faults, cdc::FindPublicationFaults(*connection_, options_.names));
  TellFaults(faults);
  const std::lock_guard lock(mutex_);
  std::set<std::string> there;
  for (const cdc::SourceTable& table : tables) {
    const cdc::FollowedTable* known = pipeline::FindFollowed(followed_, table);
    const std::string name = known != nullptr ? known->schema.lake_name : table.schema.lake_name;
    there.insert(name);
    const cdc::PublicationFault* fault = cdc::FindFaultOf(faults, options_.names, table);
    std::string kept_back;
    if (fault != nullptr) kept_back = fault->what + ", so that changes of it are not known";
    if (taken_out.contains(table.from)) kept_back = "it was taken out of the publication";
    std::string reason = WhyCopy(table, known, kept_back);
    const bool waits = std::any_of(finished_.begin(), finished_.end(), [&](const FinishedCopy& copy) {
      return copy.load.table->lake_name == name;
    });
    if (waits) continue;
    if (known != nullptr) NoteStorage(table, *known, before, behind);
    if (known != nullptr && !reason.empty() && !state_.wanted.contains(name))
      noticed_.emplace_back(name, reason);
    if (reason.empty() && state_.wanted.contains(name)) reason = state_.wanted.at(name);
    if (reason.empty()) continue;
    state_.wanted.emplace(name, reason);
    chosen.emplace_back(UnderLakeNames(table, known), reason);
  }
  state_.gone.clear();
  for (const auto& [name, known] : followed_) {
    if (there.contains(name)) continue;
    state_.gone[name] = known.schema.QualifiedName();
  }
  // Also of those that nobody followed yet: there is nothing to copy.
  std::erase_if(state_.wanted, [&](const auto& entry) { return !there.contains(entry.first); });
  std::sort(chosen.begin(), chosen.end(),
            [](const auto& a, const auto& b) { return a.first.size_bytes > b.first.size_bytes; });
  return chosen;
}

}  // namespace tarn::pipeline
