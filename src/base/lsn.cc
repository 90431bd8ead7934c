#include "base/lsn.h"

#include <charconv>

namespace tarn {

std::string Lsn::ToString() const { return fmt::format("{:X}/{:X}", value >> 32, value & 0xffffffffULL); }

Result<Lsn> Lsn::Parse(std::string_view text) {
  const auto bad = [&] {
    return MakeError(ErrorCode::kInvalidArgument, "'{}' is not an LSN such as 0/16B3748", text);
  };
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return bad();
  uint32_t high = 0;
  uint32_t low = 0;
  const char* end = text.data() + text.size();
  const auto a = std::from_chars(text.data(), text.data() + slash, high, 16);
  const auto b = std::from_chars(text.data() + slash + 1, end, low, 16);
  if (a.ec != std::errc() || b.ec != std::errc() || a.ptr != text.data() + slash || b.ptr != end)
    return bad();
  return Lsn{(static_cast<uint64_t>(high) << 32) | low};
}

}  // namespace tarn
