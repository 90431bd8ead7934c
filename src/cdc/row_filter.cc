#include "cdc/row_filter.h"

#include <algorithm>

#include "cdc/pg_connection.h"

namespace tarn::cdc {
namespace {

using Kind = FilterNode::Kind;

bool IsOrdering(Kind kind) {
  return kind == Kind::kLess || kind == Kind::kLessEqual || kind == Kind::kGreater ||
         kind == Kind::kGreaterEqual;
}

/// How a literal of the type is written.
const char* ExampleOf(FilterType type) {
  switch (type) {
    case FilterType::kBool:
      return "TRUE or FALSE";
    case FilterType::kInteger:
      return "a whole number of 64 bits, such as -5";
    case FilterType::kNumeric:
      return "a number, such as 12.50";
    case FilterType::kUuid:
      return "a UUID, such as '5d1f0f0e-8a3c-4c3b-9a55-0f6a2b1c9d10'";
    case FilterType::kDate:
      return "a date of the years 1 to 9999, such as '2026-11-20'";
    case FilterType::kTimestamp:
      return "a time of the years 1 to 9999, such as '2026-11-20 09:30:00'";
    case FilterType::kTimestamptz:
      return "a time with its offset, of the years 1 to 9999, such as '2026-11-20 09:30:00+01'";
    case FilterType::kText:
    case FilterType::kPaddedText:
      return "a text in single quotes";
  }
  return "";
}

bool IsWrittenAs(FilterType type, const FilterLiteral& literal) {
  using Literal = FilterLiteral::Kind;
  switch (type) {
    case FilterType::kBool:
      return literal.kind == Literal::kBool;
    case FilterType::kInteger:
    case FilterType::kNumeric:
      return literal.kind == Literal::kNumber;
    case FilterType::kDate:
    case FilterType::kTimestamp:
    case FilterType::kTimestamptz:
      // A fifth digit of the year has other forms on PostgreSQL's side.
      return literal.kind == Literal::kText && !literal.text.ends_with("BC") &&
             (literal.text.find('-') == 4 || literal.text.ends_with("infinity"));
    case FilterType::kUuid:
    case FilterType::kText:
    case FilterType::kPaddedText:
      return literal.kind == Literal::kText;
  }
  return false;
}

Status BindLiteral(const FilterNode& node, FilterLiteral& literal) {
  // PostgreSQL's from_chars has no plus.
  if (literal.kind == FilterLiteral::Kind::kNumber && literal.text[0] == '+') literal.text.erase(0, 1);
  const auto value =
      IsWrittenAs(node.type, literal) ? ParseFilterValue(node.type, literal.text) : std::nullopt;
  if (!value) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "character {}: '{}' is no value for column '{}', which takes {}", literal.at,
                     literal.text, node.column, ExampleOf(node.type));
  }
  literal.value = *value;
  return {};
}

FilterAnswer Not(FilterAnswer answer) {
  if (answer == FilterAnswer::kYes) return FilterAnswer::kNo;
  return answer == FilterAnswer::kNo ? FilterAnswer::kYes : answer;
}

/// AND, with `deciding` = kNo, or OR, with kYes: one such part decides; else the least known one.
FilterAnswer Join(const FilterNode& node, FilterAnswer deciding, const std::vector<WireValue>& row,
                  const std::vector<bool>* told) {
  FilterAnswer joined = Not(deciding);
  for (const FilterNode& part : node.parts) {
    const FilterAnswer answer = AskFilter(part, row, told);
    if (answer == deciding) return deciding;
    if (answer == FilterAnswer::kUntold || (answer == FilterAnswer::kNull && joined != FilterAnswer::kUntold))
      joined = answer;
  }
  return joined;
}

bool Fulfils(const FilterNode& node, const FilterValue& value) {
  const auto order = value <=> node.literals[0].value;
  switch (node.kind) {
    case Kind::kEqual:
      return order == 0;
    case Kind::kDifferent:
      return order != 0;
    case Kind::kLess:
      return order < 0;
    case Kind::kLessEqual:
      return order <= 0;
    case Kind::kGreater:
      return order > 0;
    case Kind::kGreaterEqual:
      return order >= 0;
    default:
      return std::any_of(node.literals.begin(), node.literals.end(),
                         [&](const FilterLiteral& literal) { return literal.value == value; });
  }
}

FilterAnswer AskCondition(const FilterNode& node, const std::vector<WireValue>& row,
                          const std::vector<bool>* told) {
  const bool untold = node.place >= row.size() || (told != nullptr && !(*told)[node.place]) ||
                      row[node.place].state == WireValue::State::kUnchanged;
  if (untold) return FilterAnswer::kUntold;
  const WireValue& wire = row[node.place];
  const bool is_null = wire.state == WireValue::State::kNull;
  if (node.kind == Kind::kIsNull) return is_null ? FilterAnswer::kYes : FilterAnswer::kNo;
  if (is_null) return FilterAnswer::kNull;
  const auto value = ParseFilterValue(node.type, wire.bytes);
  // A value that PostgreSQL would not send: a copy asks the server itself.
  if (!value) return FilterAnswer::kUntold;
  return Fulfils(node, *value) ? FilterAnswer::kYes : FilterAnswer::kNo;
}

std::string LiteralSql(const FilterNode& node, const FilterLiteral& literal) {
  return QuoteText(literal.text) + "::" + SqlTypeName(node.type);
}

std::string ConditionSql(const FilterNode& node) {
  const std::string column = QuoteName(node.column);
  if (node.kind == Kind::kIsNull) return "(" + column + " IS NULL)";
  const char* sign = node.kind == Kind::kDifferent      ? "<>"
                     : node.kind == Kind::kLess         ? "<"
                     : node.kind == Kind::kLessEqual    ? "<="
                     : node.kind == Kind::kGreater      ? ">"
                     : node.kind == Kind::kGreaterEqual ? ">="
                                                        : "=";
  std::string sql;
  for (const FilterLiteral& literal : node.literals) {
    if (!sql.empty()) sql += " OR ";
    sql += column + (IsText(node.type) ? " COLLATE \"C\" " : " ") + sign + " " + LiteralSql(node, literal);
  }
  return "(" + sql + ")";
}

}  // namespace

Status BindFilter(FilterNode& filter, const std::vector<FilterColumn>& columns) {
  for (FilterNode& part : filter.parts) TARN_RETURN_IF_ERROR(BindFilter(part, columns));
  if (filter.kind == Kind::kAnd || filter.kind == Kind::kOr || filter.kind == Kind::kNot) return {};
  const auto found = std::find_if(columns.begin(), columns.end(),
                                  [&](const FilterColumn& column) { return column.name == filter.column; });
  if (found == columns.end()) {
    std::vector<std::string> names;
    for (const FilterColumn& column : columns) names.push_back(column.name);
    return MakeError(ErrorCode::kInvalidArgument, "character {}: there is no column '{}'; the columns are {}",
                     filter.at, filter.column, fmt::join(names, ", "));
  }
  filter.place = static_cast<size_t>(found - columns.begin());
  const auto type = FilterTypeOf(found->type_oid);
  if (!type) {
    return MakeError(
        ErrorCode::kInvalidArgument,
        "character {}: rows cannot be filtered by a column of the type of '{}'; they can by whole "
        "numbers, numeric, boolean, uuid, date, timestamp, timestamptz, text, varchar and char(n)",
        filter.at, filter.column);
  }
  filter.type = *type;
  if (IsText(*type) && IsOrdering(filter.kind)) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "character {}: '{}' is text, which has another order on each server: only =, <> and IN",
                     filter.at, filter.column);
  }
  for (FilterLiteral& literal : filter.literals) TARN_RETURN_IF_ERROR(BindLiteral(filter, literal));
  return {};
}

std::string FilterSql(const FilterNode& filter) {
  if (filter.kind == Kind::kNot) return "(NOT " + FilterSql(filter.parts[0]) + ")";
  if (filter.kind != Kind::kAnd && filter.kind != Kind::kOr) return ConditionSql(filter);
  std::string sql;
  for (const FilterNode& part : filter.parts) {
    if (!sql.empty()) sql += filter.kind == Kind::kAnd ? " AND " : " OR ";
    sql += FilterSql(part);
  }
  return "(" + sql + ")";
}

FilterAnswer AskFilter(const FilterNode& filter, const std::vector<WireValue>& row,
                       const std::vector<bool>* told) {
  switch (filter.kind) {
    case Kind::kAnd:
      return Join(filter, FilterAnswer::kNo, row, told);
    case Kind::kOr:
      return Join(filter, FilterAnswer::kYes, row, told);
    case Kind::kNot:
      return Not(AskFilter(filter.parts[0], row, told));
    default:
      return AskCondition(filter, row, told);
  }
}

}  // namespace tarn::cdc
