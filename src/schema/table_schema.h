#pragma once

#include <arrow/type_fwd.h>

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "schema/pg_type.h"

namespace tarn::schema {

/// A source column.
struct Column {
  std::string name;       ///< As the source spells it.
  std::string lake_name;  ///< As the lake's tables spell it: a name that Avro can hold, unique without regard
                          ///< to case.
  uint32_t type_oid = 0;  ///< Of the base type, when the column's type is a domain.
  int32_t typmod = -1;
  PgType type;
  bool is_key = false;  ///< Part of the replica identity.
  int16_t attnum = 0;   ///< pg_attribute.attnum, which a rename keeps; 0 where nobody knows.
  /// Which secret its values are hashed with before they reach the lake; empty: the lake has them plain.
  std::string hashed_under = {};
  bool renamed = false;  ///< `lake_name` is what the configuration says.
  /// The source has no such column: the configuration adds it behind the source's, with this text in each
  /// row.
  std::optional<std::string> constant = {};

  /// From here on text: the hash of the value's text form.
  void HashUnder(std::string secret_id);
  bool operator==(const Column&) const = default;
};

/// A source table at one moment of its life.
struct TableSchema {
  uint32_t oid = 0;
  std::string schema_name;
  std::string table_name;
  std::string lake_name;  ///< Table name in Silver; unique.
  std::vector<Column>
      columns;  ///< In the table's order, without dropped and generated ones; then added ones.
  bool append_only =
      false;  ///< No usable replica identity: only inserts are followed; key is (_lsn, _ordinal).
  /// Tells the filters of rows that it was made with apart; empty: it has all rows.
  std::string filter_id = {};
  bool named = false;  ///< `lake_name` is what the configuration says, also in Bronze.
  /// Patterns of the source's columns that the configuration kept out when it was made.
  std::vector<std::string> kept_out = {};

  std::vector<std::string> KeyNames() const;  ///< lake_name of the key columns, in table order.
  std::string QualifiedName() const { return schema_name + "." + table_name; }
};

/// Columns that tarn adds to a change. The names are taken: a source column that has one is renamed with a
/// "_".
inline constexpr std::string_view kOp = "Op";
inline constexpr std::string_view kCommitTime = "_commit_ts";
inline constexpr std::string_view kLsn = "_lsn";
inline constexpr std::string_view kOrdinal = "_ordinal";
inline constexpr std::string_view kXid = "_xid";
inline constexpr std::string_view kUnchanged = "_unchanged";
inline constexpr std::string_view kOldKey = "_old_key";
inline constexpr std::string_view kBad = "_bad";

/// Where a change stands in the history of the source: its ordering value (_lsn), then its position in the
/// transaction (_ordinal).
struct ChangePosition {
  int64_t lsn = 0;
  int64_t ordinal = 0;
  auto operator<=>(const ChangePosition&) const = default;
};

/// Shape of a batch of changes, which is Bronze's too: Op (I, U or D) and _commit_ts ("yyyy-MM-dd
/// HH:mm:ss.ffffff", UTC), the source's columns under their lake names, then _lsn (ordering value, not null),
/// _ordinal (position in the transaction), _xid, _unchanged (comma-separated names of untouched TOAST
/// columns), _old_key (JSON object, where an update changed the key) and _bad (JSON object column -> {value,
/// reason}: values that the lake's type cannot hold).
std::shared_ptr<arrow::Schema> ChangeSchema(const TableSchema& table);
/// Number of columns of ChangeSchema before the source's.
inline constexpr int kLeadingColumns = 2;
/// Number behind them.
inline constexpr int kTrailingColumns = 6;

/// Gives columns and table lake names that Avro can hold ([A-Za-z_][A-Za-z0-9_]*), unique without regard to
/// case, not taken by tarn or Hudi: others have their odd characters replaced by "_", and a number added
/// where two would meet.
void AssignLakeNames(TableSchema& table);
/// Whether a column may have this name in the lake: Avro can hold it, and neither tarn nor Hudi uses it.
bool IsFreeLakeName(const std::string& name);
/// ASCII letters in lower case: names of the lake are unique so.
std::string LowerName(std::string name);
/// A column's name in the lake, but for the number that tells two apart.
std::string LakeColumnName(const std::string& name);
std::string LakeTableName(const std::string& schema_name, const std::string& table_name);

/// JSON for manifests and the catalog, and back.
std::string ToJson(const TableSchema& table);
Result<TableSchema> TableSchemaFromJson(const std::string& json);

}  // namespace tarn::schema
