#include "hudi/timeline.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "avro/container.h"
#include "hudi/restore_plan.h"
#include "hudi/timeline_history.h"

namespace tarn::hudi {
namespace {

struct StateFile {
  std::string instant, completion, action, state;
};

std::string FolderOf(const std::string& base_path, TimelineLayout layout) {
  return base_path + (layout == TimelineLayout::kOne ? "/.hoodie" : "/.hoodie/timeline");
}

bool IsInstant(std::string_view text) {
  return (text.size() == 17 || text.size() == 14) &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool ParseStateFile(const std::string& name, StateFile* parsed) {
  const size_t dot = name.find('.');
  if (dot == std::string::npos) return false;
  const size_t underscore = std::min(name.find('_'), dot);
  parsed->instant = name.substr(0, underscore);
  parsed->completion = underscore < dot ? name.substr(underscore + 1, dot - underscore - 1) : "";
  if (!IsInstant(parsed->instant) || (underscore < dot && !IsInstant(parsed->completion))) return false;
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

bool WritesData(const std::string& action) {
  return IsCommitAction(action) || action == "compaction" || action == "logcompaction" ||
         action == "clustering";
}

std::string TimelineFileName(const std::string& instant, const std::string& action,
                             const std::string& state) {
  if (state.empty()) return instant + "." + (action == "compaction" ? "commit" : action);
  if (state == "inflight" && action == "commit") return instant + ".inflight";
  return instant + "." + action + "." + state;
}

const std::string& Timeline::CompletionOf(const std::string& instant) const {
  const auto found = completions.find(instant);
  return found == completions.end() ? instant : found->second;
}

std::string Timeline::StatePath(const std::string& name) const {
  return layout == TimelineLayout::kOne ? name : "timeline/" + name;
}

std::string Timeline::CompletedPath(const std::string& instant) const {
  const auto action = completed.find(instant);
  const std::string name = action == completed.end() ? instant : action->second;
  if (layout == TimelineLayout::kOne) return StatePath(instant + "." + name);
  return StatePath(instant + "_" + CompletionOf(instant) + "." + name);
}

Timeline Timeline::Until(const std::string& completion, bool before) const {
  Timeline then = *this;
  for (const auto& [instant, action] : completed) {
    const std::string& completed_at = CompletionOf(instant);
    if (before ? completed_at < completion : completed_at <= completion) continue;
    then.completed.erase(instant);
    then.pending.push_back({instant, action, files.at(instant)});
  }
  return then;
}

bool Timeline::IsDone(const std::string& instant) const {
  if (completed.contains(instant)) return true;
  return !first_commit.empty() && instant < first_commit;
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

namespace {

std::string FirstCommit(const Timeline& timeline) {
  std::set<std::string> data, saved;
  for (const auto& [instant, names] : timeline.files) {
    for (const std::string& name : names) {
      StateFile file;
      if (!ParseStateFile(name, &file)) continue;
      if (file.action == "savepoint") saved.insert(instant);
      if (WritesData(file.action)) data.insert(instant);
    }
  }
  for (const std::string& instant : data) {
    if (!saved.contains(instant)) return instant;
  }
  // Between savepoints others may have been archived.
  return data.empty() ? std::string() : *data.rbegin();
}

/// One look at the listing.
Timeline ParseTimeline(const std::vector<storage::FileInfo>& entries, TimelineLayout layout) {
  Timeline timeline;
  timeline.layout = layout;
  std::map<std::string, PendingAction> begun;
  for (const auto& entry : entries) {
    StateFile file;
    if (entry.is_directory || !ParseStateFile(entry.name, &file)) continue;
    timeline.files[file.instant].push_back(entry.name);
    if (file.state.empty()) {
      // A savepoint has the instant of the commit that it keeps.
      std::string& action = timeline.completed[file.instant];
      if (file.action == "savepoint") timeline.savepoints.insert(file.instant);
      if (action.empty() || action == "savepoint") action = file.action;
      if (!file.completion.empty() && file.action != "savepoint")
        timeline.completions[file.instant] = file.completion;
    } else if (file.action != "savepoint") {
      PendingAction& pending = begun[file.instant];
      pending.instant = file.instant;
      pending.action = file.action;
      pending.files.push_back(entry.name);
    }
  }
  for (auto& [instant, pending] : begun) {
    if (!timeline.completed.contains(instant)) timeline.pending.push_back(std::move(pending));
  }
  timeline.first_commit = FirstCommit(timeline);
  return timeline;
}

/// Whoever looks while a restore is under way sees the table as it will be.
Status HideRestored(const storage::Storage& storage, const std::string& base_path, Timeline* timeline) {
  std::vector<PendingAction> hidden;
  for (const PendingAction& pending : timeline->pending) {
    if (pending.action != "restore") continue;
    TARN_ASSIGN(const auto plan, ReadRestorePlan(storage, base_path, *timeline, pending.instant));
    if (!plan) continue;
    for (const auto& [instant, action] : plan->rolled_back) {
      if (timeline->completed.erase(instant) == 0) continue;
      timeline->completions.erase(instant);
      hidden.push_back({instant, action, timeline->files.at(instant)});
    }
  }
  if (hidden.empty()) return {};
  auto& pending = timeline->pending;
  pending.insert(pending.end(), hidden.begin(), hidden.end());
  std::sort(pending.begin(), pending.end(),
            [](const PendingAction& a, const PendingAction& b) { return a.instant < b.instant; });
  timeline->first_commit = FirstCommit(*timeline);
  return {};
}

}  // namespace

Result<Timeline> ReadTimeline(const storage::Storage& storage, const std::string& base_path,
                              TimelineLayout layout) {
  const std::string folder = FolderOf(base_path, layout);
  for (int attempt = 0;; attempt++) {
    TARN_ASSIGN(const auto entries, storage.List(folder));
    Timeline timeline = ParseTimeline(entries, layout);
    if (layout == TimelineLayout::kTwo) {
      TARN_RETURN_IF_ERROR(ReadHistory(storage, folder + "/history", &timeline));
    }
    TARN_RETURN_IF_ERROR(HideRestored(storage, base_path, &timeline));
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
