#include "cdc/source_catalog.h"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

namespace tarn::cdc {
namespace {

/// Sizes as the file system has them: takes ACCESS SHARE on the tables.
constexpr const char* kMeasuredBytes =
    R"(coalesce((SELECT sum(pg_relation_size(p.relid)) FROM pg_partition_tree(c.oid) p), pg_relation_size(c.oid))::bigint)";
constexpr const char* kMeasuredPages =
    R"(CASE c.relkind WHEN 'p' THEN
         (SELECT CASE WHEN bool_and(k.relkind = 'r')
                 THEN string_agg((pg_relation_size(k.oid) / current_setting('block_size')::bigint)::text, ',') END
          FROM pg_partition_tree(c.oid) p JOIN pg_class k ON k.oid = p.relid WHERE p.isleaf)
       ELSE (pg_relation_size(c.oid) / current_setting('block_size')::bigint)::text END)";
/// Sizes as VACUUM and ANALYZE left them in the catalogue: waits for nobody.
constexpr const char* kNotedBytes = "(c.relpages * current_setting('block_size')::bigint)::bigint";
constexpr const char* kNotedPages = "CASE c.relkind WHEN 'r' THEN c.relpages::text END";

/// One row a column, in table order; sizes and storage, which take a look at each of a table's partitions, in
/// the first. The key is the replica identity's: the primary key ('d'), the named
/// index ('i'), or, with REPLICA IDENTITY FULL ('f'), the primary key where there is one. A domain stands as
/// the type at its bottom: it may be over another domain. Nothing in it takes
/// a lock on a table (pg_partition_tree would): the stream must never wait for one. All of it is as of one
/// snapshot, also the storage (pg_relation_filenode() tells the present): with the columns of before DDL and
/// the storage of behind it, the DDL would never be noticed.
constexpr const char* kColumnsSql = R"(
SELECT c.oid, n.nspname, c.relname, c.relreplident, c.relkind = 'p', greatest(c.reltuples, -1)::bigint,
       CASE WHEN {first} THEN {bytes} END, CASE WHEN {first} THEN {pages} END,
       a.attname, t.oid, t.typmod,
       coalesce(a.attnum = ANY (i.indkey), false), a.attnum, a.atthasmissing,
       CASE WHEN NOT {first} THEN NULL
       WHEN c.relkind = 'p' THEN
         (WITH RECURSIVE part(oid, since, command) AS (
            SELECT inhrelid, xmin, cmin FROM pg_inherits WHERE inhparent = c.oid AND NOT inhdetachpending
            UNION ALL SELECT h.inhrelid, h.xmin, h.cmin FROM pg_inherits h JOIN part ON h.inhparent = part.oid
            WHERE NOT h.inhdetachpending)
          SELECT coalesce(string_agg(k.oid || ':' || k.relfilenode || '@' || k.xmin, ',' ORDER BY k.oid)
                          FILTER (WHERE k.relkind = 'r'), '') || '/' ||
                 coalesce(string_agg('p' || k.oid || ':' || part.since ||
                                     CASE WHEN {made} THEN '' ELSE 'a' END, ',' ORDER BY k.oid), '')
          FROM part JOIN pg_class k ON k.oid = part.oid)
       ELSE c.oid || ':' || c.relfilenode END, a.xmin,
       CASE WHEN a.atttypid >= 16384 THEN {types} END, c.relnatts
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_index i ON i.indrelid = c.oid
  AND CASE c.relreplident WHEN 'i' THEN i.indisreplident WHEN 'n' THEN false ELSE i.indisprimary END
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
JOIN LATERAL (
  WITH RECURSIVE step(oid, typmod) AS (
    SELECT a.atttypid, a.atttypmod
    UNION ALL SELECT d.typbasetype, d.typtypmod FROM step JOIN pg_type d ON d.oid = step.oid AND d.typtype = 'd')
  SELECT step.oid, step.typmod FROM step JOIN pg_type base ON base.oid = step.oid AND base.typtype <> 'd') t ON true
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_toast%')";
/// What the text of a value depends on beside the value: ",toid:hash" of each label of an enum and of each
/// composite's fields, in the column's type or anywhere inside of it. ALTER TYPE changes these without a
/// change of any row.
constexpr const char* kTypeForms = R"((
  WITH RECURSIVE part(oid) AS (
    SELECT a.atttypid
    UNION SELECT inner_type.oid FROM part CROSS JOIN LATERAL (
      SELECT unnest(ARRAY[o.typelem, o.typbasetype]
        || ARRAY(SELECT r.rngsubtype FROM pg_range r WHERE o.typtype IN ('r', 'm') AND o.oid IN (r.rngtypid, r.rngmultitypid))
        || ARRAY(SELECT f.atttypid FROM pg_attribute f
                 WHERE f.attrelid = o.typrelid AND f.attnum > 0 AND NOT f.attisdropped))
      FROM pg_type o WHERE o.oid = part.oid LIMIT 10000) inner_type(oid)
    WHERE inner_type.oid >= 16384)
  SELECT string_agg(form, '' ORDER BY form) FROM part CROSS JOIN LATERAL (
    SELECT ',t' || e.oid || ':' || md5(e.enumlabel) FROM pg_enum e WHERE e.enumtypid = part.oid
    UNION ALL SELECT ',t' || o.oid || ':' || md5(ARRAY(
        SELECT f.attnum || ' ' || f.atttypid FROM pg_attribute f
        WHERE f.attrelid = o.typrelid AND f.attnum > 0 AND NOT f.attisdropped ORDER BY f.attnum)::text)
      FROM pg_type o WHERE o.oid = part.oid AND o.typtype = 'c' LIMIT 10000) forms(form)))";
/// Whether a partition was made as one. ATTACH writes all columns of the table in pg_attribute anew, also in
/// the transaction that made the table; CREATE TABLE ... PARTITION OF leaves them as it made them with the
/// columns that every table has (tableoid is -6), and a default's column as it made it with the default.
/// Source: PostgreSQL, MergeAttributesIntoExisting, AddNewAttributeTuples and StoreAttrDefault.
constexpr const char* kMadeAsPartition = R"(EXISTS (
  SELECT FROM pg_attribute own JOIN pg_attribute f ON f.attrelid = own.attrelid AND f.attnum > 0 AND NOT f.attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = f.attrelid AND d.adnum = f.attnum
  WHERE own.attrelid = part.oid AND own.attnum = -6 AND own.xmin = part.since AND f.xmin = own.xmin
    AND (f.cmin = own.cmin OR
         f.cmin = d.cmin AND d.xmin = f.xmin AND d.cmin::text::bigint <= part.command::text::bigint)))";
/// The row is its table's first.
constexpr const char* kFirst = "(row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum) = 1)";
constexpr const char* kColumnsOrder = " ORDER BY n.nspname, c.relname, a.attnum";

std::string ColumnsSql(Sizes sizes) {
  const bool measured = sizes == Sizes::kMeasured;
  std::string sql = kColumnsSql;
  for (const auto& [place, text] :
       {std::pair{std::string_view("{bytes}"), measured ? kMeasuredBytes : kNotedBytes},
        {"{pages}", measured ? kMeasuredPages : kNotedPages},
        {"{types}", kTypeForms},
        {"{made}", kMadeAsPartition},
        {"{first}", kFirst}}) {
    for (size_t at = 0; (at = sql.find(place, at)) != std::string::npos;) sql.replace(at, place.size(), text);
  }
  return sql;
}

int64_t Number(const std::optional<std::string>& text) { return text ? std::stoll(*text) : 0; }
std::vector<int64_t> Numbers(const std::optional<std::string>& list) {
  std::vector<int64_t> numbers;
  std::stringstream entries(list.value_or(""));
  for (std::string entry; std::getline(entries, entry, ',');) numbers.push_back(std::stoll(entry));
  return numbers;
}
bool IsTrue(const std::optional<std::string>& text) { return text && *text == "t"; }

/// Adds a row of kColumnsSql, which begins a table or goes on with the last one.
void AddColumn(std::vector<SourceTable>& tables, const Row& row) {
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
    table.pages = Numbers(row[7]);
    table.storage = row[14].value_or("");
    if (!table.partitioned) table.storage += "/";
    if (table.storage.back() != '/') table.storage += ",";
    table.storage += "n:" + row[17].value_or("0");
    tables.push_back(std::move(table));
  }
  schema::Column column;
  column.name = *row[8];
  column.type_oid = static_cast<uint32_t>(Number(row[9]));
  column.typmod = static_cast<int32_t>(Number(row[10]));
  column.type = schema::MakePgType(column.type_oid, column.typmod);
  column.is_key = IsTrue(row[11]);
  column.attnum = static_cast<int16_t>(Number(row[12]));
  tables.back().storage += "," + *row[12] + ":" + *row[15] + row[16].value_or("");
  if (IsTrue(row[13])) tables.back().filled.push_back(column.name);
  tables.back().schema.columns.push_back(std::move(column));
}

Status FinishTable(SourceTable& table, const TableMappings& mappings) {
  schema::AssignLakeNames(table.schema);
  // A partition that somebody attaches has an identity of its own: published, its updates could fail.
  const bool old_rows_are_whole = table.replica_identity == 'f' && !table.partitioned;
  table.schema.append_only = table.schema.KeyNames().empty() && !old_rows_are_whole;
  table.from = QuoteName(table.schema.schema_name) + "." + QuoteName(table.schema.table_name);
  return mappings.Apply(table);
}

/// A name that the configuration gives is no other table's, neither in SQL nor as a folder of Bronze.
Status CheckGivenNames(const std::vector<SourceTable>& tables) {
  for (const SourceTable& named : tables) {
    if (!named.schema.named) continue;
    for (const SourceTable& other : tables) {
      if (other.schema.oid != named.schema.oid && NamesMeet(named.schema, other.schema))
        return GivenNameTaken(named.schema, other.schema);
    }
  }
  return {};
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

bool IsKeyless(const schema::TableSchema& table) { return !table.append_only && table.KeyNames().empty(); }

bool NamesMeet(const schema::TableSchema& named, const schema::TableSchema& other) {
  return other.lake_name == named.lake_name ||
         (other.schema_name == named.schema_name && other.table_name == named.lake_name);
}

Error GivenNameTaken(const schema::TableSchema& named, const schema::TableSchema& other) {
  return MakeError(
      ErrorCode::kInvalidArgument,
      "[[mapping]] gives {} the name '{}', which is that of {} in the lake (or its folder in Bronze): "
      "choose another table_name",
      named.QualifiedName(), named.lake_name, other.QualifiedName());
}

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

bool IsSelected(const TablePatterns& patterns, const std::string& name) {
  const auto matches = [&](const std::string& pattern) { return MatchesPattern(pattern, name); };
  return std::any_of(patterns.include.begin(), patterns.include.end(), matches) &&
         std::none_of(patterns.exclude.begin(), patterns.exclude.end(), matches);
}

Result<std::vector<SourceTable>> LoadTables(PgConnection& connection, const TablePatterns& patterns,
                                            Sizes sizes) {
  TARN_ASSIGN(const Rows rows, connection.Query(ColumnsSql(sizes) + kColumnsOrder));
  std::vector<SourceTable> tables;
  for (const Row& row : rows) {
    if (IsSelected(patterns, *row[1] + "." + *row[2])) AddColumn(tables, row);
  }
  for (SourceTable& table : tables) TARN_RETURN_IF_ERROR(FinishTable(table, patterns.mappings));
  TARN_RETURN_IF_ERROR(CheckGivenNames(tables));
  std::set<std::string> taken;
  for (SourceTable& table : tables) {
    // Two names that differ in odd characters only: the object id keeps them apart.
    if (!taken.insert(table.schema.lake_name).second)
      table.schema.lake_name += "_" + std::to_string(table.schema.oid);
  }
  TARN_RETURN_IF_ERROR(CheckPatterns(patterns, tables));
  return tables;
}

Status Measure(PgConnection& connection, SourceTable& table) {
  TARN_ASSIGN(const Rows rows,
              connection.Query(fmt::format("SELECT {}, {} FROM pg_class c WHERE c.oid = {}", kMeasuredBytes,
                                           kMeasuredPages, table.schema.oid)));
  if (rows.empty()) return {};
  table.size_bytes = Number(rows[0][0]);
  table.pages = Numbers(rows[0][1]);
  return {};
}

Result<std::optional<SourceTable>> DescribeTable(PgConnection& connection, uint32_t oid,
                                                 const TableMappings& mappings) {
  TARN_ASSIGN(const Rows rows, connection.Query(fmt::format("{} AND c.oid = {}{}", ColumnsSql(Sizes::kNoted),
                                                            oid, kColumnsOrder)));
  std::vector<SourceTable> tables;
  for (const Row& row : rows) AddColumn(tables, row);
  if (tables.empty()) return std::optional<SourceTable>();
  TARN_RETURN_IF_ERROR(FinishTable(tables[0], mappings));
  return std::optional(std::move(tables[0]));
}

Status CheckVersion(const PgConnection& connection) {
  const int version = connection.server_version();
  if (version >= 140'000) return {};
  return MakeError(ErrorCode::kUnsupported, "the source is PostgreSQL {}: tarn needs PostgreSQL 14 or later",
                   version / 10'000);
}

Result<SourceIdentity> IdentifySource(PgConnection& connection) {
  TARN_ASSIGN(const Rows rows, connection.Query("IDENTIFY_SYSTEM"));
  if (rows.size() != 1 || !rows[0][0])
    return Error{ErrorCode::kInternal, "the source does not identify itself"};
  return SourceIdentity{*rows[0][0], static_cast<int32_t>(Number(rows[0][1]))};
}

}  // namespace tarn::cdc
