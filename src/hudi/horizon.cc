#include "hudi/horizon.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "hudi/commit_metadata.h"
#include "hudi/restore_plan.h"

namespace tarn::hudi {
namespace {

Result<nlohmann::json> Record(const storage::Storage& storage, const std::string& base_path,
                              const std::string& path) {
  TARN_ASSIGN(const std::string bytes, storage.Read(base_path + "/.hoodie/" + path));
  return FirstRecord(bytes);
}

/// What a clean that is under way takes may be gone already.
Result<std::string> PendingHorizon(const storage::Storage& storage, const std::string& base_path,
                                   const Timeline& timeline) {
  std::string horizon;
  for (const PendingAction& pending : timeline.pending) {
    const std::string& first = pending.files.front();
    if (pending.action != "clean" || !first.ends_with(".inflight")) continue;
    TARN_ASSIGN(const std::string bytes, storage.Read(base_path + "/.hoodie/" + timeline.StatePath(first)));
    const auto plan = FirstRecord(bytes);
    if (!plan || !plan->is_object()) continue;  // Written in part: nothing was taken.
    const auto retained = plan->find("earliestInstantToRetain");
    if (retained != plan->end() && retained->is_object())
      horizon = std::max(horizon, retained->value("timestamp", ""));
  }
  return horizon;
}

}  // namespace

Result<std::string> ServiceHorizon(const storage::Storage& storage, const std::string& base_path,
                                   const Timeline& timeline) {
  TARN_ASSIGN(std::string horizon, PendingHorizon(storage, base_path, timeline));
  std::string restored;   // To the oldest savepoint of the restores after what is looked at.
  bool is_known = false;  // Older cleans took less.
  for (auto it = timeline.completed.rbegin(); it != timeline.completed.rend(); ++it) {
    if (it->second == "restore") {
      // Where other writers left no plan, the cleans before it hold.
      const auto plan = ReadRestorePlan(storage, base_path, timeline, it->first);
      if (!plan && plan.error().code != ErrorCode::kUnsupported && plan.error().code != ErrorCode::kCorrupt)
        return plan.error();
      if (plan && *plan && !(*plan)->savepoint.empty())
        restored = restored.empty() ? (*plan)->savepoint : std::min(restored, (*plan)->savepoint);
      is_known = false;
    } else if (it->second == "clean" && !is_known) {
      TARN_ASSIGN(const auto json, Record(storage, base_path, timeline.CompletedPath(it->first)));
      std::string retained = json.is_object() ? json.value("earliestCommitToRetain", "") : "";
      if (!restored.empty()) retained = std::min(retained, restored);
      horizon = std::max(horizon, retained);
      is_known = true;
    }
  }
  return horizon;
}

Result<std::string> ReadHorizon(const storage::Storage& storage, const std::string& base_path,
                                const Timeline& timeline) {
  TARN_ASSIGN(const std::string horizon, ServiceHorizon(storage, base_path, timeline));
  const std::string newest = timeline.NewestCommit("");
  if (newest.empty()) return horizon;
  const std::string name = timeline.CompletedPath(newest);
  TARN_ASSIGN(const std::string text, storage.Read(base_path + "/.hoodie/" + name));
  TARN_ASSIGN(const CommitMetadata commit, ParseCommit(text, name));
  const auto repeated = commit.extra.find(kHistoryFrom);
  return repeated == commit.extra.end() ? horizon : std::max(horizon, repeated->second);
}

}  // namespace tarn::hudi
