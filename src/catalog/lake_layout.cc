#include "catalog/lake_layout.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/fault.h"

namespace tarn::catalog {

Result<LakeIdentity> ReadIdentity(const storage::Storage& storage, const LakeLayout& layout) {
  auto text = storage.Read(layout.Internal("lake.json"));
  if (!text && text.error().code == ErrorCode::kNotFound) {
    return MakeError(ErrorCode::kNotFound, "'{}' holds no lake yet; `tarn run` makes one", layout.root());
  }
  if (!text) return std::move(text).error();
  try {
    const auto json = nlohmann::json::parse(*text);
    LakeIdentity identity;
    identity.format = json.at("format");
    if (identity.format > LakeIdentity::kFormat) {
      return MakeError(
          ErrorCode::kUnsupported,
          "the lake '{}' was written by a newer tarn (format {}, this one knows {}): use that version",
          layout.root(), identity.format, LakeIdentity::kFormat);
    }
    identity.system_identifier = json.at("system_identifier");
    identity.timeline = json.at("timeline");
    identity.epoch = json.at("epoch");
    identity.broken = json.value("broken", "");
    return identity;
  } catch (const nlohmann::json::exception& error) {
    return MakeError(ErrorCode::kCorrupt, "'{}' cannot be read: {}", layout.Internal("lake.json"),
                     error.what());
  }
}

Status WriteIdentity(storage::Storage& storage, const LakeLayout& layout, const LakeIdentity& identity) {
  const nlohmann::json json = {{"format", identity.format},
                               {"system_identifier", identity.system_identifier},
                               {"timeline", identity.timeline},
                               {"epoch", identity.epoch},
                               {"broken", identity.broken}};
  TARN_RETURN_IF_ERROR(storage.Write(layout.Internal("lake.json"), json.dump(1)));
  TARN_FAULT_POINT("lake.identity.after_write");
  return {};
}

Result<std::unique_ptr<WriterLease>> WriterLease::Take(const LakeLayout& layout) {
  const std::string path = layout.Internal("writer.lock");
  std::error_code error;
  std::filesystem::create_directories(layout.Internal(""), error);
  if (error) return storage::ErrnoError(error.value(), "create", layout.Internal(""));
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return storage::ErrnoError(errno, "open", path);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    std::array<char, 32> holder{};
    const ssize_t length = ::pread(fd, holder.data(), holder.size() - 1, 0);
    ::close(fd);
    return MakeError(ErrorCode::kConflict, "another tarn (process {}) is writing the lake '{}'; only one may",
                     length > 0 ? holder.data() : "unknown", layout.root());
  }
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, pid.data(), pid.size(), 0) < 0) {
    ::close(fd);
    return storage::ErrnoError(errno, "write", path);
  }
  return std::unique_ptr<WriterLease>(new WriterLease(fd));
}

WriterLease::~WriterLease() { ::close(fd_); }

}  // namespace tarn::catalog
