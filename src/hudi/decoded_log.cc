#include "hudi/decoded_log.h"

#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <arrow/util/byte_size.h>

#include "avro/rows.h"
#include "hudi/avro_schema.h"
#include "hudi/log_block.h"
#include "parquet/parquet_reader.h"

namespace tarn::hudi {
namespace {

Result<std::shared_ptr<arrow::RecordBatch>> AvroRows(const LogBlock& block, const std::string& path) {
  TARN_ASSIGN(const auto records, AvroRecords(block.content, path));
  TARN_ASSIGN(const auto decoder, avro::RowDecoder::Make(block.schema));
  for (const std::string_view record : records) {
    Status status = decoder->Append(record);
    if (!status) return std::move(status).error().In(path);
  }
  return decoder->Finish();
}

Result<std::shared_ptr<arrow::RecordBatch>> ParquetRows(const LogBlock& block, const std::string& path) {
  // Not a copy: the caller holds the file's bytes until the rows are decoded.
  const auto bytes = std::make_shared<arrow::Buffer>(block.content);
  TARN_ASSIGN(const auto reader,
              parquet::FileReader::Open(std::make_shared<arrow::io::BufferReader>(bytes), path));
  std::vector<std::shared_ptr<arrow::RecordBatch>> parts;
  TARN_RETURN_IF_ERROR(reader->Scan(reader->schema()->field_names(), 0, reader->rows(),
                                    [&](const auto& batch, int64_t) -> Status {
                                      parts.push_back(batch);
                                      return {};
                                    }));
  if (parts.empty()) return std::shared_ptr<arrow::RecordBatch>();
  auto whole = arrow::ConcatenateRecordBatches(parts);
  TARN_RETURN_IF_ERROR(FromArrow(whole.status(), path));
  return *whole;
}

Status AddRows(std::shared_ptr<arrow::RecordBatch> rows, const std::string& path,
               const std::string& ordering_field, DecodedBlock* block) {
  if (!rows || rows->num_rows() == 0) return {};
  const auto keys = std::dynamic_pointer_cast<arrow::StringArray>(rows->GetColumnByName(kRecordKey));
  if (!keys) return MakeError(ErrorCode::kUnsupported, "log file '{}' has rows without {}", path, kRecordKey);
  block->keys.reserve(static_cast<size_t>(keys->length()));
  for (int64_t row = 0; row < keys->length(); row++) block->keys.push_back(HashText(keys->GetView(row)));
  block->orderings = OrderingsOf(*rows, ordering_field);
  block->rows = std::move(rows);
  return {};
}

}  // namespace

std::vector<int64_t> OrderingsOf(const arrow::RecordBatch& rows, const std::string& ordering_field) {
  std::vector<int64_t> orderings(static_cast<size_t>(rows.num_rows()), 0);
  const auto column = rows.GetColumnByName(ordering_field);
  if (!column) return orderings;
  const auto copy = [&](const auto& array) {
    for (int64_t row = 0; row < array.length(); row++) {
      if (!array.IsNull(row)) orderings[static_cast<size_t>(row)] = static_cast<int64_t>(array.Value(row));
    }
  };
  switch (column->type_id()) {
    case arrow::Type::INT64:
      copy(static_cast<const arrow::Int64Array&>(*column));
      break;
    case arrow::Type::INT32:
      copy(static_cast<const arrow::Int32Array&>(*column));
      break;
    case arrow::Type::TIMESTAMP:
      copy(static_cast<const arrow::TimestampArray&>(*column));
      break;
    case arrow::Type::DATE32:
      copy(static_cast<const arrow::Date32Array&>(*column));
      break;
    case arrow::Type::FLOAT:
      copy(static_cast<const arrow::FloatArray&>(*column));
      break;
    case arrow::Type::DOUBLE:
      copy(static_cast<const arrow::DoubleArray&>(*column));
      break;
    default:
      break;
  }
  return orderings;
}

Result<std::shared_ptr<const DecodedLog>> DecodeLog(const storage::Storage& storage, const std::string& path,
                                                    const std::string& ordering_field) {
  TARN_ASSIGN(const std::string bytes, storage.Read(path));
  TARN_ASSIGN(const auto blocks, ParseBlocks(bytes, path));
  auto log = std::make_shared<DecodedLog>();
  for (const LogBlock& block : blocks) {
    DecodedBlock decoded;
    decoded.instant = block.instant;
    switch (block.type) {
      case BlockType::kAvro: {
        TARN_ASSIGN(auto rows, AvroRows(block, path));
        TARN_RETURN_IF_ERROR(AddRows(std::move(rows), path, ordering_field, &decoded));
        break;
      }
      case BlockType::kParquet: {
        TARN_ASSIGN(auto rows, ParquetRows(block, path));
        TARN_RETURN_IF_ERROR(AddRows(std::move(rows), path, ordering_field, &decoded));
        break;
      }
      case BlockType::kDelete: {
        TARN_ASSIGN(const auto deletes, ParseDeletes(block.content, path));
        for (const DeleteRecord& record : deletes)
          decoded.deletes.push_back({HashText(record.key), record.ordering});
        break;
      }
      case BlockType::kCommand:
        if (block.command == "0") decoded.rollback_target = block.target_instant;
        break;
      case BlockType::kCorrupt:
        continue;
      default:
        return MakeError(ErrorCode::kUnsupported, "log file '{}' has a block of type {}", path,
                         static_cast<int32_t>(block.type));
    }
    if (decoded.rows) log->memory_bytes += arrow::util::TotalBufferSize(*decoded.rows);
    log->memory_bytes += static_cast<int64_t>(decoded.keys.size() * 24 + decoded.deletes.size() * 32);
    log->blocks.push_back(std::move(decoded));
  }
  return std::shared_ptr<const DecodedLog>(std::move(log));
}

Result<std::shared_ptr<const DecodedLog>> LogCache::Get(const storage::Storage& storage,
                                                        const std::string& path, int64_t size_bytes,
                                                        const std::string& ordering_field) {
  const std::string key = fmt::format("{}:{}", path, size_bytes);
  {
    std::lock_guard lock(mutex_);
    if (const auto it = by_key_.find(key); it != by_key_.end()) {
      entries_.splice(entries_.begin(), entries_, it->second);
      return it->second->log;
    }
  }
  TARN_ASSIGN(auto log, DecodeLog(storage, path, ordering_field));
  std::lock_guard lock(mutex_);
  if (by_key_.contains(key)) return log;
  entries_.push_front({key, log});
  by_key_[key] = entries_.begin();
  bytes_ += log->memory_bytes;
  while (bytes_ > max_bytes_ && entries_.size() > 1) {
    bytes_ -= entries_.back().log->memory_bytes;
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
  }
  return log;
}

}  // namespace tarn::hudi
