#include <arrow/result.h>

#include <algorithm>

#include "base/log.h"
#include "storage/arrow_status.h"
#include "storage/s3_storage.h"
#include "storage/s3_xml.h"

namespace tarn::storage {
namespace {

// A multipart upload has 10,000 parts at most. The first ones are small, for what most files need; the later
// ones are larger, for files of up to 580 GB.
constexpr size_t kPartBytes = 8 << 20;
constexpr size_t kLargePartBytes = 64 << 20;
constexpr size_t kSmallParts = 1000;

class S3StagedFile : public StagedFile, public arrow::io::OutputStream {
 public:
  S3StagedFile(std::shared_ptr<S3Client> client, std::string key)
      : client_(std::move(client)), key_(std::move(key)), write_name_(NewWriteName()) {}
  ~S3StagedFile() override {
    if (upload_.empty()) return;
    const auto aborted = client_->Send({"abort", "DELETE", key_, {{"uploadId", upload_}}, {}, {}, true});
    // The next start of the writer tries again.
    if (!aborted) spdlog::debug("{}", aborted.error().message);
  }

  arrow::io::OutputStream* stream() override { return this; }

  arrow::Status Write(const void* data, int64_t size) override {
    position_ += size;
    std::string_view rest(static_cast<const char*>(data), static_cast<size_t>(size));
    while (!rest.empty()) {
      const size_t part_bytes = etags_.size() < kSmallParts ? kPartBytes : kLargePartBytes;
      const size_t taken = std::min(rest.size(), part_bytes - part_.size());
      part_.append(rest.substr(0, taken));
      rest.remove_prefix(taken);
      if (part_.size() < part_bytes) continue;
      if (const Status sent = SendPart(); !sent) return ToArrow(sent.error());
    }
    return arrow::Status::OK();
  }
  using arrow::io::OutputStream::Write;
  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  bool closed() const override { return closed_; }
  arrow::Result<int64_t> Tell() const override { return position_; }

  Status Publish() override {
    if (upload_.empty()) {
      TARN_ASSIGN([[maybe_unused]] const auto put,
                  client_->Send({"write", "PUT", key_, {}, client_->EncryptionHeaders(), part_}));
      return {};
    }
    if (!part_.empty()) TARN_RETURN_IF_ERROR(SendPart());
    TARN_RETURN_IF_ERROR(Complete());
    upload_.clear();
    return {};
  }

 private:
  Status Begin() {
    S3Call call{"write", "POST", key_, {{"uploads", ""}}, client_->EncryptionHeaders()};
    call.headers[kWriteHeader] = write_name_;
    TARN_ASSIGN(const HttpResponse response, client_->Send(call));
    upload_ = XmlText(response.body, "UploadId").value_or("");
    if (!upload_.empty()) return {};
    return MakeError(ErrorCode::kIo, "write '{}': the store names no upload", client_->PathOf(key_));
  }

  Status SendPart() {
    if (upload_.empty()) TARN_RETURN_IF_ERROR(Begin());
    S3Call call{"write", "PUT", key_};
    call.query = {{"partNumber", std::to_string(etags_.size() + 1)}, {"uploadId", upload_}};
    call.body = part_;
    TARN_ASSIGN(const HttpResponse response, client_->Send(call));
    etags_.push_back(response.Header("etag"));
    part_.clear();
    return {};
  }

  Status Complete() {
    std::string parts = "<CompleteMultipartUpload>";
    for (size_t i = 0; i < etags_.size(); i++) {
      parts +=
          fmt::format("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>", i + 1, XmlEscape(etags_[i]));
    }
    parts += "</CompleteMultipartUpload>";
    S3Call call{"write", "POST", key_, {{"uploadId", upload_}}, {{"content-type", "application/xml"}}, parts};
    auto response = client_->Send(call);
    if (response) return {};
    // The upload is gone when an earlier try was done and its answer lost.
    if (response.error().code == ErrorCode::kNotFound) {
      const auto ours = WasWrittenBy(*client_, key_, write_name_);
      if (ours && *ours) return {};
    }
    return std::move(response).error();
  }

  std::shared_ptr<S3Client> client_;
  const std::string key_;
  const std::string write_name_;
  std::string upload_;  ///< Of the multipart upload, once there is one, until it is complete.
  std::string part_;    ///< What is not sent yet.
  std::vector<std::string> etags_;
  int64_t position_ = 0;
  bool closed_ = false;
};

}  // namespace

std::unique_ptr<StagedFile> StageS3Object(std::shared_ptr<S3Client> client, std::string key) {
  return std::make_unique<S3StagedFile>(std::move(client), std::move(key));
}

}  // namespace tarn::storage
