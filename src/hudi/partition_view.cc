#include "hudi/partition_view.h"

#include <arrow/api.h>

#include <algorithm>

#include "hudi/avro_schema.h"
#include "hudi/file_name.h"
#include "parquet/parquet_reader.h"

namespace tarn::hudi {
namespace {

/// Keys of different groups of one partition must not meet: a row may be deleted in one and live in another.
uint64_t SaltOf(const std::string& file_id) { return HashText(file_id).low; }

std::shared_ptr<const PositionBitmap> ToBitmap(const Roaring& positions, int64_t rows) {
  if (positions.isEmpty()) return nullptr;
  auto bitmap = std::make_shared<PositionBitmap>(static_cast<size_t>((rows + 63) / 64), 0);
  for (const uint32_t position : positions) {
    if (position < rows) (*bitmap)[position / 64] |= 1ULL << (position % 64);
  }
  return bitmap;
}

}  // namespace

bool PartitionView::CanContinue(const std::map<std::string, Slice>& slices,
                                const std::shared_ptr<arrow::Schema>& schema) const {
  if (!merge_ || merge_->combines() || !merge_->schema()->Equals(*schema)) return false;
  for (const auto& [file_id, group] : groups_) {
    const auto it = slices.find(file_id);
    if (it == slices.end() || !group.whole) return false;
    const Slice& slice = it->second;
    if (group.base_name != (slice.base != nullptr ? slice.base->name : "")) return false;
    if (slice.logs.size() < group.logs.size()) return false;
    for (size_t i = 0; i < group.logs.size(); i++) {
      if (slice.logs[i]->name != group.logs[i]) return false;
    }
  }
  return true;
}

Status PartitionView::ReadGroup(const SliceContext& context, const std::string& partition,
                                const std::string& file_id, const Slice& slice, const std::string& as_of) {
  Group& group = groups_[file_id];
  const size_t first = group.logs.size();
  const uint64_t before = group.replaced.cardinality();
  const bool is_new = group.base_name.empty() && first == 0;
  if (first < slice.logs.size()) {
    TARN_RETURN_IF_ERROR(MergeLogs(context, partition, file_id, slice, first, as_of, SaltOf(file_id),
                                   merge_.get(), &group.replaced));
    for (size_t i = first; i < slice.logs.size(); i++) {
      TARN_ASSIGN(const bool whole, IsWhole(context, partition, *slice.logs[i], as_of));
      group.whole = group.whole && whole;
      group.logs.push_back(slice.logs[i]->name);
    }
  }
  if (slice.base == nullptr) return {};
  if (is_new) {
    group.base_name = slice.base->name;
    group.file.path = JoinPath(JoinPath(context.base_path, partition), slice.base->name);
    group.file.size_bytes = slice.base->size_bytes;
    group.file.rows = slice.base->rows;
    group.file.partition = values_;
    group.has_file = slice.base->rows > 0;
  }
  if (group.replaced.cardinality() != before) group.file.deleted = ToBitmap(group.replaced, group.file.rows);
  return {};
}

Status PartitionView::Refresh(const SliceContext& context, const std::string& partition,
                              PartitionFiles& files, const std::set<std::string>& replaced_groups,
                              const std::string& as_of, const std::shared_ptr<arrow::Schema>& schema) {
  std::map<std::string, Slice> slices;
  for (auto& [file_id, group] : files) {
    if (replaced_groups.contains(file_id)) continue;
    auto slice = ChooseSlice(group, *context.timeline, as_of);
    if (slice && context.bases_only) slice->logs.clear();
    if (!slice || (slice->base == nullptr && slice->logs.empty())) continue;
    if (slice->base != nullptr && slice->base->rows < 0) {
      const std::string path = JoinPath(JoinPath(context.base_path, partition), slice->base->name);
      TARN_ASSIGN(auto file, context.storage->Open(path));
      TARN_ASSIGN(const auto reader, parquet::FileReader::Open(std::move(file), path));
      group.bases[slice->base->instant].rows = reader->rows();
    }
    slices.emplace(file_id, *slice);
  }
  if (!CanContinue(slices, schema)) {
    merge_ = std::make_unique<LogMerge>(schema, context.rules);
    groups_.clear();
    values_ = PartitionValues(partition);
  }
  log_files_ = log_bytes_ = 0;
  for (const auto& [file_id, slice] : slices) {
    Status read = ReadGroup(context, partition, file_id, slice, as_of);
    if (!read) {
      merge_.reset();
      return read;
    }
    log_files_ += static_cast<int64_t>(slice.logs.size());
    for (const LogFile* log : slice.logs) log_bytes_ += log->size_bytes;
  }
  TARN_ASSIGN(hot_, merge_->Rows());
  return {};
}

void PartitionView::AddTo(ScanPlan* plan) const {
  for (const auto& [file_id, group] : groups_) {
    if (group.has_file) plan->files.push_back(group.file);
  }
  if (hot_) plan->hot.push_back({values_, hot_, log_bytes_});
  plan->log_files += log_files_;
  plan->log_bytes += log_bytes_;
}

}  // namespace tarn::hudi
