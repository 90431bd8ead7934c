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
  std::vector<std::string> files;  ///< Its state files in .hoodie.
};

/// The active timeline (layout 1): what the names in `.hoodie` say.
struct Timeline {
  std::map<std::string, std::string> completed;  ///< Instant → action; a compaction completes as "commit".
  std::vector<PendingAction> pending;            ///< Oldest first.
  std::map<std::string, std::vector<std::string>> files;  ///< Instant → all its state files.

  /// Whether an instant's data counts: completed here, or older than everything here (archived).
  bool IsDone(const std::string& instant) const;
  /// Instants that changed rows: commit, deltacommit, replacecommit.
  std::vector<std::string> Commits() const;
  /// Newest of Commits() at or before `as_of` (empty: of all); empty when none.
  std::string NewestCommit(const std::string& as_of) const;
  /// Greatest instant of any state; empty when none.
  std::string Newest() const;
};

/// Lists the timeline. A listing that raced with archiving is made again.
Result<Timeline> ReadTimeline(const storage::Storage& storage, const std::string& base_path);

/// What a file of the timeline that is an Avro container (plans, cleans, rollbacks) says, as JSON; null when
/// it has no record. Errors: kCorrupt, kUnsupported names the codec.
Result<nlohmann::json> FirstRecord(std::string_view bytes);

bool IsCommitAction(const std::string& action);
/// Name of a state file: state is "requested", "inflight" or "" (completed).
std::string TimelineFileName(const std::string& instant, const std::string& action, const std::string& state);

}  // namespace tarn::hudi
