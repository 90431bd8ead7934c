#include "bronze/archive_writer.h"

#include <arrow/api.h>
#include <arrow/util/byte_size.h>

#include <algorithm>

namespace tarn::bronze {
namespace {

/// A reader of many tables holds a row group of each.
constexpr int64_t kGroupBytes = 4 << 20;
/// Flushes are small: so much is put together before it is written. A larger batch is cut.
constexpr int64_t kHeldBytes = 4 << 20;

int64_t BytesOf(const arrow::RecordBatch& rows) { return arrow::util::ReferencedBufferSize(rows).ValueOr(0); }

}  // namespace

Status ArchiveWriter::Begin(const std::shared_ptr<const schema::TableSchema>& table) {
  TARN_RETURN_IF_ERROR(Finish());
  const std::string folder = ArchiveTableFolder(*table);
  TARN_ASSIGN(const int64_t number, next_number_(folder));
  const std::string path = fmt::format("{}/{}-{:04}.parquet", folder, day_, number);
  TARN_ASSIGN(open_, CreateChangeFile(storage_, lake_, path, *table, {.group_bytes = kGroupBytes}));
  files_.push_back({table, {path}});
  group_bytes_ = seen_bytes_ = 0;
  return {};
}

Result<size_t> ArchiveWriter::Append(const std::shared_ptr<const schema::TableSchema>& table,
                                     const std::shared_ptr<arrow::RecordBatch>& rows) {
  // What the row group under way will be is not known; as it is in memory it is at most that.
  const bool full =
      open_ != nullptr && files_.back().file.rows > 0 &&
      open_->bytes() + group_bytes_ + held_bytes_ + std::min(BytesOf(*rows), kHeldBytes) > max_file_bytes_;
  if (open_ == nullptr || full || files_.back().table != table) TARN_RETURN_IF_ERROR(Begin(table));
  held_.push_back(rows);
  held_bytes_ += BytesOf(*rows);
  files_.back().file.rows += rows->num_rows();
  if (held_bytes_ >= kHeldBytes) TARN_RETURN_IF_ERROR(WriteHeld());
  return files_.size() - 1;
}

Status ArchiveWriter::WriteHeld() {
  if (held_.empty()) return {};
  auto whole = arrow::ConcatenateRecordBatches(held_);
  if (!whole.ok())
    return MakeError(ErrorCode::kInternal, "'{}': {}", files_.back().file.path, whole.status().message());
  const int64_t pieces = held_bytes_ / kHeldBytes + 1;
  const int64_t rows = std::max<int64_t>((*whole)->num_rows() / pieces, 1);
  for (int64_t at = 0; at < (*whole)->num_rows(); at += rows)
    TARN_RETURN_IF_ERROR(open_->Append(*(*whole)->Slice(at, rows)));
  group_bytes_ = open_->bytes() == seen_bytes_ ? group_bytes_ + held_bytes_ : 0;
  seen_bytes_ = open_->bytes();
  held_.clear();
  held_bytes_ = 0;
  return {};
}

Status ArchiveWriter::Finish() {
  if (open_ == nullptr) return {};
  TARN_RETURN_IF_ERROR(WriteHeld());
  TARN_ASSIGN(files_.back().file, open_->Publish());
  open_.reset();
  return {};
}

}  // namespace tarn::bronze
