#include "engine/lake_catalog.h"

#include <array>
#include <utility>

namespace tarn::engine {
namespace {

using duckdb::CatalogEntry;
using duckdb::CatalogTransaction;
using duckdb::ClientContext;
using duckdb::optional_ptr;

constexpr std::array<const char*, 5> kSchemas = {"silver", "gold", "quarantine", "bronze", "external"};

[[noreturn]] void ThrowReadOnly() { throw duckdb::PermissionException("the lake is read-only here"); }

std::optional<int64_t> AsOfMicros(ClientContext& context, const duckdb::BoundAtClause& at) {
  if (!duckdb::StringUtil::CIEquals(at.Unit(), "timestamp")) {
    throw duckdb::InvalidInputException("AT (%s => ...) is not supported: use AT (TIMESTAMP => ...)",
                                        at.Unit());
  }
  duckdb::Value time;
  std::string error;
  if (!at.GetValue().TryCastAs(context, duckdb::LogicalType::TIMESTAMP_TZ, time, &error) || time.IsNull()) {
    throw duckdb::InvalidInputException("AS OF %s: this is not a time%s", at.GetValue().ToString(),
                                        error.empty() ? "" : ": " + error);
  }
  return time.GetValue<duckdb::timestamp_tz_t>().value;
}

class LakeSchema : public duckdb::SchemaCatalogEntry {
 public:
  LakeSchema(duckdb::Catalog& catalog, duckdb::CreateSchemaInfo& info, duckdb::shared_ptr<CatalogState> state)
      : SchemaCatalogEntry(catalog, info), state_(std::move(state)) {}

  void Scan(ClientContext& context, duckdb::CatalogType type,
            const std::function<void(CatalogEntry&)>& callback) override {
    if (type != duckdb::CatalogType::TABLE_ENTRY || state_->statement == nullptr) return;
    for (LakeTable* table : state_->statement->Tables(context, *this)) callback(*table);
  }
  void Scan(duckdb::CatalogType, const std::function<void(CatalogEntry&)>&) override {}

  optional_ptr<CatalogEntry> LookupEntry(CatalogTransaction transaction,
                                         const duckdb::EntryLookupInfo& lookup) override {
    if (lookup.GetCatalogType() != duckdb::CatalogType::TABLE_ENTRY || state_->statement == nullptr)
      return nullptr;
    ClientContext& context = transaction.GetContext();
    std::optional<int64_t> as_of;
    if (const auto at = lookup.GetAtClause()) as_of = AsOfMicros(context, *at);
    return state_->statement->Find(context, *this, lookup.GetEntryName(), as_of);
  }

  optional_ptr<CatalogEntry> CreateIndex(CatalogTransaction, duckdb::CreateIndexInfo&,
                                         duckdb::TableCatalogEntry&) override {
    ThrowReadOnly();
  }
  optional_ptr<CatalogEntry> CreateFunction(CatalogTransaction, duckdb::CreateFunctionInfo&) override {
    ThrowReadOnly();
  }
  optional_ptr<CatalogEntry> CreateTable(CatalogTransaction, duckdb::BoundCreateTableInfo&) override {
    ThrowReadOnly();
  }
  optional_ptr<CatalogEntry> CreateView(CatalogTransaction, duckdb::CreateViewInfo&) override {
    ThrowReadOnly();
  }
  optional_ptr<CatalogEntry> CreateSequence(CatalogTransaction, duckdb::CreateSequenceInfo&) override {
    ThrowReadOnly();
  }
  optional_ptr<CatalogEntry> CreateTableFunction(CatalogTransaction,
                                                 duckdb::CreateTableFunctionInfo&) override {
    ThrowReadOnly();
  }
  optional_ptr<CatalogEntry> CreateCopyFunction(CatalogTransaction,
                                                duckdb::CreateCopyFunctionInfo&) override {
    ThrowReadOnly();
  }
  optional_ptr<CatalogEntry> CreatePragmaFunction(CatalogTransaction,
                                                  duckdb::CreatePragmaFunctionInfo&) override {
    ThrowReadOnly();
  }
  optional_ptr<CatalogEntry> CreateCollation(CatalogTransaction, duckdb::CreateCollationInfo&) override {
    ThrowReadOnly();
  }
  optional_ptr<CatalogEntry> CreateType(CatalogTransaction, duckdb::CreateTypeInfo&) override {
    ThrowReadOnly();
  }
  void DropEntry(ClientContext&, duckdb::DropInfo&) override { ThrowReadOnly(); }
  void Alter(CatalogTransaction, duckdb::AlterInfo&) override { ThrowReadOnly(); }

 private:
  duckdb::shared_ptr<CatalogState> state_;
};

class LakeCatalog : public duckdb::Catalog {
 public:
  LakeCatalog(duckdb::AttachedDatabase& database, duckdb::shared_ptr<CatalogState> state)
      : Catalog(database), state_(std::move(state)) {
    for (const char* name : kSchemas) {
      duckdb::CreateSchemaInfo info;
      info.schema = name;
      schemas_.push_back(duckdb::make_uniq<LakeSchema>(*this, info, state_));
    }
  }

  void Initialize(bool) override {}
  std::string GetCatalogType() override { return "tarn"; }
  std::string GetDefaultSchema() const override { return kSchemas.front(); }
  bool SupportsTimeTravel() const override { return true; }
  bool InMemory() override { return true; }
  std::string GetDBPath() override { return ""; }
  duckdb::DatabaseSize GetDatabaseSize(ClientContext&) override { return {}; }
  duckdb::optional_idx GetCatalogVersion(ClientContext&) override { return state_->statement_number; }

  optional_ptr<duckdb::SchemaCatalogEntry> LookupSchema(CatalogTransaction,
                                                        const duckdb::EntryLookupInfo& lookup,
                                                        duckdb::OnEntryNotFound if_not_found) override {
    for (auto& schema : schemas_) {
      if (duckdb::StringUtil::CIEquals(schema->name, lookup.GetEntryName())) return schema.get();
    }
    if (if_not_found == duckdb::OnEntryNotFound::RETURN_NULL) return nullptr;
    throw duckdb::CatalogException("there is no schema %s: the lake has silver, gold, quarantine and bronze",
                                   lookup.GetEntryName());
  }
  void ScanSchemas(ClientContext&, std::function<void(duckdb::SchemaCatalogEntry&)> callback) override {
    for (auto& schema : schemas_) callback(*schema);
  }

  optional_ptr<CatalogEntry> CreateSchema(CatalogTransaction, duckdb::CreateSchemaInfo&) override {
    ThrowReadOnly();
  }
  void DropSchema(ClientContext&, duckdb::DropInfo&) override { ThrowReadOnly(); }
  duckdb::PhysicalOperator& PlanCreateTableAs(ClientContext&, duckdb::PhysicalPlanGenerator&,
                                              duckdb::LogicalCreateTable&,
                                              duckdb::PhysicalOperator&) override {
    ThrowReadOnly();
  }
  duckdb::PhysicalOperator& PlanInsert(ClientContext&, duckdb::PhysicalPlanGenerator&, duckdb::LogicalInsert&,
                                       optional_ptr<duckdb::PhysicalOperator>) override {
    ThrowReadOnly();
  }
  duckdb::PhysicalOperator& PlanDelete(ClientContext&, duckdb::PhysicalPlanGenerator&, duckdb::LogicalDelete&,
                                       duckdb::PhysicalOperator&) override {
    ThrowReadOnly();
  }
  duckdb::PhysicalOperator& PlanUpdate(ClientContext&, duckdb::PhysicalPlanGenerator&, duckdb::LogicalUpdate&,
                                       duckdb::PhysicalOperator&) override {
    ThrowReadOnly();
  }

 private:
  duckdb::shared_ptr<CatalogState> state_;
  duckdb::vector<duckdb::unique_ptr<LakeSchema>> schemas_;
};

/// Nothing is ever written, so transactions are only names.
class ReadTransactions : public duckdb::TransactionManager {
 public:
  explicit ReadTransactions(duckdb::AttachedDatabase& database) : TransactionManager(database) {}

  duckdb::Transaction& StartTransaction(ClientContext& context) override {
    auto transaction = duckdb::make_uniq<duckdb::Transaction>(*this, context);
    duckdb::Transaction& result = *transaction;
    std::lock_guard lock(mutex_);
    transactions_[&result] = std::move(transaction);
    return result;
  }
  duckdb::ErrorData CommitTransaction(ClientContext&, duckdb::Transaction& transaction) override {
    RollbackTransaction(transaction);
    return {};
  }
  void RollbackTransaction(duckdb::Transaction& transaction) override {
    std::lock_guard lock(mutex_);
    transactions_.erase(&transaction);
  }
  void Checkpoint(ClientContext&, bool) override {}

 private:
  std::mutex mutex_;
  std::unordered_map<duckdb::Transaction*, duckdb::unique_ptr<duckdb::Transaction>> transactions_;
};

duckdb::unique_ptr<duckdb::Catalog> Attach(optional_ptr<duckdb::StorageExtensionInfo> info, ClientContext&,
                                           duckdb::AttachedDatabase& database, const std::string&,
                                           duckdb::AttachInfo&, duckdb::AttachOptions&) {
  auto& state = static_cast<CatalogState&>(*info);
  return duckdb::make_uniq<LakeCatalog>(database,
                                        duckdb::shared_ptr<CatalogState>(&state, [](CatalogState*) {}));
}

duckdb::unique_ptr<duckdb::TransactionManager> MakeTransactions(optional_ptr<duckdb::StorageExtensionInfo>,
                                                                duckdb::AttachedDatabase& database,
                                                                duckdb::Catalog&) {
  return duckdb::make_uniq<ReadTransactions>(database);
}

}  // namespace

duckdb::unique_ptr<LakeTable> LakeTable::Make(duckdb::SchemaCatalogEntry& schema, const std::string& name,
                                              std::shared_ptr<LakeScan> scan, PinnedStatement* statement) {
  duckdb::CreateTableInfo info(schema, name);
  for (size_t i = 0; i < scan->names().size(); ++i) {
    info.columns.AddColumn(duckdb::ColumnDefinition(scan->names()[i], scan->types()[i]));
  }
  return duckdb::make_uniq<LakeTable>(schema, info, std::move(scan), statement);
}

LakeTable::LakeTable(duckdb::SchemaCatalogEntry& schema, duckdb::CreateTableInfo& info,
                     std::shared_ptr<LakeScan> scan, PinnedStatement* statement)
    : TableCatalogEntry(schema.ParentCatalog(), schema, info),
      scan_(std::move(scan)),
      statement_(statement) {}

duckdb::TableFunction LakeTable::GetScanFunction(ClientContext& context,
                                                 duckdb::unique_ptr<duckdb::FunctionData>& bind_data) {
  statement_->AddScan(scan_);
  return statement_->scan_function().Bind(context, scan_, &bind_data);
}

void RegisterLakeCatalog(duckdb::DuckDB& database, duckdb::shared_ptr<CatalogState> state) {
  auto extension = duckdb::make_shared_ptr<duckdb::StorageExtension>();
  extension->attach = Attach;
  extension->create_transaction_manager = MakeTransactions;
  extension->storage_info = state;
  duckdb::StorageExtension::Register(duckdb::DBConfig::GetConfig(*database.instance), "tarn", extension);
}

}  // namespace tarn::engine
