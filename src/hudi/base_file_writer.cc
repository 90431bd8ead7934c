#include "hudi/base_file_writer.h"

#include <arrow/api.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "hudi/avro_schema.h"
#include "hudi/file_name.h"
#include "parquet/constant_text.h"

namespace tarn::hudi {
std::shared_ptr<arrow::Array> SeqnoColumn(const std::string& instant, int ordinal, int64_t first,
                                          int64_t rows) {
  const std::string prefix = fmt::format("{}_{}_", instant, ordinal);
  std::vector<int32_t> offsets(static_cast<size_t>(rows) + 1);
  std::string text;
  text.reserve(static_cast<size_t>(rows) * (prefix.size() + 8));
  char digits[24];
  for (int64_t row = 0; row < rows; row++) {
    text.append(prefix);
    text.append(digits, std::to_chars(digits, digits + sizeof(digits), first + row).ptr);
    offsets[static_cast<size_t>(row) + 1] = static_cast<int32_t>(text.size());
  }
  return std::make_shared<arrow::StringArray>(rows, arrow::Buffer::FromVector(std::move(offsets)),
                                              arrow::Buffer::FromString(std::move(text)));
}

std::shared_ptr<arrow::Array> ConstantColumn(const std::string& value, int64_t rows) {
  std::vector<int32_t> offsets(static_cast<size_t>(rows) + 1);
  std::string text;
  text.reserve(static_cast<size_t>(rows) * value.size());
  for (int64_t row = 0; row < rows; row++) {
    text.append(value);
    offsets[static_cast<size_t>(row) + 1] = static_cast<int32_t>(text.size());
  }
  return std::make_shared<arrow::StringArray>(rows, arrow::Buffer::FromVector(std::move(offsets)),
                                              arrow::Buffer::FromString(std::move(text)));
}

Result<std::unique_ptr<BaseFileWriter>> BaseFileWriter::Open(storage::Storage* storage, BaseFileTarget target,
                                                             const arrow::Schema& schema,
                                                             std::string avro_schema) {
  std::unique_ptr<BaseFileWriter> writer(new BaseFileWriter());
  writer->target_ = std::move(target);
  const BaseFileTarget& to = writer->target_;
  writer->name_ = FormatBaseFileName(to.file_id, to.token, to.instant);
  writer->avro_schema_ = std::move(avro_schema);
  arrow::FieldVector fields = WithMetaColumns(schema)->fields();
  for (const int constant : {3, 4})
    fields[static_cast<size_t>(constant)] =
        fields[static_cast<size_t>(constant)]->WithType(parquet::ConstantTextType());
  writer->schema_ = arrow::schema(fields);
  TARN_ASSIGN(writer->file_, storage->Stage(JoinPath(JoinPath(to.base_path, to.partition), writer->name_)));
  parquet::WriterOptions options;
  options.unique_columns = {kCommitSeqno, kRecordKey};
  TARN_ASSIGN(writer->writer_, parquet::FileWriter::Open(writer->file_->stream(), writer->schema_, options));
  return writer;
}

Result<std::shared_ptr<arrow::Array>> BaseFileWriter::Constant(const std::string& value, int64_t rows) const {
  auto zeros = arrow::MakeArrayFromScalar(arrow::Int32Scalar(0), rows);
  TARN_RETURN_IF_ERROR(FromArrow(zeros.status(), "constant column"));
  auto array =
      arrow::DictionaryArray::FromArrays(parquet::ConstantTextType(), *zeros, ConstantColumn(value, 1));
  TARN_RETURN_IF_ERROR(FromArrow(array.status(), "constant column"));
  return *array;
}

void BaseFileWriter::AddKeys(const arrow::StringArray& keys) {
  for (int64_t row = 0; row < keys.length(); row++) {
    const std::string_view key = keys.GetView(row);
    bloom_.Add(key);
    if (row == 0 && rows_ == 0) {
      min_key_ = max_key_ = key;
    } else if (key < min_key_) {
      min_key_ = key;
    } else if (key > max_key_) {
      max_key_ = key;
    }
  }
}

Status BaseFileWriter::Append(const arrow::RecordBatch& rows, const arrow::StringArray& keys) {
  AddKeys(keys);
  TARN_ASSIGN(auto partition, Constant(target_.partition, rows.num_rows()));
  TARN_ASSIGN(auto name, Constant(name_, rows.num_rows()));
  return Write({ConstantColumn(target_.instant, rows.num_rows()),
                SeqnoColumn(target_.instant, target_.ordinal, rows_, rows.num_rows()),
                arrow::MakeArray(keys.data()), std::move(partition), std::move(name)},
               rows.columns(), rows.num_rows());
}

Status BaseFileWriter::AppendKept(const arrow::RecordBatch& rows) {
  const auto keys = std::static_pointer_cast<arrow::StringArray>(rows.column(2));
  AddKeys(*keys);
  TARN_ASSIGN(auto partition, Constant(target_.partition, rows.num_rows()));
  TARN_ASSIGN(auto name, Constant(name_, rows.num_rows()));
  const arrow::ArrayVector columns(rows.columns().begin() + kMetaColumns, rows.columns().end());
  return Write({rows.column(0), rows.column(1), keys, std::move(partition), std::move(name)}, columns,
               rows.num_rows());
}

Status BaseFileWriter::Write(const arrow::ArrayVector& meta, const arrow::ArrayVector& columns,
                             int64_t rows) {
  arrow::ArrayVector all = meta;
  all.insert(all.end(), columns.begin(), columns.end());
  TARN_RETURN_IF_ERROR(writer_->Write(*arrow::RecordBatch::Make(schema_, rows, std::move(all))));
  rows_ += rows;
  return {};
}

Status BaseFileWriter::Close() {
  TARN_RETURN_IF_ERROR(writer_->AddMetadata("parquet.avro.schema", avro_schema_));
  TARN_RETURN_IF_ERROR(writer_->AddMetadata("writer.model.name", "avro"));
  TARN_RETURN_IF_ERROR(writer_->AddMetadata("org.apache.hudi.bloomfilter", bloom_.Serialize()));
  TARN_RETURN_IF_ERROR(writer_->AddMetadata("hoodie_bloom_filter_type_code", "DYNAMIC_V0"));
  TARN_RETURN_IF_ERROR(writer_->AddMetadata("hoodie_min_record_key", min_key_));
  TARN_RETURN_IF_ERROR(writer_->AddMetadata("hoodie_max_record_key", max_key_));
  TARN_RETURN_IF_ERROR(writer_->Close());
  closed_bytes_ = writer_->bytes();
  return {};
}

Status BaseFileWriter::Publish() { return file_->Publish(); }

}  // namespace tarn::hudi
