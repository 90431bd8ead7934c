#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/lsn.h"
#include "catalog/lake_layout.h"
#include "schema/table_schema.h"
#include "storage/storage.h"

namespace tarn::catalog {

/// A Silver table as the lake keeps it.
struct RegisteredTable {
  schema::TableSchema source;
  std::string
      tenant_column;     ///< Lake name of the first partition column; empty when not partitioned by tenant.
  std::string month_of;  ///< Lake name of the time column behind `_month`; empty when there is none.
  SourcePosition
      start;            ///< Position of its newest copy: it is a member from the first version at or past it.
  std::string storage;  ///< Of the source when it was copied, as cdc::SourceTable::storage.
  std::string held;     ///< Why it cannot follow; empty when it does.
  std::string copy_again;  ///< Why it must be copied again; empty when it need not.
  /// A return of rows from quarantine that was begun and not ended: of rows that this rule refused, empty: of
  /// all. Both tables may have them.
  std::optional<std::string> returning;
  std::string select;  ///< The SELECT of models/silver that its rows were made by; empty: none.
  std::string
      rules;  ///< The rules that all its rows were judged by, as pipeline::RulesText; empty: not known.
  bool left = false;  ///< Its source table goes on under another name in the lake; it keeps what it has.
};

/// The tables of a lake, by lake name (`_tarn/tables.json`). Threads: one.
class TableRegistry {
 public:
  static Result<TableRegistry> Read(const storage::Storage& storage, const LakeLayout& layout);
  /// Durability: on return it survives a crash.
  Status Write(storage::Storage& storage, const LakeLayout& layout) const;

  /// The lake name of a table that is named by it or by its source name ("schema.table"). Errors:
  /// kInvalidArgument when there is none.
  Result<std::string> LakeName(const std::string& wanted) const;
  /// Of all tables.
  std::set<std::string> LakeNames() const;
  /// Source names ("schema.table") of the tables whose first copy is in the lake.
  std::set<std::string> Copied() const;
  /// The position of each table's newest copy, by lake name, of those that have one.
  std::map<std::string, SourcePosition> CopiedAt() const;

  std::map<std::string, RegisteredTable> tables;
};

}  // namespace tarn::catalog
