#include "cdc/copy_decoder.h"
#include "values.h"

/// A binary COPY, one message a row, with its values decoded; the first byte says how many columns there are.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  tarn::fuzz::Values values;
  tarn::cdc::CopyDecoder decoder(data[0] % 17);
  tarn::fuzz::ForEachMessage(data + 1, size - 1, [&](std::string_view message) {
    const auto is_row = decoder.Decode(message);
    if (is_row && *is_row) values.Take(decoder.values(), data[0] / 17);
  });
  return 0;
}
