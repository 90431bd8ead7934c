#include "cdc/stream_filter.h"

namespace tarn::cdc {

void CompleteRow(std::vector<WireValue>& row, const std::vector<WireValue>& old_row) {
  for (size_t i = 0; i < row.size() && i < old_row.size(); i++) {
    const bool unchanged = row[i].state == WireValue::State::kUnchanged;
    if (unchanged && old_row[i].state == WireValue::State::kText) row[i] = old_row[i];
  }
}

StreamFilter::StreamFilter(std::optional<FilterNode> bound, std::vector<bool> key, bool old_is_whole)
    : filter_(std::move(bound)), key_(std::move(key)), old_is_whole_(old_is_whole) {}

FilterAnswer StreamFilter::Ask(const std::vector<WireValue>& row, bool key_only) const {
  return AskFilter(*filter_, row, key_only ? &key_ : nullptr);
}

RowFate StreamFilter::JudgeOld(const std::vector<WireValue>& old_row) const {
  const FilterAnswer was = Ask(old_row, !old_is_whole_);
  return was == FilterAnswer::kYes || was == FilterAnswer::kUntold ? RowFate::kLeaves : RowFate::kOutside;
}

RowFate StreamFilter::Judge(char op, const std::vector<WireValue>& row,
                            const std::vector<WireValue>& old_row) {
  if (!filter_) return RowFate::kUntold;
  if (op == 'D') return JudgeOld(row);
  complete_ = row;
  CompleteRow(complete_, old_row);
  const FilterAnswer is = Ask(complete_, false);
  if (is == FilterAnswer::kUntold) return RowFate::kUntold;
  if (is == FilterAnswer::kYes) return RowFate::kKept;
  if (op == 'I') return RowFate::kOutside;
  if (!old_row.empty()) return JudgeOld(old_row);
  // Its key is what it was: where that alone keeps it out, it never was inside.
  const FilterAnswer by_key = Ask(row, true);
  return by_key == FilterAnswer::kUntold ? RowFate::kLeaves : RowFate::kOutside;
}

}  // namespace tarn::cdc
