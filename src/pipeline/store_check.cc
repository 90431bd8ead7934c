#include <arrow/buffer.h>

#include "base/clock.h"
#include "pipeline/lake_storage.h"
#include "storage/arrow_status.h"

namespace tarn::pipeline {
namespace {

constexpr int64_t kPatienceMicros = 5'000'000;
constexpr std::string_view kText = "tarn check was here";

/// What Bronze needs of a store, asked of it with one small object.
class StoreProbe {
 public:
  StoreProbe(storage::Storage& storage, const std::string& root)
      : storage_(storage),
        folder_(fmt::format("{}/_tarn/probe-{}", root, Clock::System().NowMicros())),
        path_(folder_ + "/object") {}

  Status Run() {
    TARN_RETURN_IF_ERROR(storage_.PutIfAbsent(path_, kText));
    const Status outcome = Look();
    const Status removed = storage_.Remove(path_);
    TARN_RETURN_IF_ERROR(outcome);
    TARN_RETURN_IF_ERROR(removed);
    return Expect(!storage_.Exists(path_), "still has what was removed");
  }

 private:
  Status Expect(bool holds, const char* what) const {
    if (holds) return {};
    return MakeError(ErrorCode::kUnsupported, "the object store {}: '{}'", what, path_);
  }
  Status Look() {
    const Status again = storage_.PutIfAbsent(path_, "another writer");
    if (!again && again.error().code != ErrorCode::kAlreadyExists) return again;
    TARN_RETURN_IF_ERROR(
        Expect(!again, "writes over what is there although asked not to (If-None-Match: *)"));
    TARN_ASSIGN(const auto listed, storage_.List(folder_));
    TARN_RETURN_IF_ERROR(
        Expect(listed.size() == 1 && listed[0].name == "object", "does not list what was written"));
    TARN_ASSIGN(const std::string text, storage_.Read(path_));
    TARN_RETURN_IF_ERROR(Expect(text == kText, "reads other bytes than were written"));
    TARN_ASSIGN(const auto file, storage_.Open(path_));
    const auto part = file->ReadAt(5, 5);
    TARN_RETURN_IF_ERROR(storage::FromArrow(part.status(), ErrorCode::kIo, "read '" + path_ + "'"));
    return Expect((*part)->ToString() == kText.substr(5, 5), "reads another range than was asked for");
  }

  storage::Storage& storage_;
  const std::string folder_, path_;
};

std::string FixOf(const Error& error) {
  switch (error.code) {
    case ErrorCode::kPermission:
      return "give the credentials what the message names";
    case ErrorCode::kUnavailable:
      return "look at [s3] endpoint, the network and the store";
    case ErrorCode::kUnsupported:
      return "use a store, or a version of it, that knows conditional writes and ranges";
    default:
      return "correct [bronze] path and [s3] in tarn.toml";
  }
}

}  // namespace

std::vector<Finding> CheckBronzeStore(const PipelineOptions& options) {
  if (options.bronze_path.empty()) return {};
  storage::S3Options store = options.s3;
  store.patience_micros = std::min(store.patience_micros, kPatienceMicros);
  auto storage = storage::OpenS3Storage(std::move(store));
  const Status outcome = storage ? StoreProbe(**storage, options.bronze_path).Run() : Status(storage.error());
  if (outcome) return {};
  return {{Finding::Severity::kError, outcome.error().message, FixOf(outcome.error())}};
}

}  // namespace tarn::pipeline
