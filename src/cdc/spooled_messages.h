#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace tarn::cdc {

/// Messages of one transaction that is still open on the source, in the order in which they came: in memory,
/// and in a file of their own from the first Spill on. They are not meant to outlive the connection: nothing
/// is synced, and the file goes with the object. Errors: kUnavailable where the file cannot be written, with
/// what to do; the source sends the transaction again. Threads: one.
class SpooledMessages {
 public:
  /// `path` is made by the first Spill, with its folder.
  explicit SpooledMessages(std::string path) : path_(std::move(path)) {}
  ~SpooledMessages();
  SpooledMessages(const SpooledMessages&) = delete;
  SpooledMessages& operator=(const SpooledMessages&) = delete;

  /// A message of kind `kind` with `body` behind it, of the (sub)transaction `xid`.
  void Append(uint32_t xid, char kind, std::string_view body);
  /// Writes what is in memory to the file.
  Status Spill();

  int64_t bytes() const { return bytes_; }  ///< Of all that was appended.
  int64_t memory_bytes() const { return static_cast<int64_t>(memory_.size()); }

  struct Entry {
    uint32_t xid = 0;
    std::string_view message;  ///< Valid until the next call.
  };
  /// The next one from the start, nullopt behind the last. Once it was called nothing is appended any more.
  Result<std::optional<Entry>> Next();

 private:
  Status Fill(size_t need);
  Error Failed(int error_number, std::string_view doing) const;

  const std::string path_;
  std::string memory_;  ///< Whole entries, behind those of the file.
  int fd_ = -1;
  int64_t file_bytes_ = 0, bytes_ = 0;

  // Of reading.
  int64_t file_read_ = 0;
  std::string window_;  ///< A stretch of the file, or what was in memory.
  size_t at_ = 0;       ///< In window_.
};

}  // namespace tarn::cdc
