#include "cdc/table_mapping.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <set>

#include "cdc/pgoutput_decoder.h"
#include "cdc/source_catalog.h"

namespace tarn::cdc {
namespace {

/// Of SecretId: enough to tell secrets apart.
constexpr size_t kIdDigits = 12;

bool AnyMatches(const std::vector<std::string>& patterns, const std::string& name) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return MatchesPattern(pattern, name); });
}

bool HasWildcard(const std::string& pattern) { return pattern.find_first_of("*?") != std::string::npos; }

Status CheckColumn(const TableMapping& mapping, const char* key, const std::string& name,
                   const std::vector<const schema::TableSchema*>& tables) {
  if (HasWildcard(name)) return {};
  std::set<std::string> columns;
  for (const schema::TableSchema* table : tables) {
    for (const schema::Column& column : table->columns) columns.insert(column.name);
  }
  if (columns.contains(name)) return {};
  return MakeError(ErrorCode::kInvalidArgument,
                   "[[mapping]] of '{}' has {} '{}', but no such column is there; the columns are {}",
                   mapping.tables, key, name, fmt::join(columns, ", "));
}

}  // namespace

bool TableMappings::Drops(const std::string& table, const std::string& column) const {
  return std::any_of(list.begin(), list.end(), [&](const TableMapping& mapping) {
    return MatchesPattern(mapping.tables, table) && AnyMatches(mapping.drop, column);
  });
}

bool TableMappings::Hashes(const std::string& table, const std::string& column) const {
  return std::any_of(list.begin(), list.end(), [&](const TableMapping& mapping) {
    return MatchesPattern(mapping.tables, table) && AnyMatches(mapping.hash, column);
  });
}

std::string TableMappings::Renamed(const std::string& table, const std::string& column) const {
  for (const TableMapping& mapping : list) {
    const auto found = mapping.rename.find(column);
    if (found != mapping.rename.end() && MatchesPattern(mapping.tables, table)) return found->second;
  }
  return {};
}

std::vector<std::pair<std::string, std::string>> TableMappings::Added(const std::string& schema,
                                                                      const std::string& table) const {
  std::vector<std::pair<std::string, std::string>> added;
  for (const TableMapping& mapping : list) {
    if (!MatchesPattern(mapping.tables, schema + "." + table)) continue;
    for (const auto& [name, column] : mapping.add) {
      const std::string text = column.from == AddedColumn::From::kText       ? column.text
                               : column.from == AddedColumn::From::kDatabase ? database
                               : column.from == AddedColumn::From::kSchema   ? schema
                                                                             : table;
      added.emplace_back(name, text);
    }
  }
  return added;
}

std::string TableMappings::SecretId() const { return HashedText(hash_secret, "tarn").substr(0, kIdDigits); }

Result<std::optional<FilterNode>> TableMappings::FilterFor(const std::string& table,
                                                           const std::vector<FilterColumn>& columns) const {
  std::optional<FilterNode> all;
  for (const TableMapping& mapping : list) {
    if (!mapping.filter || !MatchesPattern(mapping.tables, table)) continue;
    FilterNode filter = *mapping.filter;
    Status bound = BindFilter(filter, columns);
    if (!bound) return std::move(bound).error().In(fmt::format("{}: filter of {}", mapping.place, table));
    if (!all) all.emplace();
    all->parts.push_back(std::move(filter));
  }
  return all;
}

std::optional<std::optional<FilterNode>> TableMappings::FilterFor(const StreamRelation& relation,
                                                                  const SourceTable* now) const {
  std::vector<FilterColumn> columns;
  for (const StreamRelation::Column& column : relation.columns) {
    columns.push_back({column.name, column.type_oid});
    if (now == nullptr || schema::IsBuiltIn(column.type_oid)) continue;
    const auto base = now->base_types.find(column.name);
    if (base != now->base_types.end()) columns.back().type_oid = base->second;
  }
  auto filter = FilterFor(relation.schema_name + "." + relation.table_name, columns);
  if (!filter) return std::optional<FilterNode>();
  if (!*filter) return std::nullopt;
  return std::move(*filter);
}

Status TableMappings::ApplyFilter(SourceTable& source) const {
  std::vector<FilterColumn> columns;
  for (const schema::Column& column : source.schema.columns) {
    columns.push_back({column.name, column.type_oid});
    source.base_types[column.name] = column.type_oid;
  }
  TARN_ASSIGN(const auto filter, FilterFor(source.schema.QualifiedName(), columns));
  if (!filter) return {};
  source.where = FilterSql(*filter);
  // What it says may be nobody's to know who may read the lake's files.
  source.schema.filter_id = HashedText("tarn filter", source.where).substr(0, kIdDigits);
  return {};
}

Status TableMappings::ApplyAdded(schema::TableSchema& table) const {
  for (const auto& [name, text] : Added(table.schema_name, table.table_name)) {
    const std::string lower = schema::LowerName(name);
    const bool taken =
        std::any_of(table.columns.begin(), table.columns.end(), [&](const schema::Column& column) {
          return schema::LowerName(column.lake_name) == lower || schema::LowerName(column.name) == lower;
        });
    if (taken || !schema::IsFreeLakeName(name)) {
      return MakeError(
          ErrorCode::kInvalidArgument,
          "[[mapping]] of {} cannot add '{}': the name is taken, by another column or by tarn, or "
          "is none that Avro can hold (letters, digits and _)",
          table.QualifiedName(), name);
    }
    schema::Column column;
    column.name = column.lake_name = name;
    column.type_oid = schema::kTextOid;
    column.type = schema::MakePgType(column.type_oid, column.typmod);
    column.renamed = true;
    column.constant = text;
    table.columns.push_back(std::move(column));
  }
  return {};
}

Status TableMappings::Apply(SourceTable& source) const {
  if (list.empty()) return {};
  TARN_RETURN_IF_ERROR(ApplyFilter(source));
  schema::TableSchema& table = source.schema;
  const std::string name = table.QualifiedName();
  for (const TableMapping& mapping : list) {
    if (MatchesPattern(mapping.tables, name))
      table.kept_out.insert(table.kept_out.end(), mapping.drop.begin(), mapping.drop.end());
  }
  std::set<std::string> taken;
  std::vector<schema::Column> kept;
  for (schema::Column& column : table.columns) {
    if (!Drops(name, column.name)) {
      kept.push_back(std::move(column));
      continue;
    }
    if (column.is_key) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "[[mapping]] drops '{}' of {}, which is part of its key: hash it instead", column.name,
                       name);
    }
    source.hidden.push_back(column.attnum);
  }
  table.columns = std::move(kept);
  schema::AssignLakeNames(table);
  for (schema::Column& column : table.columns) {
    if (Hashes(name, column.name)) column.HashUnder(SecretId());
    const std::string renamed = Renamed(name, column.name);
    if (!renamed.empty()) column.lake_name = renamed;
    column.renamed = !renamed.empty();
    const bool usable = renamed.empty() || schema::IsFreeLakeName(renamed);
    if (!usable || !taken.insert(schema::LowerName(column.lake_name)).second) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "[[mapping]] of {} cannot rename to '{}': the name is taken, by another column or by "
                       "tarn, or is none that Avro can hold (letters, digits and _)",
                       name, column.lake_name);
    }
  }
  for (const TableMapping& mapping : list) {
    if (mapping.table_name.empty() || mapping.tables != name) continue;
    table.lake_name = mapping.table_name;
    table.named = true;
  }
  return ApplyAdded(table);
}

std::vector<size_t> TableMappings::Apply(StreamRelation& relation) const {
  const std::string name = relation.schema_name + "." + relation.table_name;
  std::vector<size_t> places;
  std::vector<StreamRelation::Column> kept;
  for (size_t i = 0; i < relation.columns.size(); i++) {
    StreamRelation::Column& column = relation.columns[i];
    if (Drops(name, column.name)) continue;
    if (Hashes(name, column.name)) column.hashed_under = SecretId();
    column.renamed = Renamed(name, column.name);
    places.push_back(i);
    kept.push_back(std::move(column));
  }
  relation.columns = std::move(kept);
  for (const auto& [added, text] : Added(relation.schema_name, relation.table_name)) {
    StreamRelation::Column column{added, schema::kTextOid};
    column.renamed = added;
    column.constant = text;
    relation.columns.push_back(std::move(column));
  }
  return places;
}

Status CheckMappings(PgConnection& connection, const TablePatterns& patterns) {
  if (patterns.mappings.list.empty()) return {};
  TablePatterns plain = patterns;
  plain.mappings = {};
  TARN_ASSIGN(const auto tables, LoadTables(connection, plain, Sizes::kNoted));
  for (const TableMapping& mapping : patterns.mappings.list) {
    std::vector<const schema::TableSchema*> fitting;
    for (const SourceTable& table : tables) {
      if (MatchesPattern(mapping.tables, table.schema.QualifiedName())) fitting.push_back(&table.schema);
    }
    if (fitting.empty()) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "[[mapping]] is for the tables '{}', but none that is followed has such a name",
                       mapping.tables);
    }
    for (const std::string& name : mapping.drop)
      TARN_RETURN_IF_ERROR(CheckColumn(mapping, "drop", name, fitting));
    for (const std::string& name : mapping.hash)
      TARN_RETURN_IF_ERROR(CheckColumn(mapping, "hash", name, fitting));
    for (const auto& [name, lake_name] : mapping.rename)
      TARN_RETURN_IF_ERROR(CheckColumn(mapping, "rename", name, fitting));
  }
  return {};
}

std::string HashedText(const std::string& secret, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(), &length);
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (unsigned int i = 0; i < length; i++) {
    out += kHex[digest[i] >> 4];
    out += kHex[digest[i] & 15];
  }
  return out;
}

}  // namespace tarn::cdc
