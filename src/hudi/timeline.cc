#include "hudi/timeline.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "avro/container.h"

namespace tarn::hudi {
namespace {

struct StateFile {
  std::string instant, action, state;
};

bool ParseStateFile(const std::string& name, StateFile* parsed) {
  const size_t dot = name.find('.');
  if (dot == std::string::npos || (dot != 17 && dot != 14)) return false;
  if (name.find_first_not_of("0123456789") != dot) return false;
  parsed->instant = name.substr(0, dot);
  std::string rest = name.substr(dot + 1);
  if (rest == "inflight") rest = "commit.inflight";
  const size_t split = rest.find('.');
  parsed->action = rest.substr(0, split);
  parsed->state = split == std::string::npos ? "" : rest.substr(split + 1);
  return parsed->state.empty() || parsed->state == "requested" || parsed->state == "inflight";
}

}  // namespace

Result<nlohmann::json> FirstRecord(std::string_view bytes) {
  TARN_ASSIGN(const auto records, avro::ReadContainer(bytes));
  if (records.empty()) return nlohmann::json();
  auto json = nlohmann::json::parse(records.front(), nullptr, false);
  return json.is_discarded() ? nlohmann::json() : std::move(json);
}

bool IsCommitAction(const std::string& action) {
  return action == "commit" || action == "deltacommit" || action == "replacecommit";
}

std::string TimelineFileName(const std::string& instant, const std::string& action,
                             const std::string& state) {
  if (state.empty()) return instant + "." + (action == "compaction" ? "commit" : action);
  if (state == "inflight" && action == "commit") return instant + ".inflight";
  return instant + "." + action + "." + state;
}

bool Timeline::IsDone(const std::string& instant) const {
  if (completed.contains(instant)) return true;
  return !files.empty() && instant < files.begin()->first;
}

std::vector<std::string> Timeline::Commits() const {
  std::vector<std::string> commits;
  for (const auto& [instant, action] : completed) {
    if (IsCommitAction(action)) commits.push_back(instant);
  }
  return commits;
}

std::string Timeline::NewestCommit(const std::string& as_of) const {
  for (auto it = completed.rbegin(); it != completed.rend(); ++it) {
    if (IsCommitAction(it->second) && (as_of.empty() || it->first <= as_of)) return it->first;
  }
  return {};
}

std::string Timeline::Newest() const { return files.empty() ? std::string() : files.rbegin()->first; }

Result<Timeline> ReadTimeline(const storage::Storage& storage, const std::string& base_path) {
  const std::string folder = base_path + "/.hoodie";
  for (int attempt = 0;; attempt++) {
    TARN_ASSIGN(const auto entries, storage.List(folder));
    Timeline timeline;
    std::map<std::string, PendingAction> begun;
    for (const auto& entry : entries) {
      StateFile file;
      if (entry.is_directory || !ParseStateFile(entry.name, &file)) continue;
      timeline.files[file.instant].push_back(entry.name);
      if (file.state.empty()) {
        timeline.completed[file.instant] = file.action;
      } else {
        PendingAction& pending = begun[file.instant];
        pending.instant = file.instant;
        pending.action = file.action;
        pending.files.push_back(entry.name);
      }
    }
    for (auto& [instant, pending] : begun) {
      if (!timeline.completed.contains(instant)) timeline.pending.push_back(std::move(pending));
    }
    // Archiving removes the oldest first: while the oldest seen is still there, nothing newer has gone.
    if (timeline.files.empty() || attempt == 5) return timeline;
    const auto& oldest = timeline.files.begin()->second;
    const bool complete = std::all_of(oldest.begin(), oldest.end(), [&](const std::string& name) {
      return storage.Exists(folder + "/" + name);
    });
    if (complete) return timeline;
  }
}

}  // namespace tarn::hudi
