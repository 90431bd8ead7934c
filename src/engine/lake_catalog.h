#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "engine/pinned_statement.h"

namespace tarn::engine {

/// What a session's catalog reads: the statement that runs. The session sets it between statements.
struct CatalogState : duckdb::StorageExtensionInfo {
  std::shared_ptr<PinnedStatement> statement;  ///< Null: no tables.
  idx_t statement_number = 0;                  ///< Prepared statements of an older one are bound again.
};

/// A table of the lake, as of one version, for one principal. Lives in its PinnedStatement.
class LakeTable : public duckdb::TableCatalogEntry {
 public:
  static duckdb::unique_ptr<LakeTable> Make(duckdb::SchemaCatalogEntry& schema, const std::string& name,
                                            std::shared_ptr<LakeScan> scan, PinnedStatement* statement);
  LakeTable(duckdb::SchemaCatalogEntry& schema, duckdb::CreateTableInfo& info, std::shared_ptr<LakeScan> scan,
            PinnedStatement* statement);

  duckdb::unique_ptr<duckdb::BaseStatistics> GetStatistics(duckdb::ClientContext&,
                                                           duckdb::column_t) override {
    return nullptr;
  }
  duckdb::TableFunction GetScanFunction(duckdb::ClientContext& context,
                                        duckdb::unique_ptr<duckdb::FunctionData>& bind_data) override;
  duckdb::TableStorageInfo GetStorageInfo(duckdb::ClientContext&) override { return {}; }

 private:
  std::shared_ptr<LakeScan> scan_;
  PinnedStatement* statement_;
};

/// Makes `state` attachable: ATTACH '' AS lake (TYPE tarn).
void RegisterLakeCatalog(duckdb::DuckDB& database, duckdb::shared_ptr<CatalogState> state);

}  // namespace tarn::engine
