#include "hudi/bloom_filter.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "hudi/big_endian.h"

namespace tarn::hudi {
namespace {

/// Four hashes and ten bits a key answer wrongly for 1.2 % of foreign keys; each hash is a pass over the key.
constexpr int32_t kHashes = 4;
constexpr int64_t kBitsPerKey = 10;
constexpr uint32_t kMaxBits = 1U << 19;  ///< 64 KiB: every reader of the file reads its footer, too.
constexpr uint32_t kMinBits = 1U << 10;

}  // namespace

int32_t HudiMurmur(std::string_view key, int32_t seed) {
  constexpr uint32_t m = 0x5bd1e995;
  const size_t size = key.size();
  uint32_t h = static_cast<uint32_t>(seed) ^ static_cast<uint32_t>(size);
  for (size_t at = 0; at + 4 <= size; at += 4) {
    uint32_t k;
    std::memcpy(&k, key.data() + at, 4);
    k *= m;
    k ^= k >> 24;
    k *= m;
    h = h * m ^ k;
  }
  const size_t left = size & 3;
  const auto byte = [&](size_t from_end) {
    return static_cast<uint32_t>(static_cast<int8_t>(key[size - from_end]));
  };
  if (left != 0) {
    if (left >= 3) h ^= byte(3) << 16;
    if (left >= 2) h ^= byte(2) << 8;
    h ^= byte(1);
    h *= m;
  }
  h ^= h >> 13;
  h *= m;
  h ^= h >> 15;
  return static_cast<int32_t>(h);
}

BloomFilter::BloomFilter() : bits_(kMaxBits / 64) {}

void BloomFilter::Add(std::string_view key) {
  keys_++;
  int32_t hash = 0;
  for (int32_t i = 0; i < kHashes; i++) {
    hash = HudiMurmur(key, hash);
    const uint32_t bit = static_cast<uint32_t>(std::abs(static_cast<int64_t>(hash))) & (kMaxBits - 1);
    bits_[bit / 64] |= 1ULL << (bit % 64);
  }
}

std::string BloomFilter::Serialize() const {
  std::vector<uint64_t> folded = bits_;
  while (folded.size() * 64 > kMinBits && static_cast<int64_t>(folded.size()) * 32 >= keys_ * kBitsPerKey) {
    const size_t half = folded.size() / 2;
    for (size_t i = 0; i < half; i++) folded[i] |= folded[i + half];
    folded.resize(half);
  }
  const std::string_view row(reinterpret_cast<const char*>(folded.data()), folded.size() * 8);
  const auto keys = static_cast<int32_t>(std::min<int64_t>(keys_, INT32_MAX));
  return Base64(BloomBytes(kHashes, static_cast<int32_t>(folded.size() * 64), std::max(keys, 1), keys, row));
}

std::string BloomBytes(int32_t hashes, int32_t bits, int32_t keys_per_row, int32_t keys,
                       std::string_view row) {
  std::string out;
  const auto parameters = [&] {
    PutI32(-1, &out);
    PutI32(hashes, &out);
    out.push_back(1);
    PutI32(bits, &out);
  };
  parameters();
  PutI32(keys_per_row, &out);
  PutI32(keys, &out);
  PutI32(1, &out);
  parameters();
  out.append(row);
  return out;
}

std::string Base64(std::string_view bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t at = 0; at < bytes.size(); at += 3) {
    uint32_t chunk = 0;
    const size_t have = std::min<size_t>(3, bytes.size() - at);
    for (size_t i = 0; i < 3; i++) chunk = chunk << 8 | (i < have ? static_cast<uint8_t>(bytes[at + i]) : 0);
    for (size_t i = 0; i < 4; i++) out.push_back(i <= have ? kDigits[chunk >> (18 - 6 * i) & 63] : '=');
  }
  return out;
}

}  // namespace tarn::hudi
