#include "pipeline/seen_storages.h"

#include <utility>

namespace tarn::pipeline {

void SeenStorages::See(SeenStorage seen) {
  const auto known = seen_.find(seen.table);
  // The first look's position is kept: else a stream that is behind would never come to the newest look's.
  if (known != seen_.end() && known->second.storage == seen.storage) return;
  std::string table = seen.table;
  seen_.insert_or_assign(std::move(table), std::move(seen));
}

SeenStorages::Decided SeenStorages::Decide(const std::function<bool(Lsn)>& passed) {
  Decided decided;
  for (auto entry = seen_.begin(); entry != seen_.end();) {
    const SeenStorage& seen = entry->second;
    const auto truncated = truncated_.find(seen.table);
    const bool holds = !seen.since || (truncated != truncated_.end() && truncated->second > *seen.since);
    if (!holds && !passed(seen.seen)) {
      ++entry;
      continue;
    }
    if (holds) {
      decided.noted.emplace_back(seen.table, seen.storage);
    } else {
      decided.untold.push_back(seen.table);
    }
    entry = seen_.erase(entry);
  }
  return decided;
}

void SeenStorages::Clear() {
  truncated_.clear();
  seen_.clear();
}

}  // namespace tarn::pipeline
