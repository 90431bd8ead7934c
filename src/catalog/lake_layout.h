#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "storage/storage.h"

namespace tarn::catalog {

/// Where things are in a lake; see architecture.md, "The lake".
class LakeLayout {
 public:
  explicit LakeLayout(std::string root) : root_(root), bronze_root_(std::move(root)) {}
  /// `bronze_root`: what has bronze/ and _tarn/bronze/; the lake's folder, or a place in an object store.
  LakeLayout(std::string root, std::string bronze_root)
      : root_(std::move(root)), bronze_root_(std::move(bronze_root)) {}
  const std::string& root() const { return root_; }
  const std::string& bronze_root() const { return bronze_root_; }
  std::string Silver(const std::string& table) const { return root_ + "/silver/" + table; }
  std::string Quarantine(const std::string& table) const { return root_ + "/quarantine/" + table; }
  std::string Gold(const std::string& model) const { return root_ + "/gold/" + model; }
  std::string Sidecar(const std::string& database, const std::string& table) const {
    return root_ + "/_tarn/sidecar/" + database + "/" + table;
  }
  std::string Internal(const std::string& name) const { return root_ + "/_tarn/" + name; }

 private:
  std::string root_, bronze_root_;
};

/// What the lake says of itself (`_tarn/lake.json`).
struct LakeIdentity {
  static constexpr int kFormat = 1;
  int format = kFormat;
  std::string system_identifier;  ///< Of the source that fills it.
  int timeline = 0;
  int64_t epoch = 0;   ///< Rises when the source's identity changes.
  std::string broken;  ///< Why the stream no longer follows on, while that is being seen to; else empty.
};

/// kNotFound when the folder holds no lake; kUnsupported when a newer tarn wrote it.
Result<LakeIdentity> ReadIdentity(const storage::Storage& storage, const LakeLayout& layout);
Status WriteIdentity(storage::Storage& storage, const LakeLayout& layout, const LakeIdentity& identity);

/// Held by the one process that may write the lake, until it is destroyed or the process ends.
class WriterLease {
 public:
  /// kConflict names the process that holds it.
  static Result<std::unique_ptr<WriterLease>> Take(const LakeLayout& layout);
  ~WriterLease();

 private:
  explicit WriterLease(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace tarn::catalog
