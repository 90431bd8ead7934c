#include "parquet/parquet_writer.h"

#include <arrow/api.h>
#include <arrow/util/key_value_metadata.h>
#include <parquet/arrow/writer.h>
#include <parquet/exception.h>
#include <parquet/properties.h>

#include <algorithm>
#include <string_view>
#include <unordered_set>

#include "storage/arrow_status.h"

namespace tarn::parquet {
namespace {

constexpr int64_t kSampleRows = 4096;

Status Check(const arrow::Status& status) {
  return storage::FromArrow(status, ErrorCode::kIo, "write Parquet");
}

/// What a thrown exception says; the library wraps a stream's own status into one.
Error Thrown(const std::exception& error) {
  const auto* wrapped = dynamic_cast<const ::parquet::ParquetStatusException*>(&error);
  if (wrapped != nullptr && !wrapped->status().ok()) return Check(wrapped->status()).error();
  return MakeError(ErrorCode::kIo, "write Parquet: {}", error.what());
}

bool IsText(const arrow::DataType& type) {
  return type.id() == arrow::Type::STRING || type.id() == arrow::Type::BINARY;
}

/// Whether most values of the sample differ; a dictionary of such a column costs time and saves nothing.
bool MostlyDistinct(const arrow::Array& column) {
  const int64_t rows = std::min(column.length(), kSampleRows);
  if (rows < 64) return false;
  const arrow::ArrayData& data = *column.data();
  const bool is_text = IsText(*column.type());
  int width = 0;
  if (!is_text) {
    const auto* fixed = dynamic_cast<const arrow::FixedWidthType*>(column.type().get());
    if (fixed == nullptr || fixed->bit_width() < 32 || column.type_id() == arrow::Type::DICTIONARY)
      return false;
    width = fixed->bit_width() / 8;
  }
  std::unordered_set<std::string_view> seen;
  int64_t values = 0;
  for (int64_t row = 0; row < rows; row++) {
    if (column.IsNull(row)) continue;
    values++;
    if (is_text) {
      seen.insert(static_cast<const arrow::BinaryArray&>(column).GetView(row));
    } else {
      const char* at = reinterpret_cast<const char*>(data.buffers[1]->data()) + (data.offset + row) * width;
      seen.insert({at, static_cast<size_t>(width)});
    }
  }
  return static_cast<int64_t>(seen.size()) * 2 > values;
}

class ArrowFileWriter : public FileWriter {
 public:
  ArrowFileWriter(arrow::io::OutputStream* stream, std::shared_ptr<arrow::Schema> schema,
                  WriterOptions options)
      : stream_(stream, [](arrow::io::OutputStream*) {}),
        schema_(std::move(schema)),
        options_(std::move(options)) {}

  Status Write(const arrow::RecordBatch& rows) override {
    if (rows.num_rows() == 0) return {};
    try {
      if (!writer_) TARN_RETURN_IF_ERROR(Start(&rows));
      if (std::exchange(end_group_, false)) TARN_RETURN_IF_ERROR(Check(writer_->NewBufferedRowGroup()));
      TARN_RETURN_IF_ERROR(Check(writer_->WriteRecordBatch(rows)));
    } catch (const std::exception& error) {
      return Thrown(error);
    }
    rows_ += rows.num_rows();
    group_rows_ = (group_rows_ + rows.num_rows()) % options_.row_group_rows;
    return {};
  }

  void EndRowGroup(int64_t least) override {
    if (group_rows_ < least) return;
    end_group_ = true;
    group_rows_ = 0;
  }

  Status AddMetadata(const std::string& key, const std::string& value) override {
    metadata_->Append(key, value);
    return {};
  }

  Status Close() override {
    try {
      if (!writer_) TARN_RETURN_IF_ERROR(Start(nullptr));
      // Without it Spark cannot know which calendar dates before 1582 and times before 1900 are in, and reads
      // none of a file that has some.
      metadata_->Append("org.apache.spark.version", "3.5.0");
      TARN_RETURN_IF_ERROR(Check(writer_->AddKeyValueMetadata(metadata_)));
      return Check(writer_->Close());
    } catch (const std::exception& error) {
      return Thrown(error);
    }
  }

  int64_t rows() const override { return rows_; }
  int64_t bytes() const override { return stream_->Tell().ValueOr(0); }

 private:
  Status Start(const arrow::RecordBatch* sample) {
    ::parquet::WriterProperties::Builder builder;
    builder.compression(::parquet::Compression::ZSTD)
        ->compression_level(1)
        ->max_row_group_length(options_.row_group_rows)
        ->set_size_statistics_level(::parquet::SizeStatisticsLevel::None)
        ->disable_store_decimal_as_integer();
    for (int i = 0; i < schema_->num_fields(); i++) {
      const std::string& name = schema_->field(i)->name();
      // A dotted path is a nested column; our columns are flat, whatever their name.
      const auto path = std::make_shared<::parquet::schema::ColumnPath>(std::vector<std::string>{name});
      const bool unique = options_.unique_columns.contains(name);
      const bool distinct = unique || (sample != nullptr && MostlyDistinct(*sample->column(i)));
      const bool unpruned =
          distinct && IsText(*schema_->field(i)->type()) && options_.unpruned_columns.contains(name);
      if (unique || unpruned) builder.disable_statistics(path);
      if (distinct) builder.disable_dictionary(path);
    }
    auto writer =
        ::parquet::arrow::FileWriter::Open(*schema_, arrow::default_memory_pool(), stream_, builder.build(),
                                           ::parquet::default_arrow_writer_properties());
    TARN_RETURN_IF_ERROR(Check(writer.status()));
    writer_ = std::move(*writer);
    return {};
  }

  std::shared_ptr<arrow::io::OutputStream> stream_;
  std::shared_ptr<arrow::Schema> schema_;
  WriterOptions options_;
  std::unique_ptr<::parquet::arrow::FileWriter> writer_;
  std::shared_ptr<arrow::KeyValueMetadata> metadata_ = std::make_shared<arrow::KeyValueMetadata>();
  int64_t rows_ = 0;
  int64_t group_rows_ = 0;  ///< Of the open row group.
  bool end_group_ = false;
};

}  // namespace

Result<std::unique_ptr<FileWriter>> FileWriter::Open(arrow::io::OutputStream* stream,
                                                     std::shared_ptr<arrow::Schema> schema,
                                                     WriterOptions options) {
  return std::unique_ptr<FileWriter>(
      std::make_unique<ArrowFileWriter>(stream, std::move(schema), std::move(options)));
}

}  // namespace tarn::parquet
