#pragma once

#include <string_view>

namespace tarn {

/// A named place at which a recovery test can stop the process as a crash would (no destructor, no flush).
/// TARN_FAULT="name" stops at the first visit, "name:3" at the third. Compiled out of bench builds.
/// scripts/check_fault_points.py holds the names in src/ against those in tests/recovery/.
#if defined(TARN_FAULTS)
void FaultPoint(std::string_view name);
#define TARN_FAULT_POINT(name) ::tarn::FaultPoint(name)
#else
#define TARN_FAULT_POINT(name) \
  do {                         \
  } while (false)
#endif

}  // namespace tarn
