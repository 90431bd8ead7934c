#include "app/hudi_arguments.h"

#include <filesystem>

#include "base/clock.h"
#include "hudi/table.h"
#include "storage/storage.h"

namespace tarn::app {

Result<std::string> TableFolder(std::string path) {
  if (path.starts_with("file://")) path = path.substr(7);
  if (storage::IsRemotePath(path))
    return MakeError(ErrorCode::kUnsupported,
                     "'{}': tables in an object store cannot be read yet, only local folders", path);
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

Result<std::string> InstantOf(const std::string& text, const char* option) {
  if (text.empty() || hudi::ParseInstant(text)) return text;
  const auto micros = ParseTimestamp(text);
  if (!micros)
    return MakeError(ErrorCode::kInvalidArgument,
                     "{} '{}' is neither an instant (yyyyMMddHHmmssSSS) nor a time such as 2026-11-20 09:00",
                     option, text);
  return hudi::FormatInstant(*micros);
}

std::string LakeOf(const std::string& folder) {
  std::error_code error;
  auto at = std::filesystem::weakly_canonical(std::filesystem::absolute(folder, error), error);
  for (; at.has_parent_path() && at != at.parent_path(); at = at.parent_path()) {
    const std::string name = at.filename();
    const bool is_layer = name == "silver" || name == "gold" || name == "quarantine";
    if (is_layer && std::filesystem::is_directory(at.parent_path() / "_tarn", error)) return at.parent_path();
  }
  return {};
}

}  // namespace tarn::app
