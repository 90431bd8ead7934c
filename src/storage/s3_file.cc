#include <arrow/buffer.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <mutex>

#include "storage/arrow_status.h"
#include "storage/s3_storage.h"

namespace tarn::storage {
namespace {

/// An object up to this size is fetched whole when the first byte of it is wanted: a reader of Parquet asks
/// for its parts one by one.
constexpr int64_t kWholeBytes = 4 << 20;

class S3File : public arrow::io::RandomAccessFile {
 public:
  S3File(std::shared_ptr<S3Client> client, std::string key, int64_t size)
      : client_(std::move(client)), key_(std::move(key)), size_(size) {}

  arrow::Result<int64_t> GetSize() override { return size_; }
  arrow::Result<int64_t> Tell() const override { return position_; }
  arrow::Status Seek(int64_t position) override {
    if (position < 0) return arrow::Status::Invalid("seek to ", position);
    position_ = position;
    return arrow::Status::OK();
  }
  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  bool closed() const override { return closed_; }

  arrow::Result<int64_t> ReadAt(int64_t position, int64_t bytes, void* out) override {
    if (position < 0 || bytes < 0) return arrow::Status::Invalid("read ", bytes, " bytes at ", position);
    bytes = std::min(bytes, std::max<int64_t>(size_ - position, 0));
    if (bytes == 0) return 0;
    if (size_ > kWholeBytes) {
      const auto part = Fetch(position, bytes);
      if (!part) return ToArrow(part.error());
      std::memcpy(out, part->data(), part->size());
      return bytes;
    }
    const std::lock_guard lock(mutex_);
    if (whole_.empty()) {
      auto whole = Fetch(0, size_);
      if (!whole) return ToArrow(whole.error());
      whole_ = *std::move(whole);
    }
    std::memcpy(out, whole_.data() + position, static_cast<size_t>(bytes));
    return bytes;
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position, int64_t bytes) override {
    ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateResizableBuffer(std::max<int64_t>(bytes, 0)));
    ARROW_ASSIGN_OR_RAISE(const int64_t got, ReadAt(position, bytes, buffer->mutable_data()));
    ARROW_RETURN_NOT_OK(buffer->Resize(got));
    return std::shared_ptr<arrow::Buffer>(std::move(buffer));
  }
  arrow::Result<int64_t> Read(int64_t bytes, void* out) override {
    ARROW_ASSIGN_OR_RAISE(const int64_t got, ReadAt(position_, bytes, out));
    position_ += got;
    return got;
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t bytes) override {
    ARROW_ASSIGN_OR_RAISE(auto buffer, ReadAt(position_, bytes));
    position_ += buffer->size();
    return buffer;
  }

 private:
  /// Exactly these bytes.
  Result<std::string> Fetch(int64_t position, int64_t bytes) {
    S3Call call{"read", "GET", key_};
    call.headers["range"] = fmt::format("bytes={}-{}", position, position + bytes - 1);
    TARN_ASSIGN(HttpResponse response, client_->Send(call));
    // A store that knows no ranges sends all of it.
    if (response.status == 200 && static_cast<int64_t>(response.body.size()) == size_)
      response.body = response.body.substr(static_cast<size_t>(position), static_cast<size_t>(bytes));
    if (static_cast<int64_t>(response.body.size()) != bytes) {
      return MakeError(ErrorCode::kCorrupt, "read '{}': {} bytes came of {} at {}: it is another object now",
                       client_->PathOf(key_), response.body.size(), bytes, position);
    }
    return std::move(response.body);
  }

  std::shared_ptr<S3Client> client_;
  const std::string key_;
  const int64_t size_;
  std::mutex mutex_;
  std::string whole_;  ///< Of a small object; under mutex_.
  int64_t position_ = 0;
  bool closed_ = false;
};

}  // namespace

Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenS3Object(std::shared_ptr<S3Client> client,
                                                                  const std::string& key) {
  TARN_ASSIGN(const HttpResponse response, client->Send({"open", "HEAD", key}));
  const std::string text = response.Header("content-length");
  int64_t size = -1;
  std::from_chars(text.data(), text.data() + text.size(), size);
  if (size < 0) {
    return MakeError(ErrorCode::kIo, "open '{}': the store does not say its size", client->PathOf(key));
  }
  return std::shared_ptr<arrow::io::RandomAccessFile>(std::make_shared<S3File>(std::move(client), key, size));
}

}  // namespace tarn::storage
