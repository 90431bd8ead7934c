#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tarn::hudi {

/// `<fileId>_<writeToken>_<instant>.parquet`
struct BaseFileName {
  std::string file_id, token, instant;
};
/// `.<fileId>_<baseInstant>.log.<version>_<writeToken>`
struct LogFileName {
  std::string file_id, base_instant;
  int version = 0;
  std::string token;
};

std::optional<BaseFileName> ParseBaseFileName(std::string_view name);
/// Change-capture files (`.cdc`) are not log files and give nullopt.
std::optional<LogFileName> ParseLogFileName(std::string_view name);
std::string FormatBaseFileName(const std::string& file_id, const std::string& token,
                               const std::string& instant);
std::string FormatLogFileName(const std::string& file_id, const std::string& base_instant, int version,
                              const std::string& token);
/// The write token of our logs, another one for each commit: a name that was rolled back never comes again,
/// for readers know logs by their names.
std::string LogWriteToken(int64_t commit_micros);
/// A new random file id, `<uuid>-0`.
std::string NewFileId();

/// "a/b", or "b" when a is empty.
std::string JoinPath(const std::string& folder, const std::string& name);

}  // namespace tarn::hudi
