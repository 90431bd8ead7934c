#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tarn::hudi {

/// Big-endian integers, as Java's DataOutputStream writes them.
inline void PutI32(int32_t value, std::string* out) {
  for (int shift = 24; shift >= 0; shift -= 8)
    out->push_back(static_cast<char>(static_cast<uint32_t>(value) >> shift));
}
inline void PutI64(int64_t value, std::string* out) {
  for (int shift = 56; shift >= 0; shift -= 8)
    out->push_back(static_cast<char>(static_cast<uint64_t>(value) >> shift));
}

/// Writes over what stands at `at`: a place kept for a size that is known later.
inline void PatchI32(int32_t value, size_t at, std::string* out) {
  for (size_t i = 0; i < 4; i++)
    (*out)[at + i] = static_cast<char>(static_cast<uint32_t>(value) >> (24 - 8 * i));
}
inline void PatchI64(int64_t value, size_t at, std::string* out) {
  for (size_t i = 0; i < 8; i++)
    (*out)[at + i] = static_cast<char>(static_cast<uint64_t>(value) >> (56 - 8 * i));
}

/// Reads big-endian values; a read past the end sets failed() and gives zero.
class BigEndianReader {
 public:
  explicit BigEndianReader(std::string_view bytes) : bytes_(bytes) {}
  int32_t I32() { return static_cast<int32_t>(Number(4)); }
  int64_t I64() { return static_cast<int64_t>(Number(8)); }
  std::string_view Bytes(int64_t size) {
    if (size < 0 || static_cast<uint64_t>(size) > bytes_.size() - at_) {
      failed_ = true;
      return {};
    }
    const std::string_view value = bytes_.substr(at_, static_cast<size_t>(size));
    at_ += static_cast<size_t>(size);
    return value;
  }
  size_t position() const { return at_; }
  bool failed() const { return failed_; }

 private:
  uint64_t Number(int64_t size) {
    uint64_t value = 0;
    for (const char c : Bytes(size)) value = value << 8 | static_cast<uint8_t>(c);
    return value;
  }
  std::string_view bytes_;
  size_t at_ = 0;
  bool failed_ = false;
};

}  // namespace tarn::hudi
