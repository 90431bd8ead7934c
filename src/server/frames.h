#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace tarn::server {

/// What a frame on the local socket holds.
enum class FrameKind : char {
  kRequest = 'Q',   ///< JSON: {"command": ..., ...}
  kBatch = 'B',     ///< An Arrow IPC stream of a schema and its batches.
  kReply = 'J',     ///< JSON: the end of a successful answer.
  kProgress = 'P',  ///< Text for people, while something long goes on.
  kError = 'E',     ///< JSON: {"code", "message"}; the end of a failed answer.
};

struct Frame {
  FrameKind kind = FrameKind::kReply;
  std::string payload;
};

/// A connected socket that carries frames: kind (1 byte), length (4 bytes, little-endian), payload. Owns the
/// descriptor. Threads: one reader and one writer.
class FrameSocket {
 public:
  static constexpr uint32_t kMaxPayload = 256U << 20;

  explicit FrameSocket(int fd) : fd_(fd) {}
  ~FrameSocket();
  FrameSocket(FrameSocket&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  FrameSocket(const FrameSocket&) = delete;

  /// Errors: kUnavailable when the other side is gone.
  Status Send(FrameKind kind, std::string_view payload);
  /// Errors: kUnavailable at the end, kCorrupt for a frame that is too large or of no known kind.
  Result<Frame> Receive();
  /// True when the other side has closed: whoever asked no longer waits for the answer.
  bool PeerIsGone() const;
  int fd() const { return fd_; }

 private:
  int fd_;
};

/// Binds or connects `folder`/tarn.sock, whatever the folder's length (socket addresses hold 107 bytes only).
Result<int> ListenLocal(const std::string& folder);
/// kNotFound when nobody listens there.
Result<FrameSocket> ConnectLocal(const std::string& folder);

std::string ErrorJson(const Error& error);
Error ErrorFromJson(const std::string& json);

}  // namespace tarn::server
