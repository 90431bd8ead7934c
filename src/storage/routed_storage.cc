#include "storage/storage.h"

namespace tarn::storage {
namespace {

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
