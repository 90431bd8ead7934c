#include "cdc/source_catalog.h"

#include <algorithm>
#include <map>

namespace tarn::cdc {
namespace {

/// One row a column, in table order. The key is the replica identity's: the primary key ('d'), the named
/// index ('i'), or, with REPLICA IDENTITY FULL ('f'), the primary key where there is one.
constexpr const char* kColumnsSql = R"(
SELECT c.oid, n.nspname, c.relname, c.relreplident, c.relkind = 'p', greatest(c.reltuples, -1)::bigint,
       coalesce((SELECT sum(pg_relation_size(p.relid)) FROM pg_partition_tree(c.oid) p), pg_relation_size(c.oid))::bigint,
       (pg_relation_size(c.oid) / current_setting('block_size')::bigint)::bigint,
       a.attname, CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END,
       CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END,
       coalesce(a.attnum = ANY (i.indkey), false)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_index i ON i.indrelid = c.oid
  AND CASE c.relreplident WHEN 'i' THEN i.indisreplident WHEN 'n' THEN false ELSE i.indisprimary END
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
JOIN pg_type t ON t.oid = a.atttypid
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_toast%'
ORDER BY n.nspname, c.relname, a.attnum)";

int64_t Number(const std::optional<std::string>& text) { return text ? std::stoll(*text) : 0; }
bool IsTrue(const std::optional<std::string>& text) { return text && *text == "t"; }

bool Selected(const TablePatterns& patterns, const std::string& name) {
  const auto matches = [&](const std::string& pattern) { return MatchesPattern(pattern, name); };
  return std::any_of(patterns.include.begin(), patterns.include.end(), matches) &&
         std::none_of(patterns.exclude.begin(), patterns.exclude.end(), matches);
}

Status CheckPatterns(const TablePatterns& patterns, const std::vector<SourceTable>& tables) {
  for (const std::string& pattern : patterns.include) {
    if (pattern.find_first_of("*?") != std::string::npos) continue;
    const bool found = std::any_of(tables.begin(), tables.end(),
                                   [&](const SourceTable& t) { return t.schema.QualifiedName() == pattern; });
    if (!found) {
      return MakeError(
          ErrorCode::kInvalidArgument,
          "[tables] include names '{}', but the source has no such table (or a pattern excludes it)",
          pattern);
    }
  }
  return {};
}

}  // namespace

bool MatchesPattern(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*') {
    for (size_t i = 0; i <= text.size(); i++) {
      if (MatchesPattern(pattern.substr(1), text.substr(i))) return true;
    }
    return false;
  }
  return !text.empty() && (pattern[0] == '?' || pattern[0] == text[0]) &&
         MatchesPattern(pattern.substr(1), text.substr(1));
}

Result<std::vector<SourceTable>> LoadTables(PgConnection& connection, const TablePatterns& patterns) {
  TARN_ASSIGN(const Rows rows, connection.Query(kColumnsSql));
  std::vector<SourceTable> tables;
  for (const Row& row : rows) {
    if (!Selected(patterns, *row[1] + "." + *row[2])) continue;
    const auto oid = static_cast<uint32_t>(Number(row[0]));
    if (tables.empty() || tables.back().schema.oid != oid) {
      SourceTable table;
      table.schema.oid = oid;
      table.schema.schema_name = *row[1];
      table.schema.table_name = *row[2];
      table.replica_identity = (*row[3])[0];
      table.partitioned = IsTrue(row[4]);
      table.estimated_rows = Number(row[5]);
      table.size_bytes = Number(row[6]);
      table.pages = Number(row[7]);
      tables.push_back(std::move(table));
    }
    schema::Column column;
    column.name = *row[8];
    column.type_oid = static_cast<uint32_t>(Number(row[9]));
    column.typmod = static_cast<int32_t>(Number(row[10]));
    column.type = schema::MakePgType(column.type_oid, column.typmod);
    column.is_key = IsTrue(row[11]);
    tables.back().schema.columns.push_back(std::move(column));
  }
  std::map<std::string, std::string> taken;
  for (SourceTable& table : tables) {
    schema::AssignLakeNames(table.schema);
    table.schema.append_only = table.schema.KeyNames().empty();
    const auto [other, is_new] = taken.emplace(table.schema.lake_name, table.schema.QualifiedName());
    // Two names that differ in odd characters only: the object id keeps them apart.
    if (!is_new) table.schema.lake_name += "_" + std::to_string(table.schema.oid);
  }
  TARN_RETURN_IF_ERROR(CheckPatterns(patterns, tables));
  return tables;
}

Result<SourceIdentity> IdentifySource(PgConnection& connection) {
  TARN_ASSIGN(const Rows rows, connection.Query("IDENTIFY_SYSTEM"));
  if (rows.size() != 1 || !rows[0][0])
    return Error{ErrorCode::kInternal, "the source does not identify itself"};
  return SourceIdentity{*rows[0][0], static_cast<int32_t>(Number(rows[0][1]))};
}

}  // namespace tarn::cdc
