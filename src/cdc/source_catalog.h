#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/lsn.h"
#include "cdc/pg_connection.h"
#include "cdc/table_mapping.h"
#include "schema/table_schema.h"

namespace tarn::cdc {

/// Which tables to follow, and what of them: "schema.table" patterns with * and ?; exclude wins.
struct TablePatterns {
  std::vector<std::string> include{"public.*"};
  std::vector<std::string> exclude;
  TableMappings mappings;
};

/// A source table with what the catalogue estimates.
struct SourceTable {
  schema::TableSchema schema;  ///< With the mappings applied.
  std::string from;            ///< "schema"."table" as the source's SQL names it, whatever the lake calls it.
  int64_t estimated_rows = 0;  ///< -1: never analysed.
  /// Of each relation that holds its rows: one of a plain table, the leaves of a partitioned one. Empty: they
  /// are not known, or it cannot be read by pages (a partition is a foreign table).
  std::vector<int64_t> pages;
  int64_t size_bytes = 0;
  char replica_identity = 'd';
  bool partitioned = false;
  /// Where its rows are and what its columns are by: "oid:filenode" of each relation that holds rows (of a
  /// partition "oid:filenode@xmin", the transaction that wrote its row of pg_class), then "/", then
  /// "poid:xmin" of its partitions in pg_inherits (with an "a" behind it where it was attached, or nobody can
  /// tell), "n:count" of its attributes (also dropped and generated ones), "attnum:xmin" of its columns in
  /// pg_attribute and "toid:hash" of what their own types' texts are made of, with "," between. Another
  /// filenode is another storage (TRUNCATE, VACUUM FULL, a rewriting ALTER TABLE); with another xmin, one
  /// whose rows may have come without messages.
  std::string storage;
  std::vector<int16_t> hidden;  ///< attnum of columns that a mapping keeps out of the lake.
  std::string
      where;  ///< SQL of the mappings' filter, in parentheses: the rows that the lake has. Empty: all.
  /// pg_type.oid of its columns, domains resolved, also of those that a mapping keeps out. Empty without
  /// mappings.
  std::map<std::string, uint32_t> base_types;
  /// Columns (source names) that rows from before the column have a value in, though no message told so: ADD
  /// COLUMN with a constant default. Source: pg_attribute.atthasmissing.
  std::vector<std::string> filled;
};

/// Whether the table has no key, and changes tell old rows whole (REPLICA IDENTITY FULL), so that its rows
/// are told apart by all their values. Its updates come as a deleted row and an inserted one.
bool IsKeyless(const schema::TableSchema& table);

/// True when a relation of `before` has another storage in `now`, or is gone from it. Both as
/// SourceTable::storage; nothing is known of an empty one.
bool StorageReplaced(const std::string& before, const std::string& now);
/// Why partitions of `now` bring rows, or lack rows, that no message told of; empty: they do not, as those
/// that were made as partitions, empty. TRUNCATE of the root is told, that of a partition by its own name is
/// not, nor can it be told from VACUUM FULL: both give it another storage. Source: PostgreSQL documentation,
/// CREATE PUBLICATION, publish_via_partition_root.
std::string WhyOtherPartitions(const std::string& before, const std::string& now);
/// Whether all partitions were given another storage by one transaction. If the stream told no TRUNCATE of
/// the root, it truncated (or rewrote) each of them by its own name.
bool NeedsTruncate(const std::string& before, const std::string& now);
/// Whether rows of `before` are where they were, of columns that were not touched; partitions may have come
/// that were made empty.
bool RowsKeptPlaces(const std::string& before, const std::string& now);
/// Whether the table had an attribute of this number that was no column of the stream: one with a greater
/// number than all of them was added since, and one that it had as a column is none that the stream saw
/// dropped. False where nobody noted how many there were.
bool WasGenerated(const std::string& storage, int16_t attnum);
/// True when DDL touched a column that both know.
bool ColumnsTouched(const std::string& before, const std::string& now);
/// True when an enum's label was renamed, or a composite has other fields: rows of before have another text.
bool TypesReformed(const std::string& before, const std::string& now);

/// Ordinary and partitioned tables that the patterns select, by name; partitions come through their root.
/// Errors: kInvalidArgument names an include pattern without wildcards that selects nothing, and a mapping
/// that cannot be.
/// Only kMeasured sizes wait for locks on the tables; kNoted are as old as the last VACUUM.
enum class Sizes { kMeasured, kNoted };
Result<std::vector<SourceTable>> LoadTables(PgConnection& connection, const TablePatterns& patterns,
                                            Sizes sizes = Sizes::kMeasured);

/// Gives the table the size and the pages that it has now. Waits for locks on it.
Status Measure(PgConnection& connection, SourceTable& table);

/// One table, by its object id, with noted sizes: waits for no lock. nullopt when there is none any more (or
/// it became a partition).
Result<std::optional<SourceTable>> DescribeTable(PgConnection& connection, uint32_t oid,
                                                 const TableMappings& mappings);

/// kUnsupported for a server below PostgreSQL 14, whose pgoutput has no protocol 2.
Status CheckVersion(const PgConnection& connection);

/// Identity of the server's write-ahead log: it changes when the server is restored or failed over.
struct SourceIdentity {
  std::string system_identifier;
  int32_t timeline = 0;
};
/// `connection` is a replication connection.
Result<SourceIdentity> IdentifySource(PgConnection& connection);

/// True when the name that the configuration gives a table is `other`'s already, in SQL or as a folder.
bool NamesMeet(const schema::TableSchema& named, const schema::TableSchema& other);
Error GivenNameTaken(const schema::TableSchema& named, const schema::TableSchema& other);

bool MatchesPattern(std::string_view pattern, std::string_view text);
/// Whether a table of this "schema.table" is to be followed.
bool IsSelected(const TablePatterns& patterns, const std::string& name);

}  // namespace tarn::cdc
