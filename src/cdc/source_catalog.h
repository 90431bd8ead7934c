#pragma once

#include <string>
#include <vector>

#include "base/lsn.h"
#include "cdc/pg_connection.h"
#include "schema/table_schema.h"

namespace tarn::cdc {

/// Which tables to follow: "schema.table" patterns with * and ?; exclude wins.
struct TablePatterns {
  std::vector<std::string> include{"public.*"};
  std::vector<std::string> exclude;
};

/// A source table with what the catalogue estimates.
struct SourceTable {
  schema::TableSchema schema;
  int64_t estimated_rows = 0;  ///< -1: never analysed.
  int64_t pages = 0;
  int64_t size_bytes = 0;
  char replica_identity = 'd';
  bool partitioned = false;
};

/// Ordinary and partitioned tables that the patterns select, by name; partitions come through their root.
/// Errors: kInvalidArgument names an include pattern without wildcards that selects nothing.
Result<std::vector<SourceTable>> LoadTables(PgConnection& connection, const TablePatterns& patterns);

/// Identity of the server's write-ahead log: it changes when the server is restored or failed over.
struct SourceIdentity {
  std::string system_identifier;
  int32_t timeline = 0;
};
/// `connection` is a replication connection.
Result<SourceIdentity> IdentifySource(PgConnection& connection);

bool MatchesPattern(std::string_view pattern, std::string_view text);

}  // namespace tarn::cdc
