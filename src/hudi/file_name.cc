#include "hudi/file_name.h"

#include <fmt/format.h>

#include <charconv>
#include <random>

namespace tarn::hudi {
namespace {

bool AllDigits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

std::optional<BaseFileName> ParseBaseFileName(std::string_view name) {
  constexpr std::string_view kSuffix = ".parquet";
  if (!name.ends_with(kSuffix) || name.starts_with('.')) return std::nullopt;
  name.remove_suffix(kSuffix.size());
  const size_t first = name.find('_'), last = name.rfind('_');
  if (first == std::string_view::npos || first == last) return std::nullopt;
  BaseFileName parsed{std::string(name.substr(0, first)),
                      std::string(name.substr(first + 1, last - first - 1)),
                      std::string(name.substr(last + 1))};
  if (!AllDigits(parsed.instant)) return std::nullopt;
  return parsed;
}

std::optional<LogFileName> ParseLogFileName(std::string_view name) {
  if (!name.starts_with('.') || name.ends_with(".cdc") || name.ends_with(".crc")) return std::nullopt;
  name.remove_prefix(1);
  const size_t underscore = name.find('_');
  const size_t log = name.find(".log.");
  if (underscore == std::string_view::npos || log == std::string_view::npos || underscore > log)
    return std::nullopt;
  LogFileName parsed;
  parsed.file_id = name.substr(0, underscore);
  parsed.base_instant = name.substr(underscore + 1, log - underscore - 1);
  const std::string_view tail = name.substr(log + 5);
  const size_t token = tail.find('_');
  const std::string_view version = tail.substr(0, token);
  const auto [end, error] = std::from_chars(version.data(), version.data() + version.size(), parsed.version);
  if (error != std::errc() || end != version.data() + version.size()) return std::nullopt;
  if (token != std::string_view::npos) parsed.token = tail.substr(token + 1);
  return parsed;
}

std::string FormatBaseFileName(const std::string& file_id, const std::string& token,
                               const std::string& instant) {
  return fmt::format("{}_{}_{}.parquet", file_id, token, instant);
}

std::string FormatLogFileName(const std::string& file_id, const std::string& base_instant, int version,
                              const std::string& token) {
  return fmt::format(".{}_{}.log.{}_{}", file_id, base_instant, version, token);
}

std::string LogWriteToken(int64_t commit_micros) {
  constexpr int64_t kDayMillis = 24LL * 3600 * 1000;
  const int64_t millis = commit_micros / 1000;
  return fmt::format("0-{}-{}", millis / kDayMillis, millis % kDayMillis);
}

std::string NewFileId() {
  static thread_local std::mt19937_64 random{std::random_device{}()};
  const uint64_t a = (random() & ~0xf000ULL) | 0x4000ULL;
  const uint64_t b = (random() & ~(3ULL << 62)) | (2ULL << 62);
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}-0", a >> 32, (a >> 16) & 0xffff, a & 0xffff,
                     b >> 48, b & 0xffffffffffffULL);
}

std::string JoinPath(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : folder + "/" + name;
}

}  // namespace tarn::hudi
