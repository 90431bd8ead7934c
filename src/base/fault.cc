#include "base/fault.h"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>

#if defined(TARN_FAULTS)
namespace tarn {
namespace {

struct ArmedFault {
  std::string name;
  int visits_left = 0;
};

ArmedFault ReadEnvironment() {
  const char* value = std::getenv("TARN_FAULT");
  if (value == nullptr) return {};
  std::string text = value;
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return {text, 1};
  return {text.substr(0, colon), std::atoi(text.c_str() + colon + 1)};
}

}  // namespace

void FaultPoint(std::string_view name) {
  static const ArmedFault armed = ReadEnvironment();
  if (armed.name.empty() || armed.name != name) return;
  static std::atomic<int> visits_left{armed.visits_left};
  if (visits_left.fetch_sub(1) != 1) return;
  std::fprintf(stderr, "fault point %s reached: stopping as a crash would\n", armed.name.c_str());
  _exit(137);
}

}  // namespace tarn
#endif
