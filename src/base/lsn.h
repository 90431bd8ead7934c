#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace tarn {

/// A position in PostgreSQL's write-ahead log, in bytes from its beginning. Zero means "none".
/// Source: PostgreSQL src/include/access/xlogdefs.h (XLogRecPtr).
struct Lsn {
  uint64_t value = 0;
  auto operator<=>(const Lsn&) const = default;

  /// The byte before: the newest position that does not have a record that begins here.
  constexpr Lsn Before() const { return Lsn{value == 0 ? 0 : value - 1}; }
  /// PostgreSQL's own form, for example "0/16B3748".
  std::string ToString() const;
  /// Reads PostgreSQL's form; kInvalidArgument names what is not one.
  static Result<Lsn> Parse(std::string_view text);
};

/// A position in the history of a source, which begins a new epoch when its server is failed over or
/// restored: its log then may go on at a position that was there before.
struct SourcePosition {
  int64_t epoch = 0;
  Lsn lsn;
  auto operator<=>(const SourcePosition&) const = default;
};

/// Hudi's ordering value of a commit: epoch * 2^56 + LSN, so that a source that was failed over or restored
/// (a higher epoch) never looks older than what was read before.
constexpr int64_t OrderingValue(int64_t epoch, Lsn lsn) {
  return (epoch << 56) | static_cast<int64_t>(lsn.value);
}
constexpr int64_t OrderingValue(const SourcePosition& position) {
  return OrderingValue(position.epoch, position.lsn);
}
constexpr int64_t OrderingEpoch(int64_t ordering) { return ordering >> 56; }
constexpr Lsn OrderingLsn(int64_t ordering) {
  return Lsn{static_cast<uint64_t>(ordering) & ((1ULL << 56) - 1)};
}
constexpr SourcePosition OrderingPosition(int64_t ordering) {
  return {OrderingEpoch(ordering), OrderingLsn(ordering)};
}

}  // namespace tarn
