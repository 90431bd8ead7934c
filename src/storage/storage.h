#pragma once

#include <arrow/io/interfaces.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace tarn::storage {

/// One entry of a folder.
struct FileInfo {
  std::string name;  ///< Without the folder.
  int64_t size_bytes = 0;
  int64_t modified_micros = 0;
  bool is_directory = false;
};

/// A file that nobody sees until Publish: it is written under a temporary name in the store's staging area.
/// Destroying it unpublished leaves nothing behind. Threads: one.
class StagedFile {
 public:
  virtual ~StagedFile() = default;
  /// Where to write; owned by this object, closed by Publish.
  virtual arrow::io::OutputStream* stream() = 0;
  /// Durability: on return the bytes and the name survive a crash. Replaces what is at the path.
  virtual Status Publish() = 0;
};

/// Where the lake lives. Paths are full paths in the store. Threads: any.
class Storage {
 public:
  virtual ~Storage() = default;

  /// Durability: on return bytes and name survive a crash. Atomic: readers see the old file or the new one.
  virtual Status Write(const std::string& path, std::string_view bytes) = 0;
  /// The same, but kAlreadyExists when the path is taken; of two racing writers exactly one succeeds.
  virtual Status PutIfAbsent(const std::string& path, std::string_view bytes) = 0;
  virtual Result<std::unique_ptr<StagedFile>> Stage(const std::string& path) = 0;

  /// Gives a local file its place, which may be in an object store. Durability: on return bytes and name
  /// survive a crash. Atomic at `to`, where it replaces what is there. Errors: kNotFound names a `from` that
  /// is not there; kUnsupported when `from` is in an object store.
  virtual Status Move(const std::string& from, const std::string& to) = 0;

  /// kNotFound names a path that is not there.
  virtual Result<std::string> Read(const std::string& path) const = 0;
  virtual Result<std::shared_ptr<arrow::io::RandomAccessFile>> Open(const std::string& path) const = 0;
  /// Entries of a folder, by name; empty when there is no such folder.
  virtual Result<std::vector<FileInfo>> List(const std::string& folder) const = 0;
  virtual bool Exists(const std::string& path) const = 0;

  virtual Status CreateFolder(const std::string& path) = 0;
  /// Removing what is not there succeeds.
  virtual Status Remove(const std::string& path) = 0;
  virtual Status RemoveTree(const std::string& path) = 0;

  /// Removes what a process that was killed had staged below the folder. Only for the one process that writes
  /// there.
  virtual Status DiscardUnpublished(const std::string& folder) = 0;
};

/// A local file system. `staging` is a folder on the same file system for temporary files; it is emptied
/// here, so only one process that writes may use it. Errors: kPermission or kIo when the folder cannot be
/// written.
Result<std::unique_ptr<Storage>> OpenLocalStorage(const std::string& staging);
/// A local file system that refuses every write.
std::unique_ptr<Storage> OpenLocalStorageReadOnly();

struct S3Options;
/// A bucket of an object store; see s3_storage.h.
Result<std::unique_ptr<Storage>> OpenS3Storage(S3Options options);
/// Whether the path names something of an object store: "s3://bucket/key".
bool IsRemotePath(std::string_view path);
/// One storage for both: paths of an object store go to `remote`, or fail with its error, others to `local`.
std::unique_ptr<Storage> RouteStorage(std::unique_ptr<Storage> local,
                                      Result<std::unique_ptr<Storage>> remote);

/// Maps errno to an Error that names the path.
Error ErrnoError(int error_number, std::string_view what, const std::string& path);

}  // namespace tarn::storage
