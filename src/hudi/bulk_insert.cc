#include <arrow/api.h>
#include <arrow/util/byte_size.h>

#include <algorithm>

#include "base/memory.h"
#include "hudi/avro_schema.h"
#include "hudi/file_name.h"
#include "hudi/hudi_table.h"
#include "hudi/key_spool.h"

namespace tarn::hudi {
namespace {

constexpr int64_t kMostBufferedBytes = 128LL << 20;  ///< Rows of all partitions that wait for their file.
constexpr int64_t kFlushRows = 64 * 1024;       ///< Rows of one run in a partition that are worth a write,
constexpr int64_t kLeastGroupRows = 32 * 1024;  ///< and those that are worth a row group of their own.
constexpr size_t kMostOpenFiles = 48;

}  // namespace

/// Rows are split by partition, buffered, and written to one open file a partition. When too many files are
/// open, the largest is finished and its partition gets another group later. A reload takes the groups that
/// are there first, and leaves those that it does not need without rows.
class HudiBulkWriter : public BulkWriter {
 public:
  /// `before`: the table's schema until now, for a reload; null for a first load.
  HudiBulkWriter(HudiTable* table, std::string instant, std::shared_ptr<arrow::Schema> before)
      : table_(table), before_(std::move(before)), spool_(table->IndexFolder()) {
    content_.instant = std::move(instant);
    content_.metadata.operation = is_reload() ? "UPSERT" : "BULK_INSERT";
    content_.is_whole_table = true;
    table_->bulk_open_ = true;
    if (is_reload()) free_groups_ = table_->partition_groups_;
  }
  ~HudiBulkWriter() override {
    table_->bulk_open_ = false;
    if (finished_) return;
    // Rows that never became visible are in the key index already.
    if (table_->has_index_) table_->needs_recovery_ = true;
    if (is_reload()) (void)table_->UseSchema(before_).has_value();  // It was in use before.
  }

  Status Append(const arrow::RecordBatch& rows, int run) override {
    if (rows.num_rows() == 0) return {};
    const auto whole = arrow::RecordBatch::Make(rows.schema(), rows.num_rows(), rows.columns());
    TARN_ASSIGN(const auto batch, ProjectTo(whole, table_->options_.schema));
    TARN_ASSIGN(RowKeys keys, table_->keys_.FromRows(*batch));
    std::vector<std::vector<int64_t>> split(keys.paths.size());
    for (size_t row = 0; row < keys.partitions.size(); row++) {
      split[keys.partitions[row]].push_back(static_cast<int64_t>(row));
    }
    for (size_t i = 0; i < split.size(); i++) {
      Partition& partition = partitions_[table_->PartitionIndex(keys.paths[i])];
      TARN_RETURN_IF_ERROR(Buffer(*batch, keys, split[i], &partition.runs[run]));
    }
    for (auto& [index, partition] : partitions_) {
      if (partition.runs[run].rows >= kFlushRows) TARN_RETURN_IF_ERROR(Flush(index, partition, run));
    }
    while (buffered_bytes_ > kMostBufferedBytes) TARN_RETURN_IF_ERROR(FlushLargest());
    return {};
  }

  Result<CommitResult> Finish(const CommitProperties& properties) override {
    for (auto& [index, partition] : partitions_) {
      for (const auto& [run, waiting] : partition.runs) TARN_RETURN_IF_ERROR(Flush(index, partition, run));
      TARN_RETURN_IF_ERROR(CloseFile(partition));
    }
    TARN_RETURN_IF_ERROR(EmptyTheRest());
    TARN_RETURN_IF_ERROR(BuildIndex());
    TARN_ASSIGN(CommitResult result, table_->Complete(content_, properties));
    finished_ = true;
    table_->CatchUp();
    return result;
  }

 private:
  /// Rows of one run that wait for their file.
  struct Waiting {
    std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
    std::vector<std::shared_ptr<arrow::StringArray>> keys;
    std::vector<Hash128> identities;
    int64_t rows = 0, bytes = 0;
  };
  struct Partition {
    std::map<int, Waiting> runs;
    int last_run = 0;  ///< Whose rows were written last.
    std::unique_ptr<BaseFileWriter> file;
    uint32_t group = 0;  ///< The ordinal that the open file's group has or will have.
    size_t base = 0;     ///< The open file's place in the commit.
  };
  bool is_reload() const { return before_ != nullptr; }

  Status Buffer(const arrow::RecordBatch& batch, const RowKeys& keys, const std::vector<int64_t>& selected,
                Waiting* waiting) {
    std::shared_ptr<arrow::RecordBatch> rows;
    std::shared_ptr<arrow::StringArray> row_keys = keys.keys;
    if (static_cast<int64_t>(selected.size()) == batch.num_rows()) {
      rows = arrow::RecordBatch::Make(batch.schema(), batch.num_rows(), batch.columns());
    } else {
      arrow::ArrayVector columns = batch.columns();
      columns.push_back(keys.keys);
      arrow::FieldVector fields = batch.schema()->fields();
      fields.push_back(arrow::field(kRecordKey, arrow::utf8()));
      const auto with_keys = arrow::RecordBatch::Make(arrow::schema(fields), batch.num_rows(), columns);
      TARN_ASSIGN(const auto taken, TakeRows(*with_keys, selected));
      row_keys = std::static_pointer_cast<arrow::StringArray>(taken->column(taken->num_columns() - 1));
      arrow::ArrayVector without(taken->columns().begin(), taken->columns().end() - 1);
      rows = arrow::RecordBatch::Make(batch.schema(), taken->num_rows(), std::move(without));
    }
    for (const int64_t row : selected)
      waiting->identities.push_back(keys.identities[static_cast<size_t>(row)]);
    const int64_t bytes = arrow::util::ReferencedBufferSize(*rows).ValueOr(0) + rows->num_rows() * 64;
    waiting->bytes += bytes;
    buffered_bytes_ += bytes;
    waiting->rows += rows->num_rows();
    waiting->batches.push_back(std::move(rows));
    waiting->keys.push_back(std::move(row_keys));
    return {};
  }

  Status FlushLargest() {
    uint32_t partition = 0;
    int run = 0;
    int64_t most = 0;
    for (const auto& [index, candidate] : partitions_) {
      for (const auto& [number, waiting] : candidate.runs) {
        if (waiting.bytes <= most) continue;
        most = waiting.bytes;
        partition = index;
        run = number;
      }
    }
    return Flush(partition, partitions_.at(partition), run);
  }

  Status Flush(uint32_t index, Partition& partition, int run) {
    Waiting& waiting = partition.runs[run];
    if (waiting.rows == 0) return {};
    if (!partition.file) {
      TARN_RETURN_IF_ERROR(CloseLargest());
      TARN_RETURN_IF_ERROR(OpenFile(index, partition));
    } else if (run != partition.last_run) {
      partition.file->EndRowGroup(kLeastGroupRows);
    }
    partition.last_run = run;
    TARN_RETURN_IF_ERROR(IndexRows(partition, waiting));
    for (size_t i = 0; i < waiting.batches.size(); i++) {
      TARN_RETURN_IF_ERROR(partition.file->Append(*waiting.batches[i], *waiting.keys[i]));
    }
    buffered_bytes_ -= waiting.bytes;
    waiting = Waiting{};
    if (partition.file->bytes() >= table_->options_.target_file_bytes) return CloseFile(partition);
    return {};
  }

  Status OpenFile(uint32_t index, Partition& partition) {
    std::string file_id;
    auto* free = index < free_groups_.size() && !free_groups_[index].empty() ? &free_groups_[index] : nullptr;
    if (free != nullptr) {
      partition.group = free->back();
      free->pop_back();
      file_id = table_->groups_[partition.group].file_id;
    } else {
      // New groups get their ordinals in the order in which they are listed.
      partition.group = static_cast<uint32_t>(table_->groups_.size()) + new_groups_++;
      file_id = NewFileId();
    }
    TARN_ASSIGN(partition.file, table_->OpenBase(table_->partitions_[index], file_id, content_.instant,
                                                 static_cast<int>(content_.bases.size())));
    partition.base = content_.bases.size();
    content_.bases.push_back({free != nullptr ? partition.group : NewBase::kNewGroup, nullptr});
    open_files_++;
    return {};
  }

  /// What a reload has no rows for.
  Status EmptyTheRest() {
    for (uint32_t index = 0; index < free_groups_.size(); index++) {
      while (!free_groups_[index].empty()) {
        TARN_ASSIGN(const bool empty, table_->IsEmpty(table_->groups_[free_groups_[index].back()]));
        if (empty) {
          free_groups_[index].pop_back();
          continue;
        }
        Partition partition;
        TARN_RETURN_IF_ERROR(OpenFile(index, partition));
        TARN_RETURN_IF_ERROR(CloseFile(partition));
      }
    }
    return {};
  }

  Status IndexRows(const Partition& partition, const Waiting& waiting) {
    if (!table_->has_index_) return {};
    auto position = static_cast<uint32_t>(partition.file->rows());
    for (const Hash128& identity : waiting.identities)
      TARN_RETURN_IF_ERROR(spool_.Add(identity, {partition.group, position++}));
    return {};
  }

  Status BuildIndex() {
    if (!table_->has_index_) return {};
    // The rows' buffers are free now, and the index is mapped beside what malloc keeps of them.
    ReleaseFreedMemory();
    if (is_reload()) TARN_RETURN_IF_ERROR(table_->index_.Reset(table_->IndexFolder(), 0));
    RowPlace twice;
    TARN_RETURN_IF_ERROR(spool_.BuildInto(&table_->index_, &twice));
    if (twice.group == RowPlace::kNowhere) return {};
    return MakeError(ErrorCode::kInvalidArgument,
                     "table '{}': two rows that were given to its load have one identity",
                     table_->options_.name);
  }

  Status CloseLargest() {
    if (open_files_ < kMostOpenFiles) return {};
    Partition* largest = nullptr;
    for (auto& [index, partition] : partitions_) {
      if (partition.file && (largest == nullptr || partition.file->rows() > largest->file->rows())) {
        largest = &partition;
      }
    }
    return largest == nullptr ? Status{} : CloseFile(*largest);
  }

  Status CloseFile(Partition& partition) {
    if (!partition.file) return {};
    TARN_RETURN_IF_ERROR(partition.file->Close());
    const bool is_new = content_.bases[partition.base].group == NewBase::kNewGroup;
    content_.metadata.stats.push_back(table_->BaseStat(
        *partition.file, is_new ? std::string() : table_->groups_[partition.group].base.instant));
    content_.bases[partition.base].file = std::move(partition.file);
    open_files_--;
    return {};
  }

  HudiTable* table_;
  const std::shared_ptr<arrow::Schema> before_;
  CommitContent content_;
  std::vector<std::vector<uint32_t>> free_groups_;  ///< Of a reload: by partition, not written to yet.
  uint32_t new_groups_ = 0;
  KeySpool spool_;
  std::map<uint32_t, Partition> partitions_;
  int64_t buffered_bytes_ = 0;
  size_t open_files_ = 0;
  bool finished_ = false;
};

Result<std::unique_ptr<BulkWriter>> HudiTable::BeginBulkInsert(const std::string& instant) {
  TARN_RETURN_IF_ERROR(Begin(instant));
  return std::unique_ptr<BulkWriter>(std::make_unique<HudiBulkWriter>(this, instant, nullptr));
}

Result<std::unique_ptr<BulkWriter>> HudiTable::BeginReload(const std::string& instant,
                                                           std::shared_ptr<arrow::Schema> schema) {
  TARN_RETURN_IF_ERROR(Begin(instant));
  for (const auto& field : options_.schema->fields()) {
    if (schema->GetFieldByName(field->name())) continue;
    return MakeError(ErrorCode::kInvalidArgument, "table '{}': the new content lacks the column '{}'",
                     options_.name, field->name());
  }
  auto before = options_.schema;
  TARN_RETURN_IF_ERROR(UseSchema(std::move(schema)));
  return std::unique_ptr<BulkWriter>(std::make_unique<HudiBulkWriter>(this, instant, std::move(before)));
}

}  // namespace tarn::hudi
