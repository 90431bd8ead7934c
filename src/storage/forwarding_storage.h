#pragma once

#include <memory>
#include <string>
#include <vector>

#include "storage/storage.h"

namespace tarn::storage {

/// For tests: hands everything on to another store, which outlives it; a test overrides what it disturbs.
class ForwardingStorage : public Storage {
 public:
  explicit ForwardingStorage(Storage* real) : real_(real) {}

  Status Write(const std::string& path, std::string_view bytes) override { return real_->Write(path, bytes); }
  Status PutIfAbsent(const std::string& path, std::string_view bytes) override {
    return real_->PutIfAbsent(path, bytes);
  }
  Result<std::unique_ptr<StagedFile>> Stage(const std::string& path) override { return real_->Stage(path); }
  Status Move(const std::string& from, const std::string& to) override { return real_->Move(from, to); }
  Result<std::string> Read(const std::string& path) const override { return real_->Read(path); }
  Result<std::shared_ptr<arrow::io::RandomAccessFile>> Open(const std::string& path) const override {
    return real_->Open(path);
  }
  Result<std::vector<FileInfo>> List(const std::string& folder) const override { return real_->List(folder); }
  bool Exists(const std::string& path) const override { return real_->Exists(path); }
  Status CreateFolder(const std::string& path) override { return real_->CreateFolder(path); }
  Status Remove(const std::string& path) override { return real_->Remove(path); }
  Status RemoveTree(const std::string& path) override { return real_->RemoveTree(path); }
  Status DiscardUnpublished(const std::string& folder) override { return real_->DiscardUnpublished(folder); }

 protected:
  Storage* real() const { return real_; }

 private:
  Storage* real_;
};

}  // namespace tarn::storage
