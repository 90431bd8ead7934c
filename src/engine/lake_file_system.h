#pragma once

#include <memory>
#include <string>

#include "engine/lake_scan.h"
#include "engine/session.h"

namespace tarn::engine {

/// All that a session's engine has of the world: the files of its own live scans, each only together with the
/// scan's capability, and its spill folder, only for the engine itself. No paths, no listing, no writing.
/// Threads: any.
class LakeFileSystem : public duckdb::FileSystem {
 public:
  /// `spill_folder` may be empty. `registry` may be null: then there are no files at all.
  LakeFileSystem(FileOpener open_file, std::string spill_folder, std::shared_ptr<ScanRegistry> registry);

  duckdb::unique_ptr<duckdb::FileHandle> OpenFile(const std::string& path, duckdb::FileOpenFlags flags,
                                                  duckdb::optional_ptr<duckdb::FileOpener> opener) override;
  void Read(duckdb::FileHandle& handle, void* buffer, int64_t bytes, idx_t location) override;
  int64_t Read(duckdb::FileHandle& handle, void* buffer, int64_t bytes) override;
  void Write(duckdb::FileHandle& handle, void* buffer, int64_t bytes, idx_t location) override;
  int64_t Write(duckdb::FileHandle& handle, void* buffer, int64_t bytes) override;
  int64_t GetFileSize(duckdb::FileHandle& handle) override;
  void Truncate(duckdb::FileHandle& handle, int64_t size) override;
  duckdb::timestamp_t GetLastModifiedTime(duckdb::FileHandle&) override { return duckdb::timestamp_t(0); }
  std::string GetVersionTag(duckdb::FileHandle&) override { return "immutable"; }
  duckdb::FileType GetFileType(duckdb::FileHandle&) override { return duckdb::FileType::FILE_TYPE_REGULAR; }
  bool FileExists(const std::string& path, duckdb::optional_ptr<duckdb::FileOpener> opener) override;
  bool DirectoryExists(const std::string& path, duckdb::optional_ptr<duckdb::FileOpener> opener) override;
  bool IsPipe(const std::string&, duckdb::optional_ptr<duckdb::FileOpener>) override { return false; }
  void RemoveFile(const std::string& path, duckdb::optional_ptr<duckdb::FileOpener> opener) override;
  bool TryRemoveFile(const std::string& path, duckdb::optional_ptr<duckdb::FileOpener> opener) override;
  void CreateDirectory(const std::string& path, duckdb::optional_ptr<duckdb::FileOpener> opener) override;
  void RemoveDirectory(const std::string&, duckdb::optional_ptr<duckdb::FileOpener>) override {}
  bool ListFiles(const std::string&, const std::function<void(const std::string&, bool)>&,
                 duckdb::FileOpener*) override {
    return false;
  }
  duckdb::vector<duckdb::OpenFileInfo> Glob(const std::string&, duckdb::FileOpener*) override { return {}; }
  bool CanHandleFile(const std::string&) override { return true; }
  void Seek(duckdb::FileHandle& handle, idx_t location) override;
  void Reset(duckdb::FileHandle& handle) override { Seek(handle, 0); }
  idx_t SeekPosition(duckdb::FileHandle& handle) override;
  void FileSync(duckdb::FileHandle&) override {}
  bool Trim(duckdb::FileHandle&, idx_t, idx_t) override { return false; }
  bool CanSeek() override { return true; }
  bool OnDiskFile(duckdb::FileHandle&) override { return true; }
  /// True, or the engine would make itself a real local file system beside this one.
  bool IsLocalFileSystem() const override { return true; }
  std::string CanonicalizePath(const std::string& path, duckdb::optional_ptr<duckdb::FileOpener>) override {
    return path;
  }
  std::string PathSeparator(const std::string&) override { return "/"; }
  std::string GetName() const override { return "LakeFileSystem"; }

 protected:
  duckdb::unique_ptr<duckdb::FileHandle> OpenFileExtended(
      const duckdb::OpenFileInfo& file, duckdb::FileOpenFlags flags,
      duckdb::optional_ptr<duckdb::FileOpener> opener) override;
  bool SupportsOpenFileExtended() const override { return true; }
  duckdb::unique_ptr<duckdb::MultiFileList> GlobFilesExtended(
      const std::string& path, const duckdb::FileGlobInput& input,
      duckdb::optional_ptr<duckdb::FileOpener> opener) override;
  bool SupportsGlobExtended() const override { return true; }

 private:
  bool IsSpill(const std::string& path, duckdb::optional_ptr<duckdb::FileOpener> opener) const;
  duckdb::unique_ptr<duckdb::FileHandle> OpenSpill(const std::string& path, duckdb::FileOpenFlags flags);
  duckdb::unique_ptr<duckdb::FileHandle> OpenScanFile(const LakeScan& scan, const ScanUnit& unit,
                                                      duckdb::FileOpenFlags flags);

  FileOpener open_file_;
  std::string spill_folder_;
  std::shared_ptr<ScanRegistry> registry_;
};

/// Reads through the operating system.
Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenLocalFile(const std::string& path);

}  // namespace tarn::engine
