#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>

namespace tarn {

/// For tests of random histories: another seed each time; the environment's TARN_SEED repeats one.
inline uint32_t TestSeed() {
  const char* given = std::getenv("TARN_SEED");
  return given != nullptr ? static_cast<uint32_t>(std::strtoul(given, nullptr, 10)) : std::random_device{}();
}

}  // namespace tarn
