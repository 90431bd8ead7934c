#include <string>

#include "base/clock.h"
#include "base/lsn.h"
#include "bronze/manifest.h"

using namespace tarn;

namespace {

void Require(bool is_so) {
  if (!is_so) __builtin_trap();
}

/// What was read is what is written, and is read again.
template <typename Parse>
void CheckJson(const std::string& text, const Parse& parse) {
  const auto parsed = parse(text);
  if (!parsed) return Require(!parsed.error().message.empty());
  const std::string written = bronze::ToJson(*parsed);
  const auto again = parse(written);
  Require(again && bronze::ToJson(*again) == written);
}

}  // namespace

/// The first byte chooses: a flush's manifest, a copy's, a position, a time.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      CheckJson(text, [](const std::string& json) { return bronze::ManifestFromJson(json); });
      break;
    case 1:
      CheckJson(text, [](const std::string& json) { return bronze::LoadManifestFromJson(json); });
      break;
    case 2:
      if (const auto lsn = Lsn::Parse(text)) Require(Lsn::Parse(lsn->ToString()) == *lsn);
      break;
    default:
      if (const auto micros = ParseTimestamp(text))
        Require(ParseTimestamp(FormatTimestamp(*micros)) == *micros);
  }
  return 0;
}
