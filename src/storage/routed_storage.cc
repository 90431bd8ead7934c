#include <arrow/buffer.h>
#include <arrow/result.h>

#include "storage/arrow_status.h"
#include "storage/storage.h"

namespace tarn::storage {
namespace {

constexpr int64_t kUploadedBytes = 1 << 20;  ///< At a time.

Status Upload(const Storage& source, const std::string& from, Storage& target, const std::string& to) {
  TARN_ASSIGN(const auto input, source.Open(from));
  TARN_ASSIGN(const auto staged, target.Stage(to));
  while (true) {
    const auto bytes = input->Read(kUploadedBytes);
    TARN_RETURN_IF_ERROR(FromArrow(bytes.status(), ErrorCode::kIo, "read '" + from + "'"));
    if ((*bytes)->size() == 0) return staged->Publish();
    TARN_RETURN_IF_ERROR(FromArrow(staged->stream()->Write(*bytes), ErrorCode::kIo, "write '" + to + "'"));
  }
}

class RoutedStorage : public Storage {
 public:
  RoutedStorage(std::unique_ptr<Storage> local, Result<std::unique_ptr<Storage>> remote)
      : local_(std::move(local)), remote_(std::move(remote)) {}

  Status Write(const std::string& path, std::string_view bytes) override {
    TARN_ASSIGN(Storage * store, Of(path));
    return store->Write(path, bytes);
  }
  Status PutIfAbsent(const std::string& path, std::string_view bytes) override {
    TARN_ASSIGN(Storage * store, Of(path));
    return store->PutIfAbsent(path, bytes);
  }
  Result<std::unique_ptr<StagedFile>> Stage(const std::string& path) override {
    TARN_ASSIGN(Storage * store, Of(path));
    return store->Stage(path);
  }
  Status Move(const std::string& from, const std::string& to) override {
    TARN_ASSIGN(Storage * source, Of(from));
    TARN_ASSIGN(Storage * target, Of(to));
    if (source == target) return source->Move(from, to);
    if (source != local_.get()) return source->Move(from, to);
    TARN_RETURN_IF_ERROR(Upload(*source, from, *target, to));
    return source->Remove(from);
  }
  Result<std::string> Read(const std::string& path) const override {
    TARN_ASSIGN(const Storage* store, Of(path));
    return store->Read(path);
  }
  Result<std::shared_ptr<arrow::io::RandomAccessFile>> Open(const std::string& path) const override {
    TARN_ASSIGN(const Storage* store, Of(path));
    return store->Open(path);
  }
  Result<std::vector<FileInfo>> List(const std::string& folder) const override {
    TARN_ASSIGN(const Storage* store, Of(folder));
    return store->List(folder);
  }
  bool Exists(const std::string& path) const override {
    const auto store = Of(path);
    return store && (*store)->Exists(path);
  }
  Status CreateFolder(const std::string& path) override {
    TARN_ASSIGN(Storage * store, Of(path));
    return store->CreateFolder(path);
  }
  Status Remove(const std::string& path) override {
    TARN_ASSIGN(Storage * store, Of(path));
    return store->Remove(path);
  }
  Status RemoveTree(const std::string& path) override {
    TARN_ASSIGN(Storage * store, Of(path));
    return store->RemoveTree(path);
  }
  Status DiscardUnpublished(const std::string& folder) override {
    TARN_ASSIGN(Storage * store, Of(folder));
    return store->DiscardUnpublished(folder);
  }

 private:
  Result<Storage*> Of(const std::string& path) const {
    if (!IsRemotePath(path)) return local_.get();
    if (!remote_) return remote_.error();
    return remote_->get();
  }

  std::unique_ptr<Storage> local_;
  Result<std::unique_ptr<Storage>> remote_;
};

}  // namespace

bool IsRemotePath(std::string_view path) { return path.starts_with("s3://"); }

std::unique_ptr<Storage> RouteStorage(std::unique_ptr<Storage> local,
                                      Result<std::unique_ptr<Storage>> remote) {
  return std::make_unique<RoutedStorage>(std::move(local), std::move(remote));
}

}  // namespace tarn::storage
