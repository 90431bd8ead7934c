#include "hudi/log_merge.h"

#include <arrow/api.h>

#include <algorithm>

#include "hudi/avro_schema.h"

namespace tarn::hudi {
namespace {

constexpr int64_t kRowsAtATime = 65'536;

}  // namespace

bool LogMerge::GivesWay(int64_t a, int64_t b) const {
  if (rules_.winner == MergeRules::Winner::kArrival) return true;
  if (rules_.ranks != MergeRules::Ranks::kTexts) return a <= b;
  return texts_[static_cast<size_t>(a)] <= texts_[static_cast<size_t>(b)];
}

int64_t LogMerge::Rank(int64_t number, const std::string& text) {
  if (rules_.ranks != MergeRules::Ranks::kTexts) return number;
  texts_.push_back(text);
  return static_cast<int64_t>(texts_.size()) - 1;
}

Result<std::shared_ptr<arrow::RecordBatch>> LogMerge::Projected(
    const std::shared_ptr<arrow::RecordBatch>& rows) const {
  return ProjectTo(rows, schema_,
                   rules_.widens_floats_by_text ? FloatWidening::kByText : FloatWidening::kExact);
}

void LogMerge::Replace(const Hash128& key, Entry* entry, int64_t ordering, int64_t row) {
  if (!latest_.empty()) latest_.erase(key);
  if (fills_ && entry->row >= 0 && row >= 0) {
    auto& older = older_[key];
    older.insert(older.begin(), entry->row);
  } else if (!older_.empty()) {
    older_.erase(key);
  }
  *entry = {ordering, row};
}

Status LogMerge::Add(const DecodedBlock& block, uint64_t salt) {
  if (block.rows) {
    TARN_ASSIGN(auto rows, Projected(block.rows));
    if (block.is_partial) {
      fills_ = true;
      auto& present = partial_[rows_];
      for (const auto& field : schema_->fields())
        present.push_back(block.rows->schema()->GetFieldIndex(field->name()) >= 0);
      part_ends_[rows_] = rows_ + rows->num_rows();
    }
    entries_.reserve(entries_.size() + block.keys.size());
    for (size_t i = 0; i < block.keys.size(); i++) {
      const Hash128 key = Salted(block.keys[i], salt);
      const auto [it, added] = entries_.try_emplace(key);
      const int64_t ordering =
          Rank(block.orderings[i], block.ordering_texts.empty() ? std::string() : block.ordering_texts[i]);
      const bool deletes = !block.deleting.empty() && block.deleting[i];
      const int64_t row = rows_ + static_cast<int64_t>(i);
      if (!added && it->second.ordering && !GivesWay(*it->second.ordering, ordering)) {
        if (fills_ && it->second.row >= 0 && !deletes) {
          older_[key].push_back(row);
          if (rules_.meta_of_latest) latest_[key] = row;
        }
        continue;
      }
      Replace(key, &it->second, ordering, deletes ? -1 : row);
    }
    rows_ += rows->num_rows();
    parts_.push_back(std::move(rows));
    settled_ = false;
  }
  for (const auto& removed : block.deletes) {
    const Hash128 key = Salted(removed.key, salt);
    const auto [it, added] = entries_.try_emplace(key);
    Entry& entry = it->second;
    std::optional<int64_t> ordering;
    if (removed.ordering) ordering = Rank(*removed.ordering, removed.ordering_text);
    if (!added && entry.ordering && ordering && !GivesWay(*entry.ordering, *ordering)) {
      continue;
    }
    if (!older_.empty()) older_.erase(key);
    entry = {ordering, -1};
    settled_ = false;
  }
  return {};
}

const LogMerge::Entry* LogMerge::Find(const Hash128& key, uint64_t salt) const {
  const auto it = entries_.find(Salted(key, salt));
  return it == entries_.end() ? nullptr : &it->second;
}

void LogMerge::Suppress(const Hash128& key, uint64_t salt) {
  const auto it = entries_.find(Salted(key, salt));
  if (it == entries_.end() || it->second.row < 0) return;
  it->second.row = -1;
  settled_ = false;
}

bool LogMerge::MeetBase(const Hash128& key, uint64_t salt, int64_t ordering,
                        const std::string& ordering_text) {
  const auto it = entries_.find(Salted(key, salt));
  if (it == entries_.end()) return false;
  if (rules_.winner != MergeRules::Winner::kOrdering || !it->second.ordering) return true;
  if (GivesWay(Rank(ordering, ordering_text), *it->second.ordering)) return true;
  Suppress(key, salt);
  return false;
}

Status LogMerge::AddBase(const std::shared_ptr<arrow::RecordBatch>& rows, const std::vector<Hash128>& keys,
                         const std::vector<int64_t>& orderings, const std::vector<std::string>& texts,
                         uint64_t salt) {
  TARN_ASSIGN(auto projected, Projected(rows));
  for (size_t i = 0; i < keys.size(); i++) {
    const Hash128 key = Salted(keys[i], salt);
    const auto it = entries_.find(key);
    if (it == entries_.end()) continue;
    Entry& entry = it->second;
    const int64_t row = rows_ + static_cast<int64_t>(i);
    const int64_t ordering = Rank(orderings[i], texts.empty() ? std::string() : texts[i]);
    const bool wins = rules_.winner == MergeRules::Winner::kOrdering && entry.ordering &&
                      !GivesWay(ordering, *entry.ordering);
    if (wins) {
      const int64_t log_row = entry.row;
      entry = {ordering, row};
      if (log_row >= 0 && fills_) {
        auto& older = older_[key];
        older.insert(older.begin(), log_row);
        if (rules_.meta_of_latest) latest_.try_emplace(key, log_row);
      } else {
        older_.erase(key);
      }
    } else if (entry.row >= 0) {
      older_[key].push_back(row);
    }
  }
  rows_ += projected->num_rows();
  parts_.push_back(std::move(projected));
  settled_ = false;
  return {};
}

/// The row that a column's value comes from.
int64_t LogMerge::SourceOf(const arrow::RecordBatch& rows, int column, int64_t row,
                           const std::vector<int64_t>& older) const {
  const arrow::Array& values = *rows.column(column);
  const auto has = [&](int64_t at) {
    const auto part = partial_.upper_bound(at);
    if (part != partial_.begin()) {
      const auto& [first, present] = *std::prev(part);
      if (at < part_ends_.at(first) && !present[static_cast<size_t>(column)]) return false;
    }
    if (rules_.fill == MergeRules::Fill::kWhereNull || rules_.fill == MergeRules::Fill::kWhereNullOfBase)
      return values.IsValid(at);
    if (rules_.fill != MergeRules::Fill::kWhereMarked || values.IsNull(at)) return true;
    if (values.type_id() != arrow::Type::STRING && values.type_id() != arrow::Type::BINARY) return true;
    return static_cast<const arrow::BinaryArray&>(values).GetView(at) != rules_.unavailable;
  };
  if (has(row)) return row;
  for (const int64_t at : older) {
    if (has(at)) return at;
  }
  return row;
}

Result<std::shared_ptr<arrow::RecordBatch>> LogMerge::Combined() const {
  auto whole = arrow::ConcatenateRecordBatches(parts_);
  TARN_RETURN_IF_ERROR(FromArrow(whole.status(), "merge log rows"));
  std::vector<int64_t> live;
  std::unordered_map<int64_t, const std::vector<int64_t>*> older;
  std::unordered_map<int64_t, int64_t> latest;
  for (const auto& [key, entry] : entries_) {
    if (entry.row < 0) continue;
    live.push_back(entry.row);
    if (const auto it = older_.find(key); it != older_.end()) older[entry.row] = &it->second;
    if (const auto it = latest_.find(key); it != latest_.end()) latest[entry.row] = it->second;
  }
  std::sort(live.begin(), live.end());
  arrow::ArrayVector columns;
  for (int column = 0; column < schema_->num_fields(); column++) {
    std::vector<int64_t> sources = live;
    const bool is_meta = IsMetaColumn(schema_->field(column)->name());
    for (int64_t& row : sources) {
      if (const auto it = latest.find(row); is_meta && it != latest.end()) {
        row = it->second;
        continue;
      }
      if (const auto it = older.find(row); it != older.end())
        row = SourceOf(**whole, column, row, *it->second);
    }
    const auto one = arrow::RecordBatch::Make(arrow::schema({schema_->field(column)}), (*whole)->num_rows(),
                                              {(*whole)->column(column)});
    TARN_ASSIGN(const auto taken, TakeRows(*one, sources));
    columns.push_back(taken->column(0));
  }
  return arrow::RecordBatch::Make(schema_, static_cast<int64_t>(live.size()), std::move(columns));
}

Result<std::shared_ptr<arrow::RecordBatch>> LogMerge::Rows() {
  if (!settled_ && !older_.empty()) {
    TARN_ASSIGN(auto combined, Combined());
    std::vector<Entry*> live;
    for (auto& [key, entry] : entries_) {
      if (entry.row >= 0) live.push_back(&entry);
    }
    std::sort(live.begin(), live.end(), [](const Entry* a, const Entry* b) { return a->row < b->row; });
    rows_ = 0;
    for (Entry* entry : live) entry->row = rows_++;
    older_.clear();
    latest_.clear();
    partial_.clear();
    part_ends_.clear();
    parts_ = {std::move(combined)};
    settled_ = true;
  }
  if (!settled_) {
    std::vector<int64_t> renumbered(static_cast<size_t>(rows_), -1);
    for (const auto& [key, entry] : entries_) {
      if (entry.row >= 0) renumbered[static_cast<size_t>(entry.row)] = 0;
    }
    std::vector<std::shared_ptr<arrow::RecordBatch>> live;
    int64_t next = 0, first = 0;
    for (const auto& part : parts_) {
      std::vector<int64_t> kept;
      for (int64_t row = 0; row < part->num_rows(); row++) {
        int64_t& number = renumbered[static_cast<size_t>(first + row)];
        if (number < 0) continue;
        number = next++;
        kept.push_back(row);
      }
      first += part->num_rows();
      if (kept.empty()) continue;
      if (static_cast<int64_t>(kept.size()) == part->num_rows()) {
        live.push_back(part);
      } else {
        TARN_ASSIGN(auto taken, TakeRows(*part, kept));
        live.push_back(std::move(taken));
      }
    }
    for (auto& [key, entry] : entries_) {
      if (entry.row >= 0) entry.row = renumbered[static_cast<size_t>(entry.row)];
    }
    parts_.clear();
    if (!live.empty()) {
      auto whole = arrow::ConcatenateRecordBatches(live);
      TARN_RETURN_IF_ERROR(FromArrow(whole.status(), "merge log rows"));
      parts_.push_back(*whole);
    }
    rows_ = next;
    settled_ = true;
  }
  return parts_.empty() ? std::shared_ptr<arrow::RecordBatch>() : parts_.front();
}

Status LogMerge::TakeLive(const std::function<Status(const std::shared_ptr<arrow::RecordBatch>&)>& take) {
  std::vector<bool> live(static_cast<size_t>(rows_), false);
  for (const auto& [key, entry] : entries_) {
    if (entry.row >= 0) live[static_cast<size_t>(entry.row)] = true;
  }
  entries_.clear();
  size_t first = 0;
  for (auto& part : parts_) {
    const auto rows = std::exchange(part, nullptr);
    for (int64_t from = 0; from < rows->num_rows(); from += kRowsAtATime) {
      const auto slice = rows->Slice(from, kRowsAtATime);
      std::vector<int64_t> kept;
      for (int64_t row = 0; row < slice->num_rows(); row++) {
        if (live[first + static_cast<size_t>(from + row)]) kept.push_back(row);
      }
      const bool all = static_cast<int64_t>(kept.size()) == slice->num_rows();
      TARN_ASSIGN(const auto taken, all ? slice : TakeRows(*slice, kept));
      TARN_RETURN_IF_ERROR(take(taken));
    }
    first += static_cast<size_t>(rows->num_rows());
  }
  return {};
}

}  // namespace tarn::hudi
