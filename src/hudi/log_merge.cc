#include "hudi/log_merge.h"

#include <arrow/api.h>

#include "hudi/avro_schema.h"

namespace tarn::hudi {
namespace {

constexpr int64_t kRowsAtATime = 65'536;

}  // namespace

Status LogMerge::Add(const DecodedBlock& block, uint64_t salt) {
  if (block.rows) {
    TARN_ASSIGN(auto rows, ProjectTo(block.rows, schema_));
    entries_.reserve(entries_.size() + block.keys.size());
    for (size_t i = 0; i < block.keys.size(); i++) {
      const auto [it, added] = entries_.try_emplace(Salted(block.keys[i], salt));
      Entry& entry = it->second;
      if (!added && entry.ordering && *entry.ordering > block.orderings[i]) continue;
      entry = {block.orderings[i], rows_ + static_cast<int64_t>(i)};
    }
    rows_ += rows->num_rows();
    parts_.push_back(std::move(rows));
    settled_ = false;
  }
  for (const auto& removed : block.deletes) {
    const auto [it, added] = entries_.try_emplace(Salted(removed.key, salt));
    Entry& entry = it->second;
    if (!added && entry.ordering && removed.ordering && *entry.ordering > *removed.ordering) continue;
    entry = {removed.ordering, -1};
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

Result<std::shared_ptr<arrow::RecordBatch>> LogMerge::Rows() {
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
