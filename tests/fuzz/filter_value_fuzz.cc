#include <array>

#include "cdc/filter_value.h"
#include "values.h"

using tarn::cdc::FilterType;
using tarn::cdc::FilterValue;
using tarn::cdc::ParseFilterValue;

namespace {

void Require(bool is_so) {
  if (!is_so) __builtin_trap();
}

/// Where both types have both values, they have them in one order.
void CheckSameOrder(FilterType one, FilterType other, const std::string& a, const std::string& b) {
  const auto one_a = ParseFilterValue(one, a), one_b = ParseFilterValue(one, b);
  const auto other_a = ParseFilterValue(other, a), other_b = ParseFilterValue(other, b);
  if (!one_a || !one_b || !other_a || !other_b) return;
  Require((*one_a <=> *one_b) == (*other_a <=> *other_b));
}

}  // namespace

/// Two values in PostgreSQL's text form: messages as values.h has them.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<std::string> texts;
  tarn::fuzz::ForEachMessage(data, size, [&](std::string_view message) { texts.emplace_back(message); });
  texts.resize(2);
  constexpr std::array kTypes = {FilterType::kBool, FilterType::kInteger,     FilterType::kNumeric,
                                 FilterType::kUuid, FilterType::kDate,        FilterType::kTimestamp,
                                 FilterType::kText, FilterType::kTimestamptz, FilterType::kPaddedText};
  for (const FilterType type : kTypes) {
    const auto a = ParseFilterValue(type, texts[0]), b = ParseFilterValue(type, texts[1]);
    if (!a || !b) continue;
    Require((*a <=> *b) == (0 <=> (*b <=> *a)));
    if (texts[0] == texts[1]) Require(*a == *b);
    if (tarn::cdc::IsText(type)) Require((*a == *b) || texts[0] != texts[1]);
  }
  // A whole number is a numeric too, a date a time.
  if (ParseFilterValue(FilterType::kInteger, texts[0]))
    Require(ParseFilterValue(FilterType::kNumeric, texts[0]).has_value());
  CheckSameOrder(FilterType::kInteger, FilterType::kNumeric, texts[0], texts[1]);
  CheckSameOrder(FilterType::kDate, FilterType::kTimestamp, texts[0], texts[1]);
  for (const FilterType type : {FilterType::kNumeric, FilterType::kTimestamptz, FilterType::kUuid}) {
    const std::string padded = type == FilterType::kNumeric ? "0" + texts[0] : texts[0];
    const auto plain = ParseFilterValue(type, texts[0]), again = ParseFilterValue(type, padded);
    if (plain && again) Require(*plain == *again);
  }
  return 0;
}
