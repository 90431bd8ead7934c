#include "cdc/spooled_messages.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace tarn::cdc {
namespace {

constexpr size_t kReadBytes = 256 << 10;

/// In front of each message. Written and read by one process, so in its own byte order.
struct EntryHead {
  uint32_t xid;
  uint32_t size;  ///< A message of the server is below 1 GB.
};

}  // namespace

SpooledMessages::~SpooledMessages() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(path_.c_str());
}

Error SpooledMessages::Failed(int error_number, std::string_view doing) const {
  // Not the code of a full disk, which ends the process: the file is removed, the stream is made again.
  return MakeError(
      ErrorCode::kUnavailable,
      "cannot {} '{}', which keeps a transaction that is open on the source: {}; nothing is lost "
      "(the source sends it again): free space there, or make its folder writable",
      doing, path_, std::strerror(error_number));
}

void SpooledMessages::Append(uint32_t xid, char kind, std::string_view body) {
  const EntryHead head{xid, static_cast<uint32_t>(body.size() + 1)};
  memory_.append(reinterpret_cast<const char*>(&head), sizeof head);
  memory_ += kind;
  memory_ += body;
  bytes_ += static_cast<int64_t>(sizeof head + head.size);
}

Status SpooledMessages::Spill() {
  if (fd_ < 0) {
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), error);
    if (error) return Failed(error.value(), "make the folder of");
    // What the source sends may be nobody else's to read, so the file is less open than the lake's are.
    fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd_ < 0) return Failed(errno, "make");
  }
  const char* from = memory_.data();
  for (size_t left = memory_.size(); left > 0;) {
    const ssize_t written = ::pwrite(fd_, from, left, file_bytes_);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return Failed(written < 0 ? errno : ENOSPC, "write");
    from += written;
    left -= static_cast<size_t>(written);
    file_bytes_ += written;
  }
  // The room goes to whichever transaction streams next.
  memory_ = std::string();
  return {};
}

/// Has `need` bytes at at_, where there are so many.
Status SpooledMessages::Fill(size_t need) {
  while (window_.size() - at_ < need && file_read_ < file_bytes_) {
    window_.erase(0, at_);
    at_ = 0;
    const size_t kept = window_.size();
    const auto left = static_cast<size_t>(file_bytes_ - file_read_);
    window_.resize(kept + std::min(std::max(kReadBytes, need - kept), left));
    const ssize_t got = ::pread(fd_, window_.data() + kept, window_.size() - kept, file_read_);
    if (got <= 0 && !(got < 0 && errno == EINTR)) return Failed(got < 0 ? errno : EIO, "read");
    window_.resize(kept + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    file_read_ += std::max<ssize_t>(got, 0);
  }
  if (at_ == window_.size() && !memory_.empty()) {
    window_ = std::exchange(memory_, {});
    at_ = 0;
  }
  return {};
}

Result<std::optional<SpooledMessages::Entry>> SpooledMessages::Next() {
  TARN_RETURN_IF_ERROR(Fill(sizeof(EntryHead)));
  if (at_ == window_.size()) return std::nullopt;
  EntryHead head{};
  if (window_.size() - at_ >= sizeof head) {
    std::memcpy(&head, window_.data() + at_, sizeof head);
    TARN_RETURN_IF_ERROR(Fill(sizeof head + head.size));
  }
  // Written by this process: only a foreign hand on the file gets here.
  if (head.size == 0 || window_.size() - at_ < sizeof head + head.size) return Failed(EIO, "read");
  const Entry entry{head.xid, std::string_view(window_).substr(at_ + sizeof head, head.size)};
  at_ += sizeof head + head.size;
  return entry;
}

}  // namespace tarn::cdc
