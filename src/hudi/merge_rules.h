#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace tarn::hudi {

/// How a table's properties have rows of one key merged. Source: hudi-format, section 6.3.
struct MergeRules {
  enum class Winner {
    kOrdering,        ///< The greater ordering value, of equals the later.
    kOrderingInLogs,  ///< The same among log rows; any of them wins over the base file's row.
    kArrival,         ///< The later.
  };
  /// Where a winning row takes a column from the row that it replaces.
  enum class Fill {
    kNever,
    kWhereNull,
    kWhereNullOfBase,  ///< From the base file's row alone.
    kWhereMarked,      ///< Where text or bytes are `unavailable`.
  };
  /// How ordering values compare.
  enum class Ranks {
    kIntegers,  ///< int32, int64, dates, timestamps: as they are.
    kFloats,    ///< float, double: by a number of the same order.
    kTexts,     ///< All else, and several columns: by bytes of the same order.
  };
  std::vector<std::string> ordering_fields = {};
  Winner winner = Winner::kOrdering;
  Fill fill = Fill::kNever;
  std::string unavailable = {};
  /// A row whose column `delete_field` is `delete_marker` deletes, and so does one whose _hoodie_is_deleted
  /// is true.
  std::string delete_field = {}, delete_marker = {};
  /// Columns that make the key of rows without _hoodie_record_key; empty: rows have it.
  std::vector<std::string> key_fields = {};
  Ranks ranks = Ranks::kIntegers;
  /// Whether the _hoodie_ columns of combined rows are those of the row that came last, whichever won.
  bool meta_of_latest = false;
  bool widens_floats_by_text = false;  ///< See FloatWidening; tarn's own tables keep the number.
};

/// What tarn's own tables do.
inline MergeRules OrderedBy(const std::string& field) { return {.ordering_fields = {field}}; }
/// Rules of a table with these properties (hoodie.properties). Errors: kUnsupported names the payload class
/// or merge mode that is not known, and what to do.
Result<MergeRules> MergeRulesOf(const std::map<std::string, std::string>& properties);
/// What the types of the ordering columns make of their values.
MergeRules::Ranks RanksOf(const arrow::Schema& schema, const std::vector<std::string>& ordering_fields);

/// A floating-point number as an integer of the same order; NaN is above all.
int64_t RankOf(double value);
/// Bytes of the same order as the values of a row's ordering columns, one Append a column.
class TextRank {
 public:
  void AppendNull() { bytes_ += '\0'; }
  void AppendNumber(int64_t value);
  void AppendText(std::string_view value);
  /// Two's complement, big-endian, of a decimal of scale 15: what delete records have.
  void AppendDecimal(std::string_view value);
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

/// Ranks of rows: numbers, or with Ranks::kTexts texts.
std::vector<int64_t> OrderingsOf(const arrow::RecordBatch& rows, const MergeRules& rules);
Result<std::vector<std::string>> OrderingTextsOf(const arrow::RecordBatch& rows, const MergeRules& rules);

/// Whether each row deletes its key; empty when none does.
std::vector<bool> DeletingRows(const arrow::RecordBatch& rows, const MergeRules& rules);
/// Keys of rows: _hoodie_record_key, or what the key generators make of rules.key_fields. Errors:
/// kUnsupported names the column that is not there.
Result<std::vector<std::string>> KeysOf(const arrow::RecordBatch& rows, const MergeRules& rules);
/// Columns that these functions look at.
std::vector<std::string> RuleColumns(const MergeRules& rules);

}  // namespace tarn::hudi
