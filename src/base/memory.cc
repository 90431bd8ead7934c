#include "base/memory.h"

#include <malloc.h>

#include <cstdlib>

namespace tarn {
namespace {

constexpr int kLargestKept = 32 << 20;
constexpr int kMostKeptAtTheTop = 64 << 20;

}  // namespace

void KeepFreedMemory() {
  ::setenv("ARROW_DEFAULT_MEMORY_POOL", "system", /*replace=*/0);  // NOLINT(concurrency-mt-unsafe)
  ::mallopt(M_MMAP_THRESHOLD, kLargestKept);
  ::mallopt(M_TRIM_THRESHOLD, kMostKeptAtTheTop);
}

void ReleaseFreedMemory() { ::malloc_trim(0); }

}  // namespace tarn
