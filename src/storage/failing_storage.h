#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storage/forwarding_storage.h"

namespace tarn::storage {

/// How an operation of FailingStorage fails.
enum class Failure {
  kRefused,  ///< It does not take place: the disk is full, the connection lost.
  kUnheard,  ///< It takes place and is reported to have failed: the answer was lost.
  kTorn,     ///< Half of what was to be written is there; what writes nothing, or only whole, is refused.
  kGone,     ///< It does not take place, nor does anything after it: the process is dead.
};

/// For tests: a store whose n-th operation fails. What counts are writes, publications and moves, and more
/// when it is asked for. Threads: any.
class FailingStorage : public ForwardingStorage {
 public:
  explicit FailingStorage(std::unique_ptr<Storage> real)
      : ForwardingStorage(real.get()), owned_(std::move(real)) {}
  /// `nth` from now; 0: none, and what was gone is back.
  void FailWrite(int64_t nth, Failure how = Failure::kRefused) {
    how_ = how;
    gone_ = failed_ = false;
    left_ = nth;
  }
  /// From now on removals count, too.
  void CountRemovals() { counts_removals_ = true; }
  /// From now on every operation counts, reads among them.
  void CountAll() { counts_removals_ = counts_rest_ = true; }
  /// Whether the operation that FailWrite meant came.
  bool failed() const { return failed_; }

  Status Write(const std::string& path, std::string_view bytes) override {
    return Write(
        path, [&] { return real()->Write(path, bytes); },
        [&] { return real()->Write(path, bytes.substr(0, bytes.size() / 2)); });
  }
  Status PutIfAbsent(const std::string& path, std::string_view bytes) override {
    return Write(
        path, [&] { return real()->PutIfAbsent(path, bytes); }, Nothing);
  }
  Status Remove(const std::string& path) override {
    if (!counts_removals_) return real()->Remove(path);
    return Write(
        path, [&] { return real()->Remove(path); }, Nothing);
  }
  Status RemoveTree(const std::string& path) override {
    if (!counts_rest_) return real()->RemoveTree(path);
    return Write(
        path, [&] { return real()->RemoveTree(path); }, Nothing);
  }
  Status CreateFolder(const std::string& path) override {
    if (!counts_rest_) return real()->CreateFolder(path);
    return Write(
        path, [&] { return real()->CreateFolder(path); }, Nothing);
  }
  Status Move(const std::string& from, const std::string& to) override {
    return Write(
        to, [&] { return real()->Move(from, to); }, Nothing);
  }
  Result<std::unique_ptr<StagedFile>> Stage(const std::string& path) override {
    TARN_RETURN_IF_ERROR(MayRead(path));
    TARN_ASSIGN(auto file, real()->Stage(path));
    return std::unique_ptr<StagedFile>(std::make_unique<File>(this, path, std::move(file)));
  }
  Result<std::string> Read(const std::string& path) const override {
    TARN_RETURN_IF_ERROR(MayRead(path));
    return real()->Read(path);
  }
  Result<std::shared_ptr<arrow::io::RandomAccessFile>> Open(const std::string& path) const override {
    TARN_RETURN_IF_ERROR(MayRead(path));
    return real()->Open(path);
  }
  Result<std::vector<FileInfo>> List(const std::string& folder) const override {
    TARN_RETURN_IF_ERROR(MayRead(folder));
    return real()->List(folder);
  }

 private:
  class File : public StagedFile {
   public:
    File(FailingStorage* storage, std::string path, std::unique_ptr<StagedFile> real)
        : storage_(storage), path_(std::move(path)), real_(std::move(real)) {}
    arrow::io::OutputStream* stream() override { return real_->stream(); }
    Status Publish() override {
      return storage_->Write(
          path_, [&] { return real_->Publish(); }, [&] { return PublishHalf(); });
    }

   private:
    Status PublishHalf() {
      TARN_RETURN_IF_ERROR(real_->Publish());
      TARN_ASSIGN(const std::string bytes, storage_->real()->Read(path_));
      return storage_->real()->Write(path_, std::string_view(bytes).substr(0, bytes.size() / 2));
    }

    FailingStorage* storage_;
    std::string path_;
    std::unique_ptr<StagedFile> real_;
  };
  static Status Nothing() { return {}; }
  static Status Failed(const std::string& path) {
    return MakeError(ErrorCode::kIo, "no space left for '{}'", path);
  }
  /// Whether this operation is the one that fails.
  bool Fails() const {
    if (gone_) return true;
    if (left_.load() == 0 || left_.fetch_sub(1) != 1) return false;
    failed_ = true;
    gone_ = how_ == Failure::kGone;
    return true;
  }
  Status MayRead(const std::string& path) const { return counts_rest_ && Fails() ? Failed(path) : Status{}; }
  template <typename Whole, typename Half>
  Status Write(const std::string& path, const Whole& whole, const Half& half) {
    if (!Fails()) return whole();
    if (how_ == Failure::kUnheard) TARN_RETURN_IF_ERROR(whole());
    if (how_ == Failure::kTorn) TARN_RETURN_IF_ERROR(half());
    return Failed(path);
  }

  std::unique_ptr<Storage> owned_;
  mutable std::atomic<int64_t> left_{0};
  mutable std::atomic<bool> gone_{false}, failed_{false};
  std::atomic<Failure> how_{Failure::kRefused};
  bool counts_removals_ = false, counts_rest_ = false;
};

}  // namespace tarn::storage
