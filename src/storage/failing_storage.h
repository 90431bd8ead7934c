#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "storage/forwarding_storage.h"

namespace tarn::storage {

/// For tests: a store whose n-th write or removal fails, as if the disk were full, or the process gone, then.
class FailingStorage : public ForwardingStorage {
 public:
  explicit FailingStorage(std::unique_ptr<Storage> real)
      : ForwardingStorage(real.get()), owned_(std::move(real)) {}
  /// `nth` from now; 0: none.
  void FailWrite(int64_t nth) { left_ = nth; }
  /// From now on removals count, too.
  void CountRemovals() { fails_removals_ = true; }

  Status Write(const std::string& path, std::string_view bytes) override {
    TARN_RETURN_IF_ERROR(MayWrite(path));
    return real()->Write(path, bytes);
  }
  Status PutIfAbsent(const std::string& path, std::string_view bytes) override {
    TARN_RETURN_IF_ERROR(MayWrite(path));
    return real()->PutIfAbsent(path, bytes);
  }
  Status Remove(const std::string& path) override {
    if (fails_removals_) TARN_RETURN_IF_ERROR(MayWrite(path));
    return real()->Remove(path);
  }
  Status Move(const std::string& from, const std::string& to) override {
    TARN_RETURN_IF_ERROR(MayWrite(to));
    return real()->Move(from, to);
  }
  Result<std::unique_ptr<StagedFile>> Stage(const std::string& path) override {
    TARN_ASSIGN(auto file, real()->Stage(path));
    return std::unique_ptr<StagedFile>(std::make_unique<File>(this, path, std::move(file)));
  }

 private:
  class File : public StagedFile {
   public:
    File(FailingStorage* storage, std::string path, std::unique_ptr<StagedFile> real)
        : storage_(storage), path_(std::move(path)), real_(std::move(real)) {}
    arrow::io::OutputStream* stream() override { return real_->stream(); }
    Status Publish() override {
      TARN_RETURN_IF_ERROR(storage_->MayWrite(path_));
      return real_->Publish();
    }

   private:
    FailingStorage* storage_;
    std::string path_;
    std::unique_ptr<StagedFile> real_;
  };
  Status MayWrite(const std::string& path) {
    if (left_.load() == 0 || left_.fetch_sub(1) != 1) return {};
    return MakeError(ErrorCode::kIo, "no space left for '{}'", path);
  }

  std::unique_ptr<Storage> owned_;
  std::atomic<int64_t> left_{0};
  bool fails_removals_ = false;
};

}  // namespace tarn::storage
