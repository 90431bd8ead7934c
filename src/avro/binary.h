#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/error.h"

namespace tarn::avro {

/// Appends Avro's binary encoding to a string. Source: Avro 1.11 specification, "Binary encoding".
class Encoder {
 public:
  explicit Encoder(std::string* out) : out_(out) {}

  void PutLong(int64_t value) {
    uint64_t bits = (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
    char bytes[10];
    size_t size = 0;
    while (bits >= 0x80) {
      bytes[size++] = static_cast<char>(bits | 0x80);
      bits >>= 7;
    }
    bytes[size++] = static_cast<char>(bits);
    out_->append(bytes, size);
  }
  void PutBool(bool value) { out_->push_back(value ? 1 : 0); }
  void PutFloat(float value) { PutRaw(std::bit_cast<uint32_t>(value)); }
  void PutDouble(double value) { PutRaw(std::bit_cast<uint64_t>(value)); }
  /// A string or bytes: length, then the bytes.
  void PutString(std::string_view value) {
    PutLong(static_cast<int64_t>(value.size()));
    out_->append(value);
  }
  /// The bytes of a `fixed`, without a length.
  void PutFixed(std::string_view value) { out_->append(value); }

 private:
  /// Avro is little-endian, as every machine we build for.
  template <typename T>
  void PutRaw(T bits) {
    static_assert(std::endian::native == std::endian::little);
    char bytes[sizeof(T)];
    std::memcpy(bytes, &bits, sizeof(T));
    out_->append(bytes, sizeof(T));
  }

  std::string* out_;
};

/// Reads Avro's binary encoding. A read past the end or an overlong number sets failed() and gives zero;
/// callers check failed() once per record. The bytes must outlive the views given out.
class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  int64_t GetLong() {
    uint64_t bits = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ == end_) return Fail();
      const uint8_t byte = static_cast<uint8_t>(*at_++);
      bits |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return static_cast<int64_t>(bits >> 1) ^ -static_cast<int64_t>(bits & 1);
    }
    return Fail();
  }
  bool GetBool() { return GetRaw<uint8_t>() != 0; }
  float GetFloat() { return std::bit_cast<float>(GetRaw<uint32_t>()); }
  double GetDouble() { return std::bit_cast<double>(GetRaw<uint64_t>()); }
  std::string_view GetString() {
    const int64_t size = GetLong();
    return GetFixed(size);
  }
  std::string_view GetFixed(int64_t size) {
    if (size < 0 || size > end_ - at_) {
      Fail();
      return {};
    }
    const std::string_view value(at_, static_cast<size_t>(size));
    at_ += size;
    return value;
  }
  int64_t remaining() const { return end_ - at_; }
  bool failed() const { return failed_; }

 private:
  int64_t Fail() {
    failed_ = true;
    at_ = end_;
    return 0;
  }
  template <typename T>
  T GetRaw() {
    T bits{};
    if (end_ - at_ < static_cast<int64_t>(sizeof(T))) {
      Fail();
      return bits;
    }
    std::memcpy(&bits, at_, sizeof(T));
    at_ += sizeof(T);
    return bits;
  }

  const char* at_;
  const char* end_;
  bool failed_ = false;
};

}  // namespace tarn::avro
