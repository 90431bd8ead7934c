#include "bronze/parquet_files.h"

#include <arrow/buffer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <zlib.h>

#include <limits>

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
  ParquetChangeFile(std::string path, std::unique_ptr<storage::StagedFile> staged)
      : path_(std::move(path)), staged_(std::move(staged)), stream_(staged_->stream()) {}

  Status Start(const schema::TableSchema& table) {
    parquet::WriterOptions options;
    options.unique_columns = {std::string(schema::kOrdinal)};
    TARN_ASSIGN(writer_, parquet::FileWriter::Open(&stream_, schema::ChangeSchema(table), options));
    return {};
  }
  Status Append(const arrow::RecordBatch& rows) override { return writer_->Write(rows); }
  int64_t rows() const override { return writer_->rows(); }
  int64_t bytes() const override { return writer_->bytes(); }
  Result<FileEntry> Publish() override {
    TARN_RETURN_IF_ERROR(writer_->Close());
    TARN_RETURN_IF_ERROR(staged_->Publish());
    return FileEntry{path_, writer_->rows(), stream_.size(), stream_.checksum()};
  }

 private:
  std::string path_;
  std::unique_ptr<storage::StagedFile> staged_;
  ChecksumStream stream_;
  std::unique_ptr<parquet::FileWriter> writer_;
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

Result<std::unique_ptr<ChangeFile>> CreateChangeFile(storage::Storage* storage, const std::string& lake,
                                                     const std::string& path,
                                                     const schema::TableSchema& table) {
  TARN_ASSIGN(auto staged, storage->Stage(lake + "/" + path));
  auto file = std::make_unique<ParquetChangeFile>(path, std::move(staged));
  TARN_RETURN_IF_ERROR(file->Start(table));
  return std::unique_ptr<ChangeFile>(std::move(file));
}

Status ReadChangeFile(const storage::Storage& storage, const std::string& lake, const FileEntry& file,
                      const std::function<Status(std::shared_ptr<arrow::RecordBatch>)>& take) {
  TARN_ASSIGN(auto input, storage.Open(lake + "/" + file.path));
  TARN_ASSIGN(auto reader, parquet::FileReader::Open(std::move(input), file.path));
  if (reader->rows() != file.rows) {
    return MakeError(ErrorCode::kCorrupt, "'{}' has {} rows, its manifest says {}", file.path, reader->rows(),
                     file.rows);
  }
  const std::vector<std::string> columns = reader->schema()->field_names();
  return reader->Scan(columns, 0, reader->rows(),
                      [&](const std::shared_ptr<arrow::RecordBatch>& rows, int64_t) { return take(rows); });
}

}  // namespace tarn::bronze
