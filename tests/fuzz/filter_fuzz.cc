#include <array>

#include "cdc/row_filter.h"
#include "values.h"

using namespace tarn::cdc;

namespace {

using Kind = FilterNode::Kind;

/// "a" to "p", of the types that rows can be filtered by and one that they cannot.
std::vector<FilterColumn> Columns() {
  constexpr std::array<uint32_t, 13> kTypes = {16,   21,   23, 20,   1700, 2950, 1082,
                                               1114, 1184, 25, 1043, 1042, 701};
  std::vector<FilterColumn> columns;
  for (const uint32_t type : kTypes)
    columns.push_back({std::string(1, static_cast<char>('a' + columns.size())), type});
  return columns;
}

void Require(bool is_so) {
  if (!is_so) __builtin_trap();
}

/// Of each condition: it has a column of the table, and values of its type.
void CheckBound(const FilterNode& node, const std::vector<FilterColumn>& columns) {
  const bool is_joined = node.kind == Kind::kAnd || node.kind == Kind::kOr || node.kind == Kind::kNot;
  Require(is_joined ? node.column.empty() && !node.parts.empty() : node.parts.empty());
  for (const FilterNode& part : node.parts) CheckBound(part, columns);
  if (is_joined) return;
  Require(node.place < columns.size() && columns[node.place].name == node.column);
  Require(node.literals.empty() == (node.kind == Kind::kIsNull));
  for (const FilterLiteral& literal : node.literals)
    Require(ParseFilterValue(node.type, literal.text) == literal.value);
}

FilterAnswer Opposite(FilterAnswer answer) {
  if (answer == FilterAnswer::kYes) return FilterAnswer::kNo;
  return answer == FilterAnswer::kNo ? FilterAnswer::kYes : answer;
}

}  // namespace

/// A filter of the configuration, then a row's values in their text form: messages as values.h has them, of
/// which one that begins with a zero byte is NULL.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<FilterColumn> columns = Columns();
  std::vector<std::string> texts;
  tarn::fuzz::ForEachMessage(data, size, [&](std::string_view message) { texts.emplace_back(message); });
  if (texts.empty()) return 0;
  auto filter = ParseFilter(texts[0]);
  if (!filter || !BindFilter(*filter, columns)) return 0;
  CheckBound(*filter, columns);
  Require(!FilterSql(*filter).empty());
  std::vector<WireValue> row(columns.size(), WireValue{WireValue::State::kUnchanged, {}});
  for (size_t i = 1; i < texts.size() && i <= row.size(); i++) {
    row[i - 1].state = texts[i].starts_with('\0') ? WireValue::State::kNull : WireValue::State::kText;
    if (row[i - 1].state == WireValue::State::kText) row[i - 1].bytes = texts[i];
  }
  const FilterAnswer answer = AskFilter(*filter, row);
  FilterNode negated;
  negated.kind = Kind::kNot;
  negated.parts.push_back(*filter);
  Require(AskFilter(negated, row) == Opposite(answer));
  // Who knows less of a row says the same of it, or that it is not told.
  for (size_t hidden = 0; hidden < columns.size(); hidden++) {
    std::vector<bool> told(columns.size(), true);
    told[hidden] = false;
    const FilterAnswer less = AskFilter(*filter, row, &told);
    Require(less == answer || less == FilterAnswer::kUntold);
  }
  return 0;
}
