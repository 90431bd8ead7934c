#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cdc/change_builder.h"
#include "cdc/filter_value.h"

namespace tarn::cdc {

/// A literal of a filter as it was written, and as it compares once the column's type is known.
struct FilterLiteral {
  enum class Kind { kNumber, kText, kBool } kind = Kind::kNumber;
  std::string text;  ///< Without quotes; of a boolean "t" or "f".
  size_t at = 0;     ///< Its first character in the filter's text, from 1.
  FilterValue value = {};
};

/// A condition on the rows of one table. Grammar, in PostgreSQL's precedence: OR, AND, NOT, parentheses over
/// `column = <> < <= > >= literal`, `column [NOT] IN (literal, ...)`, `column IS [NOT] NULL`. Names and
/// keywords are as in SQL: "Name" in double quotes, others in lower case.
struct FilterNode {
  enum class Kind {
    kAnd,
    kOr,
    kNot,
    kEqual,
    kDifferent,
    kLess,
    kLessEqual,
    kGreater,
    kGreaterEqual,
    kIn,
    kIsNull
  };
  Kind kind = Kind::kAnd;
  std::vector<FilterNode> parts = {};        ///< Of AND, OR and NOT.
  std::string column = {};                   ///< Of the others.
  size_t at = 0;                             ///< Where the column stands in the filter's text, from 1.
  std::vector<FilterLiteral> literals = {};  ///< Several of IN only.
  // Known once it is bound.
  size_t place = 0;  ///< Of the column in the table's rows.
  FilterType type = FilterType::kText;
};

/// Errors: kInvalidArgument says at which character what was expected.
Result<FilterNode> ParseFilter(std::string_view text);

/// A column that a filter may name, in the order of the table's rows.
struct FilterColumn {
  std::string name;
  uint32_t type_oid = 0;  ///< Of the base type, when the column's is a domain.
};

/// Finds the columns and gives the literals their types. Errors: kInvalidArgument for a column that there is
/// none of, or whose type is none of FilterType, and for a literal that is no value of the type.
Status BindFilter(FilterNode& filter, const std::vector<FilterColumn>& columns);

/// A bound filter in PostgreSQL's SQL, with the search path pg_catalog: the same rows fulfil it there.
std::string FilterSql(const FilterNode& filter);

/// What a filter says of a row: SQL's three values, and that it cannot be told without a value that is not
/// known.
enum class FilterAnswer : uint8_t { kNo, kNull, kYes, kUntold };

/// `row` in text form, as the stream sends it. Untold are untouched TOAST values, and of columns that are not
/// in `told` (null: all are).
FilterAnswer AskFilter(const FilterNode& filter, const std::vector<WireValue>& row,
                       const std::vector<bool>* told = nullptr);

}  // namespace tarn::cdc
