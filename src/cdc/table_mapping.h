#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cdc/row_filter.h"
#include "schema/table_schema.h"

namespace tarn::cdc {

class PgConnection;
struct SourceTable;
struct StreamRelation;
struct TablePatterns;

/// What a column that the configuration adds holds.
struct AddedColumn {
  enum class From { kText, kDatabase, kSchema, kTable } from = From::kText;
  std::string text = {};  ///< Of kText.
};

/// What the lake has of the tables that a pattern selects. Several that fit one table add up.
struct TableMapping {
  std::string tables;                           ///< "schema.table", with * and ?.
  std::vector<std::string> drop;                ///< Columns that never reach the lake; * and ? allowed.
  std::vector<std::string> hash;                ///< Columns of which only a hash reaches it; * and ? allowed.
  std::map<std::string, std::string> rename;    ///< Column to its name in the lake.
  std::optional<FilterNode> filter = {};        ///< Only rows that fulfil it reach the lake.
  std::map<std::string, AddedColumn> add = {};  ///< Columns behind the source's, by their names.
  std::string table_name = {};                  ///< Of the one table, in the lake; empty: as ever.
  std::string place = {};                       ///< Where it stands, as "file:line".
};

/// All mappings, with the secret that hashes are made with. Applied where rows come in, by copy and by
/// stream, so that what is dropped is in no file of the lake. Threads: any.
struct TableMappings {
  std::vector<TableMapping> list;
  std::string hash_secret;
  std::string database = {};  ///< The source's, for added columns.

  bool Drops(const std::string& table, const std::string& column) const;
  bool Hashes(const std::string& table, const std::string& column) const;
  /// Name in the lake; empty when the column is not renamed.
  std::string Renamed(const std::string& table, const std::string& column) const;
  /// Columns that are added to a table, by name, with the text in them.
  std::vector<std::pair<std::string, std::string>> Added(const std::string& schema,
                                                         const std::string& table) const;
  /// Tells hashes of two secrets apart; tells nothing of the secret.
  std::string SecretId() const;

  /// All filters of a table with these columns, joined; nullopt when it has none. Errors: kInvalidArgument as
  /// BindFilter's, with the place.
  Result<std::optional<FilterNode>> FilterFor(const std::string& table,
                                              const std::vector<FilterColumn>& columns) const;
  /// The same for the rows of the stream. `now` knows the base types of domains. The inner nullopt: its
  /// columns are not those that the filter is for.
  std::optional<std::optional<FilterNode>> FilterFor(const StreamRelation& relation,
                                                     const SourceTable* now) const;

  /// Makes a described table what the lake is to have of it: dropped columns go, with their numbers in
  /// `hidden`, hashed ones become text, `where` is its filter, added ones stand at the end, and it has its
  /// name. Errors: kInvalidArgument for a key column that is dropped, for a name that is taken or that Avro
  /// cannot hold, and for a filter that does not fit.
  Status Apply(SourceTable& table) const;
  /// The same for the stream's description. Gives the places, in the stream's rows, of the columns that stay.
  std::vector<size_t> Apply(StreamRelation& relation) const;

 private:
  Status ApplyFilter(SourceTable& table) const;
  Status ApplyAdded(schema::TableSchema& table) const;
};

/// Names without wildcards must be on the source: a misspelt one would let through what should not be.
/// Errors: kInvalidArgument names the mapping and the columns that there are.
Status CheckMappings(PgConnection& connection, const TablePatterns& patterns);

/// HMAC-SHA-256 of a value's text under the secret, in lower-case hexadecimal: equal values have equal
/// hashes, also across tables. Source: RFC 2104.
std::string HashedText(const std::string& secret, std::string_view text);

}  // namespace tarn::cdc
