#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cdc/change_builder.h"
#include "cdc/value_decoder.h"

namespace tarn::fuzz {

/// One decoder for each kind of type; every value goes to one of them, by its place.
class Values {
 public:
  Values() {
    constexpr std::array<std::pair<uint32_t, int32_t>, 16> kTypes = {{{16, -1},
                                                                      {21, -1},
                                                                      {23, -1},
                                                                      {20, -1},
                                                                      {700, -1},
                                                                      {701, -1},
                                                                      {1700, -1},
                                                                      {1700, (12 << 16 | 2) + 4},
                                                                      {25, -1},
                                                                      {17, -1},
                                                                      {1082, -1},
                                                                      {1114, -1},
                                                                      {1184, -1},
                                                                      {1083, -1},
                                                                      {2950, -1},
                                                                      {3802, -1}}};
    for (const auto& [oid, typmod] : kTypes) decoders_.emplace_back(schema::MakePgType(oid, typmod));
  }

  void Take(const std::vector<cdc::WireValue>& row, size_t shift) {
    for (size_t i = 0; i < row.size(); i++) {
      cdc::ValueDecoder& decoder = decoders_[(i + shift) % decoders_.size()];
      if (row[i].state == cdc::WireValue::State::kText) decoder.AppendText(row[i].bytes);
      if (row[i].state == cdc::WireValue::State::kBinary) decoder.AppendBinary(row[i].bytes);
      if (row[i].state == cdc::WireValue::State::kNull) decoder.AppendNull();
    }
  }

 private:
  std::vector<cdc::ValueDecoder> decoders_;
};

/// Messages are written one behind the other, each with its length in two bytes in front.
template <typename Take>
void ForEachMessage(const uint8_t* data, size_t size, Take take) {
  for (size_t at = 0; at + 2 <= size;) {
    const size_t length = std::min<size_t>(data[at] << 8 | data[at + 1], size - at - 2);
    // A copy of its own size, so that a read past its end is seen.
    const std::vector<char> message(data + at + 2, data + at + 2 + length);
    take(std::string_view(message.data(), message.size()));
    at += 2 + length;
  }
}

}  // namespace tarn::fuzz
