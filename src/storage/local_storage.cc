#include <arrow/io/file.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "storage/storage.h"

namespace tarn::storage {
namespace {

namespace fs = std::filesystem;

std::string ParentOf(const std::string& path) { return fs::path(path).parent_path().string(); }

Status SyncFolder(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoError(errno, "open folder", folder);
  const int failed = ::fsync(fd) != 0 ? errno : 0;
  ::close(fd);
  if (failed != 0) return ErrnoError(failed, "sync folder", folder);
  return {};
}

/// Makes the folder and its parents; every new name is durable on return.
Status MakeFolders(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return {};
    return MakeError(ErrorCode::kIo, "'{}' is a file, a folder is needed there", path);
  }
  const std::string parent = ParentOf(path);
  if (!parent.empty() && parent != path) TARN_RETURN_IF_ERROR(MakeFolders(parent));
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return ErrnoError(errno, "create folder", path);
  if (parent.empty()) return {};
  return SyncFolder(parent);
}

/// Replaces what is at `to`; the name is durable on return.
Status Rename(const std::string& from, const std::string& to) {
  const std::string parent = ParentOf(to);
  TARN_RETURN_IF_ERROR(MakeFolders(parent));
  if (::rename(from.c_str(), to.c_str()) != 0) return ErrnoError(errno, "rename to", to);
  return SyncFolder(parent);
}

/// A file descriptor that writes everything or says why not.
class FileOutput : public arrow::io::OutputStream {
 public:
  FileOutput(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~FileOutput() override {
    if (fd_ >= 0) ::close(fd_);
  }
  arrow::Status Write(const void* data, int64_t size) override {
    const char* from = static_cast<const char*>(data);
    while (size > 0) {
      const ssize_t wrote = ::write(fd_, from, static_cast<size_t>(size));
      if (wrote < 0) {
        if (errno == EINTR) continue;
        error_number_ = errno;
        return arrow::Status::IOError("write ", path_, ": ", std::strerror(errno));
      }
      from += wrote;
      size -= wrote;
      position_ += wrote;
    }
    return arrow::Status::OK();
  }
  using arrow::io::OutputStream::Write;
  /// Writers call this when they are done; the descriptor stays open for the sync.
  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  bool closed() const override { return closed_; }
  arrow::Result<int64_t> Tell() const override { return position_; }

  Status SyncAndClose() {
    if (error_number_ != 0) return ErrnoError(error_number_, "write", path_);
    const int fd = fd_;
    fd_ = -1;
    const int failed = ::fsync(fd) != 0 ? errno : 0;
    if (::close(fd) != 0 && failed == 0) return ErrnoError(errno, "close", path_);
    if (failed != 0) return ErrnoError(failed, "sync", path_);
    return {};
  }

 private:
  int fd_;
  std::string path_;
  int64_t position_ = 0;
  int error_number_ = 0;
  bool closed_ = false;
};

class LocalStagedFile : public StagedFile {
 public:
  LocalStagedFile(int fd, std::string temporary, std::string path)
      : output_(fd, path), temporary_(std::move(temporary)), path_(std::move(path)) {}
  ~LocalStagedFile() override {
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
  }
  arrow::io::OutputStream* stream() override { return &output_; }
  Status Publish() override {
    TARN_RETURN_IF_ERROR(output_.SyncAndClose());
    const std::string temporary = std::exchange(temporary_, {});
    const Status renamed = Rename(temporary, path_);
    if (!renamed) ::unlink(temporary.c_str());
    return renamed;
  }
  /// Like Publish, but kAlreadyExists when the name is taken: link(2) never replaces.
  Status PublishIfAbsent() {
    TARN_RETURN_IF_ERROR(output_.SyncAndClose());
    const std::string parent = ParentOf(path_);
    TARN_RETURN_IF_ERROR(MakeFolders(parent));
    if (::link(temporary_.c_str(), path_.c_str()) != 0) return ErrnoError(errno, "create", path_);
    return SyncFolder(parent);
  }

 private:
  FileOutput output_;
  std::string temporary_;
  std::string path_;
};

class LocalStorage : public Storage {
 public:
  explicit LocalStorage(std::string staging) : staging_(std::move(staging)) {}

  Status Write(const std::string& path, std::string_view bytes) override {
    TARN_ASSIGN(auto file, StageLocal(path));
    TARN_RETURN_IF_ERROR(WriteAll(*file, path, bytes));
    return file->Publish();
  }
  Status PutIfAbsent(const std::string& path, std::string_view bytes) override {
    TARN_ASSIGN(auto file, StageLocal(path));
    TARN_RETURN_IF_ERROR(WriteAll(*file, path, bytes));
    return file->PublishIfAbsent();
  }
  Result<std::unique_ptr<StagedFile>> Stage(const std::string& path) override {
    TARN_ASSIGN(auto file, StageLocal(path));
    return std::unique_ptr<StagedFile>(std::move(file));
  }

  Status Move(const std::string& from, const std::string& to) override {
    TARN_RETURN_IF_ERROR(CheckWritable(to));
    if (!Exists(from)) return ErrnoError(ENOENT, "move", from);
    return Rename(from, to);
  }

  Result<std::string> Read(const std::string& path) const override {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return ErrnoError(errno, "open", path);
    struct stat info {};
    std::string bytes;
    int failed = ::fstat(fd, &info) != 0 ? errno : 0;
    if (failed == 0) bytes.resize(static_cast<size_t>(info.st_size));
    size_t at = 0;
    while (failed == 0 && at < bytes.size()) {
      const ssize_t got = ::read(fd, bytes.data() + at, bytes.size() - at);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) failed = errno;
      if (got <= 0) break;
      at += static_cast<size_t>(got);
    }
    ::close(fd);
    if (failed != 0) return ErrnoError(failed, "read", path);
    bytes.resize(at);
    return bytes;
  }

  Result<std::shared_ptr<arrow::io::RandomAccessFile>> Open(const std::string& path) const override {
    if (!Exists(path)) return ErrnoError(ENOENT, "open", path);
    auto file = arrow::io::ReadableFile::Open(path);
    if (!file.ok()) return MakeError(ErrorCode::kIo, "open '{}': {}", path, file.status().message());
    return std::shared_ptr<arrow::io::RandomAccessFile>(*file);
  }

  Result<std::vector<FileInfo>> List(const std::string& folder) const override {
    std::vector<FileInfo> entries;
    std::error_code error;
    fs::directory_iterator it(folder, error);
    if (error == std::errc::no_such_file_or_directory) return entries;
    for (; !error && it != fs::directory_iterator(); it.increment(error)) {
      struct stat info {};
      // A file may be removed between the listing and the look at it.
      if (::stat(it->path().c_str(), &info) != 0) continue;
      entries.push_back({it->path().filename().string(), info.st_size,
                         static_cast<int64_t>(info.st_mtim.tv_sec) * 1'000'000 + info.st_mtim.tv_nsec / 1000,
                         S_ISDIR(info.st_mode)});
    }
    if (error) return ErrnoError(error.value(), "list", folder);
    std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return entries;
  }

  bool Exists(const std::string& path) const override { return ::access(path.c_str(), F_OK) == 0; }

  Status CreateFolder(const std::string& path) override {
    TARN_RETURN_IF_ERROR(CheckWritable(path));
    return MakeFolders(path);
  }
  Status Remove(const std::string& path) override {
    TARN_RETURN_IF_ERROR(CheckWritable(path));
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoError(errno, "remove", path);
    return {};
  }
  Status RemoveTree(const std::string& path) override {
    TARN_RETURN_IF_ERROR(CheckWritable(path));
    std::error_code error;
    fs::remove_all(path, error);
    if (error) return ErrnoError(error.value(), "remove", path);
    return {};
  }
  /// They are in the staging folder, which is emptied when it is opened.
  Status DiscardUnpublished(const std::string& folder) override { return CheckWritable(folder); }

 private:
  Status CheckWritable(const std::string& path) const {
    if (staging_.empty()) return MakeError(ErrorCode::kPermission, "'{}': the lake is open read-only", path);
    return {};
  }
  static Status WriteAll(LocalStagedFile& file, const std::string& path, std::string_view bytes) {
    if (file.stream()->Write(bytes.data(), static_cast<int64_t>(bytes.size())).ok()) return {};
    return ErrnoError(errno, "write", path);
  }
  Result<std::unique_ptr<LocalStagedFile>> StageLocal(const std::string& path) {
    TARN_RETURN_IF_ERROR(CheckWritable(path));
    const std::string temporary = fmt::format("{}/{}-{}", staging_, ::getpid(), counter_.fetch_add(1));
    const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) return ErrnoError(errno, "create temporary file for", path);
    return std::make_unique<LocalStagedFile>(fd, temporary, path);
  }

  std::string staging_;  ///< Empty when read-only.
  std::atomic<uint64_t> counter_{0};
};

}  // namespace

Error ErrnoError(int error_number, std::string_view what, const std::string& path) {
  ErrorCode code = ErrorCode::kIo;
  std::string advice;
  switch (error_number) {
    case ENOENT:
      code = ErrorCode::kNotFound;
      break;
    case EEXIST:
      code = ErrorCode::kAlreadyExists;
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      code = ErrorCode::kPermission;
      advice = " (give the user that runs tarn write access to the folder)";
      break;
    case ENOSPC:
    case EDQUOT:
      code = ErrorCode::kNoSpace;
      advice =
          " (free space on that file system; nothing was lost, tarn goes on from the last durable position)";
      break;
    default:
      break;
  }
  return MakeError(code, "{} '{}': {}{}", what, path, std::strerror(error_number), advice);
}

Result<std::unique_ptr<Storage>> OpenLocalStorage(const std::string& staging) {
  TARN_RETURN_IF_ERROR(MakeFolders(staging));
  auto storage = std::make_unique<LocalStorage>(staging);
  TARN_ASSIGN(const auto leftovers, storage->List(staging));
  for (const FileInfo& file : leftovers) TARN_RETURN_IF_ERROR(storage->Remove(staging + "/" + file.name));
  return std::unique_ptr<Storage>(std::move(storage));
}

std::unique_ptr<Storage> OpenLocalStorageReadOnly() { return std::make_unique<LocalStorage>(""); }

}  // namespace tarn::storage
