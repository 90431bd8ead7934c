#include "hudi/content_check.h"

#include <arrow/api.h>
#include <zlib.h>

#include <algorithm>
#include <filesystem>

#include "hudi/avro_schema.h"
#include "hudi/big_endian.h"
#include "hudi/decoded_log.h"
#include "hudi/file_name.h"
#include "hudi/file_view.h"
#include "hudi/key_index.h"
#include "hudi/log_block.h"
#include "hudi/table.h"
#include "parquet/parquet_reader.h"

namespace tarn::hudi {
namespace {

/// The newest instant of the log's data; empty when it has none. `own`: the only one that it may have; empty:
/// any.
std::string CheckLog(const storage::Storage& storage, const std::string& base_path, const std::string& where,
                     const MergeRules& rules, const Timeline& timeline, const std::string& own,
                     TableReport* report) {
  const std::string path = JoinPath(base_path, where);
  const auto bytes = storage.Read(path);
  const auto blocks =
      bytes ? ParseBlocks(*bytes, where) : Result<std::vector<LogBlock>>(tl::unexpected(bytes.error()));
  if (!blocks) {
    report->Add(where, blocks.error().message);
    return {};
  }
  size_t end = 0;
  std::string newest;
  for (const LogBlock& block : *blocks) {
    if (block.begin != end) report->Add(where, fmt::format("has no whole block at offset {}", end));
    end = block.end;
    if (!own.empty() && block.instant != own)
      report->Add(where, fmt::format("holds {}, which its name does not tell", block.instant));
    // What a failed commit left beside another writer's logs is read by nobody.
    if (block.type != BlockType::kCommand && timeline.IsDone(block.instant))
      newest = std::max(newest, block.instant);
  }
  if (end != bytes->size()) report->Add(where, fmt::format("has no whole block at offset {}", end));
  const auto decoded = DecodeLog(storage, path, rules);
  if (!decoded) report->Add(where, decoded.error().message);
  return newest;
}

/// A column of text, however the file keeps it.
std::shared_ptr<arrow::StringArray> TextColumn(const arrow::RecordBatch& rows, const char* name) {
  return std::dynamic_pointer_cast<arrow::StringArray>(rows.GetColumnByName(name));
}

class RowCheck {
 public:
  RowCheck(const storage::Storage& storage, std::string base_path, bool has_meta_columns, TableReport* report)
      : storage_(storage),
        base_path_(std::move(base_path)),
        has_meta_columns_(has_meta_columns),
        report_(*report) {}

  Status Run(const ScanPlan& plan, const std::string& scratch) {
    TARN_RETURN_IF_ERROR(keys_.Reset(scratch + "/keys", 0));
    TARN_RETURN_IF_ERROR(numbers_.Reset(scratch + "/numbers", 0));
    for (const ScanFile& file : plan.files) TARN_RETURN_IF_ERROR(CheckFile(file, plan.schema));
    for (const HotRows& hot : plan.hot)
      TARN_RETURN_IF_ERROR(CheckBatch("log files", *hot.rows, hot.deleted.get(), 0, ""));
    keys_.Discard();
    numbers_.Discard();
    return {};
  }

 private:
  Status CheckFile(const ScanFile& file, const std::shared_ptr<arrow::Schema>& schema) {
    const std::string where = file.path.substr(base_path_.size() + 1);
    auto opened = storage_.Open(file.path);
    auto reader = opened ? parquet::FileReader::Open(*opened, where)
                         : Result<std::unique_ptr<parquet::FileReader>>(tl::unexpected(opened.error()));
    if (!reader) {
      report_.Add(where, reader.error().message);
      return {};
    }
    if ((*reader)->rows() != file.rows)
      report_.Add(where, fmt::format("has {} rows, but its commit says {}", (*reader)->rows(), file.rows));
    Status broken;
    const Status read = (*reader)->Scan(
        schema->field_names(), 0, (*reader)->rows(), [&](const auto& rows, int64_t first) -> Status {
          TARN_ASSIGN(const auto projected, ProjectTo(rows, schema));
          broken = CheckBatch(where, *projected, file.deleted.get(), first, where);
          return broken;
        });
    if (!broken) return broken;
    if (!read) report_.Add(where, read.error().message);
    return {};
  }

  /// `file`: the base file that all rows must name; empty for those of logs.
  Status CheckBatch(const std::string& where, const arrow::RecordBatch& rows, const PositionBitmap* deleted,
                    int64_t first, const std::string& file) {
    if (!has_meta_columns_) {
      for (int64_t row = 0; row < rows.num_rows(); row++)
        report_.rows += IsDeleted(deleted, static_cast<size_t>(first + row)) ? 0 : 1;
      return {};
    }
    const auto keys = TextColumn(rows, kRecordKey), paths = TextColumn(rows, kPartitionPath);
    const auto numbers = TextColumn(rows, kCommitSeqno), names = TextColumn(rows, kFileName);
    if (keys == nullptr || paths == nullptr || numbers == nullptr || names == nullptr) {
      report_.Add(where, "lacks _hoodie_ columns");
      return {};
    }
    TARN_RETURN_IF_ERROR(keys_.Reserve(rows.num_rows()));
    TARN_RETURN_IF_ERROR(numbers_.Reserve(rows.num_rows()));
    const std::string folder =
        file.substr(0, file.find_last_of('/') == std::string::npos ? 0 : file.rfind('/'));
    const std::string name = file.substr(file.rfind('/') + 1);
    for (int64_t row = 0; row < rows.num_rows(); row++) {
      const auto at = static_cast<size_t>(first + row);
      if (IsDeleted(deleted, at)) continue;
      report_.rows++;
      if (keys->IsNull(row)) {
        report_.Add(where, fmt::format("row {} has no record key", at));
        continue;
      }
      const std::string key(keys->GetView(row)), path(paths->GetView(row));
      if (!file.empty() && names->GetView(row) != name)
        report_.Add(where,
                    fmt::format("the row of key '{}' says that it is in '{}'", key, names->GetView(row)));
      if (!file.empty() && path != folder)
        report_.Add(where, fmt::format("the row of key '{}' says that its partition is '{}'", key, path));
      if (!keys_.Put(HashText(path + '\0' + key), {0, 0}))
        report_.Add(where, fmt::format("the key '{}' is twice in partition '{}'", key, path));
      if (numbers->IsNull(row) || !numbers_.Put(HashText(numbers->GetView(row)), {0, 0}))
        report_.Add(where, fmt::format("the row of key '{}' has the sequence number '{}' of another", key,
                                       numbers->IsNull(row) ? "" : numbers->GetView(row)));
    }
    return {};
  }

  const storage::Storage& storage_;
  const std::string base_path_;
  const bool has_meta_columns_;
  TableReport& report_;
  KeyIndex keys_, numbers_;
};

}  // namespace

void CheckLogs(const storage::Storage& storage, const std::string& base_path, const FileView& files,
               const MergeRules& rules, const Timeline& timeline, TableReport* report) {
  const bool own = timeline.layout == TimelineLayout::kTwo;
  for (const auto& [partition, groups] : files.partitions()) {
    for (const auto& [file_id, group] : groups) {
      for (const auto& [base_instant, logs] : group.logs) {
        std::string before;
        for (const LogFile& log : logs) {
          const std::string where = JoinPath(partition, log.name);
          const std::string newest =
              CheckLog(storage, base_path, where, rules, timeline, own ? base_instant : "", report);
          if (newest.empty()) continue;
          if (newest < before)
            report->Add(where, fmt::format("holds {}, but a log before it holds {}", newest, before));
          before = std::max(before, newest);
        }
      }
    }
  }
}

Status CheckRows(const storage::Storage& storage, const std::string& base_path, const std::string& scratch,
                 bool has_meta_columns, TableReport* report) {
  TARN_ASSIGN(const auto reader, TableReader::Open(&storage, base_path, ""));
  const auto plan = reader->PlanSnapshot("");
  if (!plan) {
    report->Add(".hoodie", "the newest snapshot cannot be planned: " + plan.error().message);
    return {};
  }
  return RowCheck(storage, base_path, has_meta_columns, report).Run(**plan, scratch);
}

bool FitsHadoopChecksums(std::string_view bytes, std::string_view sums) {
  BigEndianReader reader(sums);
  if (reader.Bytes(4) != std::string_view("crc\0", 4)) return false;
  const int32_t chunk = reader.I32();
  if (reader.failed() || chunk <= 0) return false;
  for (size_t at = 0; at < bytes.size(); at += static_cast<size_t>(chunk)) {
    const std::string_view part = bytes.substr(at, static_cast<size_t>(chunk));
    const auto sum = static_cast<uint32_t>(
        crc32(0, reinterpret_cast<const Bytef*>(part.data()), static_cast<uInt>(part.size())));
    if (static_cast<uint32_t>(reader.I32()) != sum || reader.failed()) return false;
  }
  return reader.position() == sums.size();
}

}  // namespace tarn::hudi
