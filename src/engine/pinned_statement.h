#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/lake_scan.h"
#include "engine/scan_function.h"

namespace tarn::engine {

class LakeTable;

/// The lake as one statement sees it: a version for each time that it names, narrowed by the decision. Lives
/// until the statement's last row is read. Threads: any.
class PinnedStatement {
 public:
  PinnedStatement(Lake* lake, std::shared_ptr<const govern::Decision> decision,
                  std::shared_ptr<ScanRegistry> registry, std::shared_ptr<ScanFunction> function,
                  std::optional<int64_t> as_of_micros, bool allow_held);
  ~PinnedStatement();

  /// Pins the version that unqualified times mean.
  Status Start();

  /// Null when there is no such table, or none for this principal. Names are compared without case. Throws
  /// what the lake says when the table cannot be read now.
  LakeTable* Find(duckdb::ClientContext& context, duckdb::SchemaCatalogEntry& schema, const std::string& name,
                  std::optional<int64_t> as_of_micros);
  /// Every table of a schema that this principal can read now.
  std::vector<LakeTable*> Tables(duckdb::ClientContext& context, duckdb::SchemaCatalogEntry& schema);

  /// Counts a table's scan among the statement's; called when it is bound.
  void AddScan(const std::shared_ptr<LakeScan>& scan);
  ScanStatistics Statistics() const;
  const ScanFunction& scan_function() const { return *function_; }

  /// What the lake answered last instead of a plan or a version: the error behind a DuckDB exception.
  std::optional<Error> Failure() const;

 private:
  using TableKey = std::pair<std::optional<int64_t>, TableName>;

  std::shared_ptr<LakeVersion> VersionOf(std::optional<int64_t> as_of_micros);
  LakeTable* Open(duckdb::ClientContext& context, duckdb::SchemaCatalogEntry& schema, const TableName& name,
                  std::optional<int64_t> as_of_micros);
  [[noreturn]] void Fail(const TableName& table, Error error);

  Lake* lake_;
  std::shared_ptr<const govern::Decision> decision_;
  std::shared_ptr<ScanRegistry> registry_;
  std::shared_ptr<ScanFunction> function_;
  std::optional<int64_t> as_of_micros_;
  bool allow_held_;
  mutable std::recursive_mutex mutex_;
  std::map<std::optional<int64_t>, std::shared_ptr<LakeVersion>> versions_;
  std::map<TableKey, duckdb::unique_ptr<LakeTable>> tables_;
  std::set<std::shared_ptr<LakeScan>> scans_;
  std::optional<Error> failure_;
};

}  // namespace tarn::engine
