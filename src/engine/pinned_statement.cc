#include "engine/pinned_statement.h"

#include <utility>

#include "engine/lake_catalog.h"

namespace tarn::engine {

PinnedStatement::PinnedStatement(Lake* lake, std::shared_ptr<const govern::Decision> decision,
                                 std::shared_ptr<ScanRegistry> registry,
                                 std::shared_ptr<ScanFunction> function, std::optional<int64_t> as_of_micros,
                                 bool allow_held)
    : lake_(lake),
      decision_(std::move(decision)),
      registry_(std::move(registry)),
      function_(std::move(function)),
      as_of_micros_(as_of_micros),
      allow_held_(allow_held) {}

PinnedStatement::~PinnedStatement() = default;

Status PinnedStatement::Start() {
  TARN_ASSIGN(versions_[as_of_micros_], lake_->Pin(as_of_micros_));
  return {};
}

std::shared_ptr<LakeVersion> PinnedStatement::VersionOf(std::optional<int64_t> as_of_micros) {
  auto& version = versions_[as_of_micros];
  if (version != nullptr) return version;
  auto pinned = lake_->Pin(as_of_micros);
  if (!pinned) {
    failure_ = pinned.error();
    throw duckdb::InvalidInputException(pinned.error().message);
  }
  return version = std::move(*pinned);
}

void PinnedStatement::Fail(const TableName& table, Error error) {
  const bool may_know = decision_->ForName(table.schema, table.name) == govern::Access::kAll;
  // The lake's reason may name paths and other tables.
  if (!may_know)
    error.message = fmt::format("{}.{} cannot be read now; ask the operator", table.schema, table.name);
  failure_ = error;
  throw duckdb::InvalidInputException(error.message);
}

LakeTable* PinnedStatement::Open(duckdb::ClientContext& context, duckdb::SchemaCatalogEntry& schema,
                                 const TableName& name, std::optional<int64_t> as_of_micros) {
  if (decision_->ForName(name.schema, name.name) == govern::Access::kDenied) return nullptr;
  auto& table = tables_[TableKey{as_of_micros, name}];
  if (table != nullptr) return table.get();
  const auto version = VersionOf(as_of_micros);
  auto plan = version->Plan(name, allow_held_);
  if (!plan) Fail(name, std::move(plan.error()));
  const auto access = decision_->ForTable(name.schema, name.name, (*plan)->partition_fields);
  if (access == govern::Access::kDenied) return nullptr;
  auto scan =
      std::make_shared<LakeScan>(context, name, version, std::move(*plan), access, decision_->tenant());
  registry_->Add(scan);
  table = LakeTable::Make(schema, name.name, std::move(scan), this);
  return table.get();
}

LakeTable* PinnedStatement::Find(duckdb::ClientContext& context, duckdb::SchemaCatalogEntry& schema,
                                 const std::string& name, std::optional<int64_t> as_of_micros) {
  std::lock_guard lock(mutex_);
  const auto as_of = as_of_micros ? as_of_micros : as_of_micros_;
  for (const TableName& table : VersionOf(as_of)->Tables()) {
    if (table.schema == schema.name && duckdb::StringUtil::CIEquals(table.name, name)) {
      return Open(context, schema, table, as_of);
    }
  }
  return nullptr;
}

std::vector<LakeTable*> PinnedStatement::Tables(duckdb::ClientContext& context,
                                                duckdb::SchemaCatalogEntry& schema) {
  std::lock_guard lock(mutex_);
  std::vector<LakeTable*> result;
  for (const TableName& name : VersionOf(as_of_micros_)->Tables()) {
    if (name.schema != schema.name) continue;
    try {
      LakeTable* table = Open(context, schema, name, as_of_micros_);
      if (table != nullptr) result.push_back(table);
    } catch (const std::exception&) {
      failure_.reset();  // A table that cannot be read now is no reason to list none.
    }
  }
  return result;
}

void PinnedStatement::AddScan(const std::shared_ptr<LakeScan>& scan) {
  std::lock_guard lock(mutex_);
  scans_.insert(scan);
}

ScanStatistics PinnedStatement::Statistics() const {
  std::lock_guard lock(mutex_);
  ScanStatistics statistics;
  for (const auto& scan : scans_) scan->AddStatistics(&statistics);
  return statistics;
}

std::optional<Error> PinnedStatement::Failure() const {
  std::lock_guard lock(mutex_);
  return failure_;
}

}  // namespace tarn::engine
