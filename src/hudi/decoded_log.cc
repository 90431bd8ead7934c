#include "hudi/decoded_log.h"

#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <arrow/util/byte_size.h>

#include <sstream>

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

Status AddRows(std::shared_ptr<arrow::RecordBatch> rows, const std::string& path, const MergeRules& rules,
               DecodedBlock* block) {
  if (!rows || rows->num_rows() == 0) return {};
  auto keys = KeysOf(*rows, rules);
  if (!keys) return std::move(keys).error().In(path);
  block->keys.reserve(keys->size());
  for (const std::string& key : *keys) block->keys.push_back(HashText(key));
  block->orderings = OrderingsOf(*rows, rules);
  auto texts = OrderingTextsOf(*rows, rules);
  if (!texts) return std::move(texts).error().In(path);
  block->ordering_texts = *std::move(texts);
  block->deleting = DeletingRows(*rows, rules);
  block->rows = std::move(rows);
  return {};
}

}  // namespace

Result<std::shared_ptr<const DecodedLog>> DecodeLog(const storage::Storage& storage, const std::string& path,
                                                    const MergeRules& rules) {
  TARN_ASSIGN(const std::string bytes, storage.Read(path));
  TARN_ASSIGN(const auto blocks, ParseBlocks(bytes, path));
  auto log = std::make_shared<DecodedLog>();
  for (const LogBlock& block : blocks) {
    DecodedBlock decoded;
    decoded.instant = block.instant;
    decoded.is_partial = block.is_partial;
    std::stringstream compacted(block.compacted);
    for (std::string instant; std::getline(compacted, instant, ',');) decoded.compacted.push_back(instant);
    switch (block.type) {
      case BlockType::kAvro: {
        TARN_ASSIGN(auto rows, AvroRows(block, path));
        TARN_RETURN_IF_ERROR(AddRows(std::move(rows), path, rules, &decoded));
        break;
      }
      case BlockType::kParquet: {
        TARN_ASSIGN(auto rows, ParquetRows(block, path));
        TARN_RETURN_IF_ERROR(AddRows(std::move(rows), path, rules, &decoded));
        break;
      }
      case BlockType::kDelete: {
        TARN_ASSIGN(const auto deletes, ParseDeletes(block.content, path, rules.ranks));
        for (const DeleteRecord& record : deletes)
          decoded.deletes.push_back({HashText(record.key), record.ordering, record.ordering_text});
        break;
      }
      case BlockType::kCommand:
        if (block.command == "0") decoded.rollback_target = block.target_instant;
        break;
      case BlockType::kCorrupt:
      case BlockType::kCdc:  // For the change view alone; the rows are in other blocks.
        continue;
      default:
        return MakeError(ErrorCode::kUnsupported,
                         "log file '{}' has a block of type {}, which is not read: compact the table", path,
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
                                                        const MergeRules& rules) {
  const std::string key = fmt::format("{}:{}:{}", path, size_bytes, static_cast<int>(rules.ranks));
  {
    std::lock_guard lock(mutex_);
    if (const auto it = by_key_.find(key); it != by_key_.end()) {
      entries_.splice(entries_.begin(), entries_, it->second);
      return it->second->log;
    }
  }
  TARN_ASSIGN(auto log, DecodeLog(storage, path, rules));
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

void LogCache::Clear() {
  std::lock_guard lock(mutex_);
  entries_.clear();
  by_key_.clear();
  bytes_ = 0;
}

}  // namespace tarn::hudi
