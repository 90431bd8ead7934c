#include "avro/container.h"

/// An Avro container file, whose schema nobody vouches for either.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  (void)tarn::avro::ReadContainer(std::string_view(reinterpret_cast<const char*>(data), size)).has_value();
  return 0;
}
