#include "server/frames.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "storage/storage.h"

namespace tarn::server {
namespace {

constexpr const char* kSocketName = "tarn.sock";

Error Gone() { return Error{ErrorCode::kUnavailable, "the connection to tarn ended"}; }

/// A short name for a file in a folder, through a descriptor of the folder.
struct FolderAddress {
  int folder_fd = -1;
  sockaddr_un address{};
  ~FolderAddress() {
    if (folder_fd >= 0) ::close(folder_fd);
  }
  Status Set(const std::string& folder) {
    folder_fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0) return storage::ErrnoError(errno, "open", folder);
    address.sun_family = AF_UNIX;
    const std::string path = fmt::format("/proc/self/fd/{}/{}", folder_fd, kSocketName);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return {};
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
};

Status ReadAll(int fd, char* to, size_t size) {
  while (size > 0) {
    const ssize_t got = ::recv(fd, to, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Gone();
    to += got;
    size -= static_cast<size_t>(got);
  }
  return {};
}

}  // namespace

FrameSocket::~FrameSocket() {
  if (fd_ >= 0) ::close(fd_);
}

Status FrameSocket::Send(FrameKind kind, std::string_view payload) {
  std::string head(5, static_cast<char>(kind));
  const auto length = static_cast<uint32_t>(payload.size());
  for (int i = 0; i < 4; i++) head[static_cast<size_t>(1 + i)] = static_cast<char>(length >> (8 * i));
  for (std::string_view part : {std::string_view(head), payload}) {
    while (!part.empty()) {
      const ssize_t sent = ::send(fd_, part.data(), part.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent <= 0) return Gone();
      part.remove_prefix(static_cast<size_t>(sent));
    }
  }
  return {};
}

Result<Frame> FrameSocket::Receive() {
  char head[5];
  TARN_RETURN_IF_ERROR(ReadAll(fd_, head, sizeof head));
  uint32_t length = 0;
  for (int i = 0; i < 4; i++)
    length |= static_cast<uint32_t>(static_cast<unsigned char>(head[1 + i])) << (8 * i);
  if (std::strchr("QBJPE", head[0]) == nullptr || head[0] == '\0' || length > kMaxPayload) {
    return MakeError(ErrorCode::kCorrupt, "a frame of kind {} and {} bytes is not one of tarn's",
                     static_cast<int>(head[0]), length);
  }
  Frame frame{static_cast<FrameKind>(head[0]), std::string(length, '\0')};
  TARN_RETURN_IF_ERROR(ReadAll(fd_, frame.payload.data(), length));
  return frame;
}

bool FrameSocket::PeerIsGone() const {
  pollfd entry{fd_, POLLRDHUP, 0};
  return ::poll(&entry, 1, 0) > 0 && (entry.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

Result<int> ListenLocal(const std::string& folder) {
  FolderAddress address;
  TARN_RETURN_IF_ERROR(address.Set(folder));
  // Whoever holds the lake's lease may take the name over: a socket that is there is of a process that ended.
  ::unlinkat(address.folder_fd, kSocketName, 0);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return storage::ErrnoError(errno, "make a socket in", folder);
  if (::bind(fd, address.get(), sizeof address.address) != 0 || ::listen(fd, 64) != 0) {
    const int failed = errno;
    ::close(fd);
    return storage::ErrnoError(failed, "listen in", folder);
  }
  // Only the user who runs tarn may ask: the socket has no login.
  ::fchmodat(address.folder_fd, kSocketName, 0600, 0);
  return fd;
}

Result<FrameSocket> ConnectLocal(const std::string& folder) {
  FolderAddress address;
  const Status set = address.Set(folder);
  if (!set) return MakeError(ErrorCode::kNotFound, "no tarn runs on '{}'", folder);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return storage::ErrnoError(errno, "make a socket for", folder);
  FrameSocket socket(fd);
  if (::connect(fd, address.get(), sizeof address.address) != 0) {
    if (errno == EACCES) return storage::ErrnoError(errno, "connect to the tarn of", folder);
    return MakeError(ErrorCode::kNotFound, "no tarn runs on '{}'", folder);
  }
  return socket;
}

std::string ErrorJson(const Error& error) {
  return nlohmann::json{
      {"code", static_cast<int>(error.code)}, {"name", ErrorCodeName(error.code)}, {"message", error.message}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Error ErrorFromJson(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return Error{ErrorCode::kCorrupt, "tarn sent an error that cannot be read"};
  return Error{static_cast<ErrorCode>(json.value("code", static_cast<int>(ErrorCode::kInternal))),
               json.value("message", "")};
}

}  // namespace tarn::server
