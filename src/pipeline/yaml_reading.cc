#include "pipeline/yaml_reading.h"

#include <fmt/ranges.h>

namespace tarn::pipeline {

Error WrongYaml(const std::string& file, const YAML::Node& node, const std::string& what) {
  return MakeError(ErrorCode::kInvalidArgument, "{}:{}: {}", file, node.Mark().line + 1, what);
}

Status CheckKeys(const std::string& file, const YAML::Node& map, const std::set<std::string>& known) {
  if (!map.IsMap()) return WrongYaml(file, map, "a mapping (key: value) is expected here");
  for (const auto& entry : map) {
    const auto key = entry.first.as<std::string>();
    if (known.contains(key)) continue;
    return WrongYaml(file, entry.first,
                     fmt::format("'{}' is not known here; known are: {}", key, fmt::join(known, ", ")));
  }
  return {};
}

std::string TextOf(const YAML::Node& map, const char* key) {
  return map[key] ? map[key].as<std::string>() : "";
}

}  // namespace tarn::pipeline
