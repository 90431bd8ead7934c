#include "app/reload.h"

#include <toml++/toml.h>

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

namespace tarn::app {
namespace {

using Settings = std::map<std::string, std::string>;

void Add(Settings& settings, const std::string& name, const toml::node& node) {
  std::ostringstream text;
  node.visit([&](const auto& value) { text << value; });
  settings[name] = text.str();
}

Settings SettingsOf(const std::string& text) {
  Settings settings;
  for (const auto& [section, node] : toml::parse(text)) {
    const std::string name(section.str());
    const toml::table* keys = node.as_table();
    if (keys == nullptr || name == "principals") {
      Add(settings, name, node);
      continue;
    }
    for (const auto& [key, value] : *keys) Add(settings, name + "." + std::string(key.str()), value);
  }
  return settings;
}

}  // namespace

std::vector<std::string> ChangedSettings(const std::string& before, const std::string& after) {
  const Settings was = SettingsOf(before), is = SettingsOf(after);
  std::vector<std::string> changed;
  Settings all = was;
  all.insert(is.begin(), is.end());
  for (const auto& [name, value] : all) {
    const auto old = was.find(name), now = is.find(name);
    if (old == was.end() || now == is.end() || old->second != now->second) changed.push_back(name);
  }
  return changed;
}

Config RunningConfig::Get() const {
  const std::lock_guard lock(mutex_);
  return config_;
}

Result<std::string> RunningConfig::Reload(pipeline::Runner& runner) {
  const std::lock_guard lock(mutex_);
  TARN_ASSIGN(const Config now, LoadConfig(config_.file));
  std::vector<std::string> waiting = ChangedSettings(config_.text, now.text);
  std::erase_if(waiting,
                [](const std::string& name) { return name == "tables.include" || name == "tables.exclude"; });
  const cdc::TablePatterns& wanted = now.pipeline.patterns;
  cdc::TablePatterns& known = config_.pipeline.patterns;
  std::vector<std::string> added;
  if (wanted.include != known.include || wanted.exclude != known.exclude) {
    TARN_ASSIGN(added, runner.ChangeSelection(wanted.include, wanted.exclude));
    known.include = wanted.include;
    known.exclude = wanted.exclude;
  }
  return nlohmann::json{{"added", added}, {"waiting", waiting}}.dump();
}

}  // namespace tarn::app
