#include "bronze/parquet_files.h"

#include <arrow/buffer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/byte_size.h>
#include <zlib.h>

#include <array>
#include <limits>

#include "parquet/constant_text.h"
#include "parquet/parquet_reader.h"
#include "parquet/parquet_writer.h"

namespace tarn::bronze {
namespace {

/// Passes bytes on and keeps their CRC-32, which the manifest records.
class ChecksumStream : public arrow::io::OutputStream {
 public:
  explicit ChecksumStream(arrow::io::OutputStream* to) : to_(to) {}
  arrow::Status Write(const void* data, int64_t size) override {
    checksum_ =
        static_cast<uint32_t>(crc32_z(checksum_, static_cast<const Bytef*>(data), static_cast<size_t>(size)));
    size_ += size;
    return to_->Write(data, size);
  }
  using arrow::io::OutputStream::Write;
  arrow::Status Close() override { return arrow::Status::OK(); }
  bool closed() const override { return false; }
  arrow::Result<int64_t> Tell() const override { return size_; }
  uint32_t checksum() const { return checksum_; }
  int64_t size() const { return size_; }

 private:
  arrow::io::OutputStream* to_;
  uint32_t checksum_ = 0;
  int64_t size_ = 0;
};

class ParquetChangeFile : public ChangeFile {
 public:
  ParquetChangeFile(std::string path, std::unique_ptr<storage::StagedFile> staged,
                    const ChangeFileOptions& options)
      : path_(std::move(path)), staged_(std::move(staged)), stream_(staged_->stream()), options_(options) {}

  Status Start(const schema::TableSchema& table) {
    parquet::WriterOptions options;
    options.unique_columns = {std::string(schema::kOrdinal)};
    for (const schema::Column& column : table.columns) {
      if (!column.is_key) options.unpruned_columns.insert(column.lake_name);
    }
    schema_ = schema::ChangeSchema(table);
    if (options_.is_copy) {
      arrow::FieldVector fields = schema_->fields();
      for (const size_t head : kHeads) fields[head] = fields[head]->WithType(parquet::ConstantTextType());
      schema_ = arrow::schema(fields);
    }
    TARN_ASSIGN(writer_, parquet::FileWriter::Open(&stream_, schema_, options));
    return {};
  }
  Status Append(const arrow::RecordBatch& rows) override {
    TARN_RETURN_IF_ERROR(WriteRows(rows));
    open_group_bytes_ += arrow::util::ReferencedBufferSize(rows).ValueOr(0);
    if (options_.group_bytes == 0 || open_group_bytes_ < options_.group_bytes) return {};
    writer_->EndRowGroup(1);
    open_group_bytes_ = 0;
    return {};
  }
  int64_t rows() const override { return writer_->rows(); }
  int64_t bytes() const override { return writer_->bytes(); }
  Result<FileEntry> Publish() override {
    TARN_RETURN_IF_ERROR(writer_->Close());
    TARN_RETURN_IF_ERROR(staged_->Publish());
    return FileEntry{path_, writer_->rows(), stream_.size(), stream_.checksum()};
  }

 private:
  /// Operation and commit time.
  static constexpr std::array<size_t, 2> kHeads{0, 1};

  Status WriteRows(const arrow::RecordBatch& rows) {
    if (!options_.is_copy) return writer_->Write(rows);
    arrow::ArrayVector columns = rows.columns();
    for (const size_t head : kHeads) columns[head] = parquet::AsConstantText(columns[head]);
    return writer_->Write(*arrow::RecordBatch::Make(schema_, rows.num_rows(), std::move(columns)));
  }

  std::string path_;
  std::unique_ptr<storage::StagedFile> staged_;
  ChecksumStream stream_;
  std::shared_ptr<arrow::Schema> schema_;
  std::unique_ptr<parquet::FileWriter> writer_;
  const ChangeFileOptions options_;
  int64_t open_group_bytes_ = 0;  ///< As they were in memory.
};

std::string PathPart(const std::string& name) {
  std::string out;
  for (const unsigned char c : name) {
    const bool plain =
        c > 32 && c != '/' && c != '\\' && c != '%' && c != '*' && c != '?' && c != '"' && c < 127;
    out += plain ? std::string(1, static_cast<char>(c)) : fmt::format("%{:02X}", c);
  }
  return out == "." || out == ".." ? "%2E" + out.substr(1) : out;
}

}  // namespace

std::string TableFolder(const schema::TableSchema& table) {
  return "bronze/" + PathPart(table.schema_name) + "/" +
         PathPart(table.named ? table.lake_name : table.table_name);
}

std::string FileName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

Status ForEachFile(const storage::Storage& storage, const std::string& lake, const std::string& root,
                   const std::function<Status(const std::string& path, const storage::FileInfo&)>& take) {
  TARN_ASSIGN(const auto schemas, storage.List(lake + "/" + root));
  for (const auto& schema : schemas) {
    TARN_ASSIGN(const auto tables, storage.List(lake + "/" + root + "/" + schema.name));
    for (const auto& table : tables) {
      const std::string folder = root + "/" + schema.name + "/" + table.name;
      TARN_ASSIGN(const auto files, storage.List(lake + "/" + folder));
      for (const auto& file : files) TARN_RETURN_IF_ERROR(take(folder + "/" + file.name, file));
    }
  }
  return {};
}

Result<std::unique_ptr<ChangeFile>> CreateChangeFile(storage::Storage* storage, const std::string& lake,
                                                     const std::string& path,
                                                     const schema::TableSchema& table,
                                                     const ChangeFileOptions& options) {
  TARN_ASSIGN(auto staged, storage->Stage(lake + "/" + path));
  auto file = std::make_unique<ParquetChangeFile>(path, std::move(staged), options);
  TARN_RETURN_IF_ERROR(file->Start(table));
  return std::unique_ptr<ChangeFile>(std::move(file));
}

Result<std::unique_ptr<parquet::FileReader>> OpenChangeFile(
    std::shared_ptr<arrow::io::RandomAccessFile> input, const FileEntry& file) {
  TARN_ASSIGN(auto reader, parquet::FileReader::Open(std::move(input), file.path));
  const int64_t expected = file.is_part() ? file.file_rows : file.rows;
  if (reader->rows() != expected) {
    return MakeError(ErrorCode::kCorrupt, "'{}' has {} rows, its manifest says {}", file.path, reader->rows(),
                     expected);
  }
  return reader;
}

Status ReadChangeFile(const storage::Storage& storage, const std::string& lake, const FileEntry& file,
                      const std::function<Status(std::shared_ptr<arrow::RecordBatch>)>& take) {
  TARN_ASSIGN(auto input, storage.Open(lake + "/" + file.path));
  TARN_ASSIGN(const auto reader, OpenChangeFile(std::move(input), file));
  return reader->Scan(reader->schema()->field_names(), file.first_row, file.first_row + file.rows,
                      [&](const std::shared_ptr<arrow::RecordBatch>& rows, int64_t) { return take(rows); });
}

}  // namespace tarn::bronze
