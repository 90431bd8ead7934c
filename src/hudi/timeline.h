#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "storage/storage.h"

namespace tarn::hudi {

/// An action that has not completed.
struct PendingAction {
  std::string instant;
  std::string action;              ///< "commit", "deltacommit", "compaction", "clean", "rollback", …
  std::vector<std::string> files;  ///< Its state files.
};

/// Where layouts of the timeline keep its state files: 1 in `.hoodie`, 2 in `.hoodie/timeline`, with the time
/// of completion in the names of completed ones.
enum class TimelineLayout { kOne = 1, kTwo = 2 };

/// The active timeline: what the names of its state files say.
struct Timeline {
  TimelineLayout layout = TimelineLayout::kOne;
  std::map<std::string, std::string> completed;  ///< Instant → action; a compaction completes as "commit".
  std::vector<PendingAction> pending;            ///< Oldest first.
  std::map<std::string, std::vector<std::string>> files;  ///< Instant → all its state files.
  /// Layout 2: instant → when it completed, archived ones too.
  std::map<std::string, std::string> completions;
  /// Commits that a savepoint keeps.
  std::set<std::string> savepoints;
  /// Oldest instant of a commit of any state that no savepoint keeps here: what is older is archived.
  std::string first_commit;

  /// When an instant completed; itself under layout 1, or when nobody knows any more.
  const std::string& CompletionOf(const std::string& instant) const;
  /// Path of a completed instant's file below `.hoodie`.
  std::string CompletedPath(const std::string& instant) const;
  /// Path below `.hoodie` of a state file with this name.
  std::string StatePath(const std::string& name) const;
  /// The timeline as it was when `completion` had passed, or just before: what completed afterwards is
  /// pending.
  Timeline Until(const std::string& completion, bool before = false) const;
  /// Whether an instant's data counts: completed here, or older than every commit here (archived).
  bool IsDone(const std::string& instant) const;
  /// Instants that changed rows: commit, deltacommit, replacecommit.
  std::vector<std::string> Commits() const;
  /// Newest of Commits() at or before `as_of` (empty: of all); empty when none.
  std::string NewestCommit(const std::string& as_of) const;
  /// Greatest instant of any state; empty when none.
  std::string Newest() const;
};

/// Lists the timeline. A listing that raced with archiving is made again. What a restore that is under way
/// takes away does not count any more, done or not. Errors: kCorrupt names a file of layout 2's history, or
/// the plan of such a restore, that is broken.
Result<Timeline> ReadTimeline(const storage::Storage& storage, const std::string& base_path,
                              TimelineLayout layout = TimelineLayout::kOne);

/// What a file of the timeline that is an Avro container (plans, cleans, rollbacks) says, as JSON; null when
/// it has no record. Errors: kCorrupt, kUnsupported names the codec.
Result<nlohmann::json> FirstRecord(std::string_view bytes);

bool IsCommitAction(const std::string& action);
/// Whether an action makes data files that only count once it completed.
bool WritesData(const std::string& action);
/// Name of a state file: state is "requested", "inflight" or "" (completed).
std::string TimelineFileName(const std::string& instant, const std::string& action, const std::string& state);

}  // namespace tarn::hudi
