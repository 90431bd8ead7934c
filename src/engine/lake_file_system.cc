#include "engine/lake_file_system.h"

#include <arrow/io/file.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "engine/scan_files.h"

namespace tarn::engine {
namespace {

/// Either a file of the lake or one of the engine's own spill files.
class Handle : public duckdb::FileHandle {
 public:
  Handle(duckdb::FileSystem& system, const std::string& path, duckdb::FileOpenFlags flags,
         std::shared_ptr<arrow::io::RandomAccessFile> lake_file)
      : FileHandle(system, path, flags), file(std::move(lake_file)) {}
  Handle(duckdb::FileSystem& system, const std::string& path, duckdb::FileOpenFlags flags,
         int spill_descriptor)
      : FileHandle(system, path, flags), descriptor(spill_descriptor) {}
  ~Handle() override { Handle::Close(); }

  void Close() override {
    file.reset();
    if (descriptor >= 0) ::close(descriptor);
    descriptor = -1;
  }

  std::shared_ptr<arrow::io::RandomAccessFile> file;
  int descriptor = -1;
  idx_t position = 0;
};

[[noreturn]] void ThrowRefused() { throw duckdb::PermissionException("a session reads tables, not files"); }

int64_t ReadSome(Handle& handle, char* buffer, int64_t bytes, idx_t location) {
  if (handle.file != nullptr) {
    auto read = handle.file->ReadAt(static_cast<int64_t>(location), bytes, buffer);
    if (!read.ok()) throw duckdb::IOException("a data file of the lake cannot be read");
    return *read;
  }
  const ssize_t read =
      ::pread(handle.descriptor, buffer, static_cast<size_t>(bytes), static_cast<off_t>(location));
  if (read < 0 && errno != EINTR) throw duckdb::IOException("a spill file cannot be read");
  return std::max<ssize_t>(read, 0);
}

}  // namespace

Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenLocalFile(const std::string& path) {
  auto file = arrow::io::ReadableFile::Open(path);
  if (!file.ok()) return MakeError(ErrorCode::kIo, "{}: {}", path, file.status().message());
  return std::shared_ptr<arrow::io::RandomAccessFile>(*std::move(file));
}

LakeFileSystem::LakeFileSystem(FileOpener open_file, std::string spill_folder,
                               std::shared_ptr<ScanRegistry> registry)
    : open_file_(std::move(open_file)),
      spill_folder_(std::move(spill_folder)),
      registry_(std::move(registry)) {}

bool LakeFileSystem::IsSpill(const std::string& path, duckdb::optional_ptr<duckdb::FileOpener> opener) const {
  // Statements open files with their client context; the buffer manager, which spills, has none.
  if (spill_folder_.empty() || duckdb::FileOpener::TryGetClientContext(opener)) return false;
  const bool is_below = path.starts_with(spill_folder_ + "/") && path.find("..") == std::string::npos;
  return path == spill_folder_ || is_below;
}

duckdb::unique_ptr<duckdb::FileHandle> LakeFileSystem::OpenSpill(const std::string& path,
                                                                 duckdb::FileOpenFlags flags) {
  int mode = O_RDONLY;
  if (flags.OpenForWriting()) mode = flags.OpenForReading() ? O_RDWR : O_WRONLY;
  if (flags.CreateFileIfNotExists() || flags.OverwriteExistingFile()) mode |= O_CREAT;
  if (flags.OverwriteExistingFile()) mode |= O_TRUNC;
  const int descriptor = ::open(path.c_str(), mode | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor >= 0) return duckdb::make_uniq<Handle>(*this, path, flags, descriptor);
  if (flags.ReturnNullIfNotExists()) return nullptr;
  throw duckdb::IOException("a spill file cannot be opened: is the spill folder's disk full?");
}

duckdb::unique_ptr<duckdb::FileHandle> LakeFileSystem::OpenScanFile(const LakeScan& scan,
                                                                    const ScanUnit& unit,
                                                                    duckdb::FileOpenFlags flags) {
  auto file = open_file_(unit.file->path);
  if (!file) throw duckdb::IOException("a data file of %s cannot be opened", scan.DisplayName());
  return duckdb::make_uniq<Handle>(*this, unit.handle, flags, std::move(*file));
}

duckdb::unique_ptr<duckdb::FileHandle> LakeFileSystem::OpenFileExtended(
    const duckdb::OpenFileInfo& file, duckdb::FileOpenFlags flags,
    duckdb::optional_ptr<duckdb::FileOpener> opener) {
  if (IsSpill(file.path, opener)) return OpenSpill(file.path, flags);
  if (file.extended_info && registry_ != nullptr && !flags.OpenForWriting()) {
    const auto& options = file.extended_info->options;
    const auto option = options.find(kCapabilityOption);
    if (option != options.end()) {
      const auto scan = registry_->Find(option->second.GetValue<uint64_t>());
      const auto unit = scan != nullptr ? scan->Find(file.path) : std::nullopt;
      if (unit && scan->units()[*unit].file != nullptr)
        return OpenScanFile(*scan, scan->units()[*unit], flags);
    }
  }
  if (flags.ReturnNullIfNotExists()) return nullptr;
  ThrowRefused();
}

duckdb::unique_ptr<duckdb::FileHandle> LakeFileSystem::OpenFile(
    const std::string& path, duckdb::FileOpenFlags flags, duckdb::optional_ptr<duckdb::FileOpener> opener) {
  return OpenFileExtended(duckdb::OpenFileInfo(path), flags, opener);
}

void LakeFileSystem::Read(duckdb::FileHandle& handle, void* buffer, int64_t bytes, idx_t location) {
  auto& ours = handle.Cast<Handle>();
  auto* target = static_cast<char*>(buffer);
  while (bytes > 0) {
    const int64_t read = ReadSome(ours, target, bytes, location);
    if (read <= 0) throw duckdb::IOException("a data file of the lake is shorter than its footer says");
    target += read;
    bytes -= read;
    location += static_cast<idx_t>(read);
  }
}

int64_t LakeFileSystem::Read(duckdb::FileHandle& handle, void* buffer, int64_t bytes) {
  auto& ours = handle.Cast<Handle>();
  const int64_t read = ReadSome(ours, static_cast<char*>(buffer), bytes, ours.position);
  ours.position += static_cast<idx_t>(read);
  return read;
}

void LakeFileSystem::Write(duckdb::FileHandle& handle, void* buffer, int64_t bytes, idx_t location) {
  auto& ours = handle.Cast<Handle>();
  if (ours.descriptor < 0) ThrowRefused();
  auto* source = static_cast<const char*>(buffer);
  while (bytes > 0) {
    const ssize_t written =
        ::pwrite(ours.descriptor, source, static_cast<size_t>(bytes), static_cast<off_t>(location));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0)
      throw duckdb::IOException("a spill file cannot be written: is the spill folder's disk full?");
    source += written;
    bytes -= written;
    location += static_cast<idx_t>(written);
  }
}

int64_t LakeFileSystem::Write(duckdb::FileHandle& handle, void* buffer, int64_t bytes) {
  auto& ours = handle.Cast<Handle>();
  Write(handle, buffer, bytes, ours.position);
  ours.position += static_cast<idx_t>(bytes);
  return bytes;
}

int64_t LakeFileSystem::GetFileSize(duckdb::FileHandle& handle) {
  auto& ours = handle.Cast<Handle>();
  if (ours.file != nullptr) {
    auto size = ours.file->GetSize();
    if (!size.ok()) throw duckdb::IOException("a data file of the lake has no size");
    return *size;
  }
  struct stat status {};
  return ::fstat(ours.descriptor, &status) == 0 ? status.st_size : -1;
}

void LakeFileSystem::Truncate(duckdb::FileHandle& handle, int64_t size) {
  auto& ours = handle.Cast<Handle>();
  if (ours.descriptor < 0) ThrowRefused();
  if (::ftruncate(ours.descriptor, size) != 0) throw duckdb::IOException("a spill file cannot be truncated");
}

bool LakeFileSystem::FileExists(const std::string& path, duckdb::optional_ptr<duckdb::FileOpener> opener) {
  return IsSpill(path, opener) && ::access(path.c_str(), F_OK) == 0;
}

bool LakeFileSystem::DirectoryExists(const std::string& path,
                                     duckdb::optional_ptr<duckdb::FileOpener> opener) {
  return IsSpill(path, opener) && ::access(path.c_str(), F_OK) == 0;
}

bool LakeFileSystem::TryRemoveFile(const std::string& path, duckdb::optional_ptr<duckdb::FileOpener> opener) {
  return IsSpill(path, opener) && ::unlink(path.c_str()) == 0;
}

void LakeFileSystem::RemoveFile(const std::string& path, duckdb::optional_ptr<duckdb::FileOpener> opener) {
  if (!IsSpill(path, opener)) ThrowRefused();
  ::unlink(path.c_str());
}

void LakeFileSystem::CreateDirectory(const std::string& path,
                                     duckdb::optional_ptr<duckdb::FileOpener> opener) {
  if (!IsSpill(path, opener)) ThrowRefused();
}

duckdb::unique_ptr<duckdb::MultiFileList> LakeFileSystem::GlobFilesExtended(
    const std::string&, const duckdb::FileGlobInput&, duckdb::optional_ptr<duckdb::FileOpener>) {
  ThrowRefused();
}

void LakeFileSystem::Seek(duckdb::FileHandle& handle, idx_t location) {
  handle.Cast<Handle>().position = location;
}

idx_t LakeFileSystem::SeekPosition(duckdb::FileHandle& handle) { return handle.Cast<Handle>().position; }

}  // namespace tarn::engine
