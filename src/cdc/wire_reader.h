#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace tarn::cdc {

/// Reads PostgreSQL's big-endian wire forms. Past the end it gives zeros and turns not ok, so that a parser
/// checks once behind a message. Threads: one.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  bool at_end() const { return at_ == bytes_.size(); }

  char Byte() { return static_cast<char>(Unsigned<1>()); }
  int16_t Int16() { return static_cast<int16_t>(Unsigned<2>()); }
  int32_t Int32() { return static_cast<int32_t>(Unsigned<4>()); }
  int64_t Int64() { return static_cast<int64_t>(Unsigned<8>()); }

  std::string_view Bytes(int64_t count) {
    if (count < 0 || static_cast<uint64_t>(count) > bytes_.size() - at_) {
      ok_ = false;
      return {};
    }
    const std::string_view out = bytes_.substr(at_, static_cast<size_t>(count));
    at_ += static_cast<size_t>(count);
    return out;
  }

  /// Up to a zero byte, which is passed over.
  std::string_view Text() {
    const size_t end = bytes_.find('\0', at_);
    if (end == std::string_view::npos) {
      ok_ = false;
      return {};
    }
    const std::string_view out = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return out;
  }

 private:
  template <typename T>
  static T Load(const char* from) {
    T value;
    std::memcpy(&value, from, sizeof(T));
    return value;
  }

  template <size_t kCount>
  uint64_t Unsigned() {
    if (bytes_.size() - at_ < kCount) {
      ok_ = false;
      at_ = bytes_.size();
      return 0;
    }
    static_assert(std::endian::native == std::endian::little, "the wire's order is the other one");
    const char* from = bytes_.data() + at_;
    at_ += kCount;
    if constexpr (kCount == 8) return __builtin_bswap64(Load<uint64_t>(from));
    if constexpr (kCount == 4) return __builtin_bswap32(Load<uint32_t>(from));
    if constexpr (kCount == 2) return __builtin_bswap16(Load<uint16_t>(from));
    return static_cast<unsigned char>(*from);
  }

  std::string_view bytes_;
  size_t at_ = 0;
  bool ok_ = true;
};

}  // namespace tarn::cdc
