#pragma once

#include <yaml-cpp/yaml.h>

#include <set>
#include <string>

#include "base/error.h"

namespace tarn::pipeline {

/// kInvalidArgument with the place of a node.
Error WrongYaml(const std::string& file, const YAML::Node& node, const std::string& what);
/// Errors: kInvalidArgument when it is no mapping, or has a key that is not `known`, which are named.
Status CheckKeys(const std::string& file, const YAML::Node& map, const std::set<std::string>& known);
/// Empty when it is not there.
std::string TextOf(const YAML::Node& map, const char* key);

}  // namespace tarn::pipeline
