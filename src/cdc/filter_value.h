#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tarn::cdc {

/// What a column must be to filter rows by it: tarn tells its values apart, and orders them, as PostgreSQL
/// does. Text is compared byte by byte whatever the column's collation.
enum class FilterType {
  kBool,
  kInteger,
  kNumeric,
  kUuid,
  kDate,
  kTimestamp,
  kTimestamptz,
  kText,
  kPaddedText,  ///< char(n): blanks at the end do not count.
};

/// Of the base type, when the column's is a domain. nullopt: rows cannot be filtered by such a column.
std::optional<FilterType> FilterTypeOf(uint32_t type_oid);
/// As a cast names it in SQL.
const char* SqlTypeName(FilterType type);
inline bool IsText(FilterType type) { return type == FilterType::kText || type == FilterType::kPaddedText; }

/// A value in a form that compares as PostgreSQL compares such values; of one type only.
struct FilterValue {
  int rank = 0;  ///< Apart from the rest: infinities, NaN, the sign of a numeric.
  int64_t number = 0;
  std::string text;
  auto operator<=>(const FilterValue&) const = default;
};

/// From PostgreSQL's text form (ISO dates; a time zone as an offset). nullopt: it is none, or beyond 64 bits.
std::optional<FilterValue> ParseFilterValue(FilterType type, std::string_view text);

}  // namespace tarn::cdc
