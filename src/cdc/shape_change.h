#pragma once

#include <optional>
#include <string>

#include "cdc/pgoutput_decoder.h"
#include "cdc/source_catalog.h"
#include "schema/table_schema.h"

namespace tarn::cdc {

/// A table after a change of its shape.
struct ShapeChange {
  schema::TableSchema table;
  /// Why rows that came earlier may not be as the source has them now, so that the table must be copied
  /// again: DDL that fills or changes rows tells nobody. Empty when they are.
  std::string copy_again;
};

/// What the lake knows of a table that it follows.
struct FollowedTable {
  schema::TableSchema schema;
  Lsn start;            ///< Position of its copy; changes of commits at or below are inside.
  std::string storage;  ///< As SourceTable::storage, when it was copied.
};

/// The table as the stream describes it from here on. `known` is what it was (null: never seen): columns keep
/// their lake names, also through a rename, and the table keeps its names. `now` is what the source's
/// catalogue says at present, which knows attribute numbers, domains' base types and what DDL filled; it may
/// be ahead of the stream, and where the two differ nothing is taken for granted. Source: PostgreSQL
/// documentation, "Logical Replication Message Formats" (Relation), and pg_attribute.
ShapeChange FollowShape(const StreamRelation& relation, const FollowedTable* known,
                        const std::optional<SourceTable>& now);

/// Why a table must be copied again though its columns are the same: DDL rewrote it, or brought or took
/// partitions with rows. Empty when it need not.
std::string WhyRewritten(const FollowedTable& known, const SourceTable& now);

/// The same as FollowShape for a table as the catalogue describes it, without a message of the stream.
ShapeChange FollowShape(const SourceTable& now, const FollowedTable& known);

/// True when the catalogue may be behind the stream: the server sends a transaction before it shows it to
/// others. Source: PostgreSQL, RecordTransactionCommit and ProcArrayEndTransaction.
bool IsBehind(const std::optional<SourceTable>& now, const StreamRelation& relation,
              const FollowedTable* known);

/// True when the relation has the columns that `known` has, so that nothing changed.
bool SameShape(const StreamRelation& relation, const schema::TableSchema& known);

}  // namespace tarn::cdc
