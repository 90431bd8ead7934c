#include "parquet/parquet_reader.h"

#include <arrow/api.h>
#include <arrow/compute/api_vector.h>
#include <arrow/util/key_value_metadata.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>

#include <algorithm>

#include "storage/arrow_status.h"

namespace tarn::parquet {
namespace {

/// Of streams: many may be open at a time.
constexpr int64_t kStreamRows = 4096;

class ArrowFileReader : public FileReader {
 public:
  class Rows;

  explicit ArrowFileReader(std::string name) : name_(std::move(name)) {}

  Status Start(std::shared_ptr<arrow::io::RandomAccessFile> file) {
    try {
      ::parquet::ArrowReaderProperties properties;
      properties.set_batch_size(64 * 1024);
      properties.set_use_threads(false);
      ::parquet::arrow::FileReaderBuilder builder;
      TARN_RETURN_IF_ERROR(Check(builder.Open(std::move(file))));
      TARN_RETURN_IF_ERROR(Check(builder.properties(properties)->Build(&reader_)));
      TARN_RETURN_IF_ERROR(Check(reader_->GetSchema(&schema_)));
    } catch (const std::exception& error) {
      return Thrown(error);
    }
    return {};
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  int64_t rows() const override { return reader_->parquet_reader()->metadata()->num_rows(); }

  std::optional<std::string> Metadata(const std::string& key) const override {
    const auto metadata = reader_->parquet_reader()->metadata()->key_value_metadata();
    if (!metadata) return std::nullopt;
    const int at = metadata->FindKey(key);
    if (at < 0) return std::nullopt;
    return metadata->value(at);
  }

  Status Scan(const std::vector<std::string>& columns, int64_t begin, int64_t end,
              const BatchSink& sink) override {
    std::vector<int> indices;
    for (const int field : Indices(columns))
      AppendLeaves(reader_->manifest().schema_fields[static_cast<size_t>(field)], &indices);
    try {
      int64_t group_begin = 0;
      for (int group = 0; group < reader_->num_row_groups(); group++) {
        const int64_t group_rows = reader_->parquet_reader()->metadata()->RowGroup(group)->num_rows();
        if (group_begin < end && group_begin + group_rows > begin) {
          TARN_RETURN_IF_ERROR(ScanGroup(group, group_begin, indices, begin, end, sink));
        }
        group_begin += group_rows;
      }
    } catch (const std::exception& error) {
      return Thrown(error);
    }
    return {};
  }

  Result<std::shared_ptr<arrow::RecordBatch>> ReadRows(const std::vector<std::string>& columns,
                                                       const std::vector<int64_t>& positions) override {
    if (!positions.empty() && positions.back() >= rows()) {
      return MakeError(ErrorCode::kInvalidArgument, "row {} of '{}', which has {}", positions.back(), name_,
                       rows());
    }
    std::vector<std::shared_ptr<arrow::RecordBatch>> parts;
    size_t at = 0;
    while (at < positions.size()) {
      const auto [begin, end] = GroupOf(positions[at]);
      const size_t from = at;
      while (at < positions.size() && positions[at] < end) at++;
      TARN_RETURN_IF_ERROR(
          Scan(columns, positions[from], positions[at - 1] + 1,
               [&](const auto& batch, int64_t first) { return Select(*batch, first, positions, &parts); }));
    }
    if (parts.empty()) {
      TARN_ASSIGN(auto schema, Projected(columns));
      auto empty = arrow::RecordBatch::MakeEmpty(schema);
      if (!empty.ok()) return Broken(empty.status().ToString());
      return *empty;
    }
    auto whole = arrow::ConcatenateRecordBatches(parts);
    if (!whole.ok()) return Broken(whole.status().ToString());
    return *whole;
  }

 private:
  Error Broken(const std::string& why) const {
    return MakeError(ErrorCode::kCorrupt, "Parquet '{}': {}", name_, why);
  }
  Status Check(const arrow::Status& status) const {
    if (status.ok()) return {};
    return storage::FromArrow(status, ErrorCode::kCorrupt, "Parquet '" + name_ + "'");
  }
  /// The library wraps a file's own status into an exception: a store that is away is no broken file.
  Error Thrown(const std::exception& error) const {
    const auto* wrapped = dynamic_cast<const ::parquet::ParquetStatusException*>(&error);
    if (wrapped != nullptr && !wrapped->status().ok()) return Check(wrapped->status()).error();
    return Broken(error.what());
  }

  /// The file's columns behind a field: one, or all those of a nested type.
  static void AppendLeaves(const ::parquet::arrow::SchemaField& field, std::vector<int>* leaves) {
    if (field.is_leaf()) leaves->push_back(field.column_index);
    for (const auto& child : field.children) AppendLeaves(child, leaves);
  }

  /// Of fields, in their order.
  std::vector<int> Indices(const std::vector<std::string>& columns) const {
    std::vector<int> indices;
    for (const std::string& column : columns) {
      const int at = schema_->GetFieldIndex(column);
      if (at >= 0) indices.push_back(at);
    }
    return indices;
  }

  Result<std::shared_ptr<arrow::Schema>> Projected(const std::vector<std::string>& columns) const {
    arrow::FieldVector fields;
    for (const int at : Indices(columns)) fields.push_back(schema_->field(at));
    return arrow::schema(fields);
  }

  std::pair<int64_t, int64_t> GroupOf(int64_t position) const {
    int64_t begin = 0;
    for (int group = 0; group < reader_->num_row_groups(); group++) {
      const int64_t rows = reader_->parquet_reader()->metadata()->RowGroup(group)->num_rows();
      if (position < begin + rows) return {begin, begin + rows};
      begin += rows;
    }
    return {begin, INT64_MAX};
  }

  Status ScanGroup(int group, int64_t group_begin, const std::vector<int>& indices, int64_t begin,
                   int64_t end, const BatchSink& sink) {
    auto batches = reader_->GetRecordBatchReader({group}, indices);
    TARN_RETURN_IF_ERROR(Check(batches.status()));
    int64_t at = group_begin;
    while (at < end) {
      std::shared_ptr<arrow::RecordBatch> batch;
      TARN_RETURN_IF_ERROR(Check((*batches)->ReadNext(&batch)));
      if (!batch) return {};
      const int64_t from = std::max(begin, at), to = std::min(end, at + batch->num_rows());
      if (from < to) TARN_RETURN_IF_ERROR(sink(batch->Slice(from - at, to - from), from));
      at += batch->num_rows();
    }
    return {};
  }

  Status Select(const arrow::RecordBatch& batch, int64_t first, const std::vector<int64_t>& positions,
                std::vector<std::shared_ptr<arrow::RecordBatch>>* parts) const {
    const auto from = std::lower_bound(positions.begin(), positions.end(), first);
    const auto to = std::lower_bound(from, positions.end(), first + batch.num_rows());
    if (from == to) return {};
    arrow::Int64Builder builder;
    TARN_RETURN_IF_ERROR(Check(builder.Reserve(to - from)));
    for (auto it = from; it != to; ++it) builder.UnsafeAppend(*it - first);
    std::shared_ptr<arrow::Array> rows;
    TARN_RETURN_IF_ERROR(Check(builder.Finish(&rows)));
    arrow::ArrayVector columns;
    for (const auto& column : batch.columns()) {
      auto taken = arrow::compute::Take(*column, *rows, arrow::compute::TakeOptions::NoBoundsCheck());
      TARN_RETURN_IF_ERROR(Check(taken.status()));
      columns.push_back(*taken);
    }
    parts->push_back(arrow::RecordBatch::Make(batch.schema(), to - from, std::move(columns)));
    return {};
  }

  std::string name_;
  std::unique_ptr<::parquet::arrow::FileReader> reader_;
  std::shared_ptr<arrow::Schema> schema_;
};

class ArrowFileReader::Rows : public RowStream {
 public:
  Rows(std::shared_ptr<ArrowFileReader> file, int64_t begin) : file_(std::move(file)), skip_(begin) {
    file_->reader_->set_batch_size(kStreamRows);
  }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    try {
      while (true) {
        if (batches_ == nullptr) {
          TARN_ASSIGN(const bool more, NextGroup());
          if (!more) return nullptr;
        }
        std::shared_ptr<arrow::RecordBatch> batch;
        TARN_RETURN_IF_ERROR(file_->Check(batches_->ReadNext(&batch)));
        if (!batch) {
          batches_.reset();
          continue;
        }
        const int64_t rows = batch->num_rows();
        const int64_t skipped = std::min(skip_, rows);
        skip_ -= skipped;
        if (skipped < rows) return skipped == 0 ? batch : batch->Slice(skipped);
      }
    } catch (const std::exception& error) {
      return file_->Thrown(error);
    }
  }

 private:
  /// One at a time: the library would fetch all that it is asked for at once.
  Result<bool> NextGroup() {
    for (; group_ < file_->reader_->num_row_groups(); group_++) {
      const int64_t rows = file_->reader_->parquet_reader()->metadata()->RowGroup(group_)->num_rows();
      if (rows > skip_) break;
      skip_ -= rows;
    }
    if (group_ >= file_->reader_->num_row_groups()) return false;
    auto batches = file_->reader_->GetRecordBatchReader({group_++});
    TARN_RETURN_IF_ERROR(file_->Check(batches.status()));
    batches_ = std::move(*batches);
    return true;
  }

  std::shared_ptr<ArrowFileReader> file_;
  std::unique_ptr<arrow::RecordBatchReader> batches_;
  int group_ = 0;
  int64_t skip_;
};

}  // namespace

std::unique_ptr<RowStream> FileReader::Stream(std::shared_ptr<FileReader> reader, int64_t begin) {
  return std::make_unique<ArrowFileReader::Rows>(std::static_pointer_cast<ArrowFileReader>(std::move(reader)),
                                                 begin);
}

Result<std::unique_ptr<FileReader>> FileReader::Open(std::shared_ptr<arrow::io::RandomAccessFile> file,
                                                     std::string name) {
  auto reader = std::make_unique<ArrowFileReader>(std::move(name));
  TARN_RETURN_IF_ERROR(reader->Start(std::move(file)));
  return std::unique_ptr<FileReader>(std::move(reader));
}

}  // namespace tarn::parquet
