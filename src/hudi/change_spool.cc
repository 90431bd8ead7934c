#include "hudi/change_spool.h"

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "hudi/avro_schema.h"
#include "storage/storage.h"

namespace tarn::hudi {
namespace {

constexpr size_t kMostOpenPieces = 4;
constexpr int kIdentityBytes = sizeof(Hash128);

}  // namespace

ChangeSpool::ChangeSpool(std::string folder) : folder_(std::move(folder)) {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

ChangeSpool::~ChangeSpool() {
  newest_.Discard();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::shared_ptr<arrow::Field> ChangeSpool::IdentityField() {
  return arrow::field(kIdentity, arrow::fixed_size_binary(kIdentityBytes));
}

Hash128 ChangeSpool::IdentityAt(const arrow::RecordBatch& rows, int64_t row) {
  const auto& column = static_cast<const arrow::FixedSizeBinaryArray&>(*rows.columns().back());
  Hash128 identity;
  std::memcpy(&identity, column.GetValue(row), kIdentityBytes);
  return identity;
}

Status ChangeSpool::Add(const arrow::RecordBatch& rows, const std::vector<Hash128>& identities,
                        bool are_deletes) {
  const auto piece = static_cast<uint32_t>(pieces_.size());
  if (pieces_.empty()) {
    TARN_RETURN_IF_ERROR(newest_.Reset(folder_, rows.num_rows()));
  } else {
    TARN_RETURN_IF_ERROR(newest_.Reserve(rows.num_rows()));
  }
  const std::string path = folder_ + "/" + std::to_string(piece) + ".arrow";
  const auto array = std::make_shared<arrow::FixedSizeBinaryArray>(IdentityField()->type(), rows.num_rows(),
                                                                   arrow::Buffer::Wrap(identities));
  const auto whole = rows.AddColumn(rows.num_columns(), IdentityField(), array);
  TARN_RETURN_IF_ERROR(FromArrow(whole.status(), "spool changes"));
  auto out = arrow::io::FileOutputStream::Open(path);
  TARN_RETURN_IF_ERROR(FromArrow(out.status(), "make " + path));
  auto writer = arrow::ipc::MakeFileWriter(*out, (*whole)->schema());
  TARN_RETURN_IF_ERROR(FromArrow(writer.status(), "write " + path));
  TARN_RETURN_IF_ERROR(FromArrow((*writer)->WriteRecordBatch(**whole), "write " + path));
  TARN_RETURN_IF_ERROR(FromArrow((*writer)->Close(), "write " + path));
  bytes_ += (*out)->Tell().ValueOr(0);
  TARN_RETURN_IF_ERROR(FromArrow((*out)->Close(), "write " + path));
  pieces_.push_back({path, are_deletes});
  for (uint32_t row = 0; row < identities.size(); row++) newest_.Put(identities[row], {piece, row});
  rows_ += rows.num_rows();
  return {};
}

std::optional<SpooledRow> ChangeSpool::Find(const Hash128& identity) const {
  if (pieces_.empty()) return std::nullopt;
  const RowPlace place = newest_.Find(identity);
  if (place.group == RowPlace::kNowhere) return std::nullopt;
  return SpooledRow{place.group, place.position};
}

Result<std::shared_ptr<arrow::RecordBatch>> ChangeSpool::Open(uint32_t piece) {
  const auto known =
      std::find_if(open_.begin(), open_.end(), [&](const auto& entry) { return entry.first == piece; });
  if (known != open_.end()) {
    open_.splice(open_.begin(), open_, known);
    return open_.front().second;
  }
  const std::string& path = pieces_[piece].path;
  auto file = arrow::io::MemoryMappedFile::Open(path, arrow::io::FileMode::READ);
  TARN_RETURN_IF_ERROR(FromArrow(file.status(), "open " + path));
  auto reader = arrow::ipc::RecordBatchFileReader::Open(*file);
  TARN_RETURN_IF_ERROR(FromArrow(reader.status(), "read " + path));
  auto batch = (*reader)->ReadRecordBatch(0);
  TARN_RETURN_IF_ERROR(FromArrow(batch.status(), "read " + path));
  open_.emplace_front(piece, *batch);
  if (open_.size() > kMostOpenPieces) open_.pop_back();
  return *batch;
}

Result<ChangeSpool::LiveRows> ChangeSpool::Live(uint32_t piece) {
  LiveRows live;
  TARN_ASSIGN(live.batch, Open(piece));
  for (uint32_t row = 0; row < live.batch->num_rows(); row++) {
    const Hash128 identity = IdentityAt(*live.batch, row);
    const RowPlace newest = newest_.Find(identity);
    if (newest.group != piece || newest.position != row) continue;
    live.rows.push_back(row);
    live.identities.push_back(identity);
  }
  return live;
}

Status ChangeSpool::ForEachStretch(
    std::span<const SpooledRow> rows,
    const std::function<Status(uint32_t piece, const std::shared_ptr<arrow::RecordBatch>&,
                               const std::vector<int64_t>& rows)>& take) {
  for (size_t i = 0; i < rows.size();) {
    const uint32_t piece = rows[i].piece;
    std::vector<int64_t> selected;
    for (; i < rows.size() && rows[i].piece == piece; i++) selected.push_back(rows[i].row);
    TARN_ASSIGN(const auto batch, Open(piece));
    TARN_RETURN_IF_ERROR(take(piece, batch, selected));
  }
  return {};
}

Result<std::shared_ptr<arrow::RecordBatch>> ChangeSpool::Gather(
    std::span<const SpooledRow> rows, const std::shared_ptr<arrow::Schema>& schema) {
  std::vector<std::shared_ptr<arrow::RecordBatch>> parts;
  TARN_RETURN_IF_ERROR(ForEachStretch(rows, [&](uint32_t, const auto& batch, const auto& selected) -> Status {
    TARN_ASSIGN(const auto columns, ProjectTo(batch, schema));
    TARN_ASSIGN(auto taken, TakeRows(*columns, selected));
    parts.push_back(std::move(taken));
    return {};
  }));
  if (parts.size() == 1) return parts.front();
  auto whole = parts.empty() ? arrow::RecordBatch::MakeEmpty(schema) : arrow::ConcatenateRecordBatches(parts);
  TARN_RETURN_IF_ERROR(FromArrow(whole.status(), "join spooled rows"));
  return *whole;
}

}  // namespace tarn::hudi
