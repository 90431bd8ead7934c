#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tarn::hudi {

/// Murmur2 with Hudi's tail. Source: org.apache.hudi.common.util.hash.MurmurHash.
int32_t HudiMurmur(std::string_view key, int32_t seed);

/// The filter of a base file's footer (type DYNAMIC_V0, one row). It starts large and is halved at the end to
/// suit the number of keys: a position in a filter of half a power of two is the position modulo the half.
class BloomFilter {
 public:
  BloomFilter();
  void Add(std::string_view key);
  /// Base64 of the serialised filter. Shape: hudi-format, section 4.
  std::string Serialize() const;

 private:
  std::vector<uint64_t> bits_;
  int64_t keys_ = 0;
};

/// The same wire form for given parameters; what Serialize uses, and what tests hold against known bytes.
std::string BloomBytes(int32_t hashes, int32_t bits, int32_t keys_per_row, int32_t keys,
                       std::string_view row);
std::string Base64(std::string_view bytes);

}  // namespace tarn::hudi
