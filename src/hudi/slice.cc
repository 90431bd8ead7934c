#include "hudi/slice.h"

#include <arrow/api.h>

#include <algorithm>
#include <set>
#include <unordered_set>

#include "hudi/avro_schema.h"
#include "hudi/commit_metadata.h"
#include "hudi/file_name.h"
#include "hudi/positions.h"
#include "parquet/parquet_reader.h"

namespace tarn::hudi {
namespace {

bool Counts(const Timeline& timeline, const std::string& instant, const std::string& as_of) {
  return (as_of.empty() || instant <= as_of) && timeline.IsDone(instant);
}

std::string PathOf(const SliceContext& context, const std::string& partition, const std::string& name) {
  return JoinPath(JoinPath(context.base_path, partition), name);
}

using KeySet = std::unordered_set<Hash128, HashOfHash>;

/// Finds the base rows that logs without a sidecar touch, by key. Where the rules say so, the base row stays,
/// or gives columns to the logs' row.
Status ProbeBase(const SliceContext& context, const std::string& path, const KeySet& touched, uint64_t salt,
                 LogMerge* merge, Roaring* replaced) {
  TARN_ASSIGN(auto file, context.storage->Open(path));
  TARN_ASSIGN(const auto reader, parquet::FileReader::Open(std::move(file), path));
  const auto columns = merge->combines() ? reader->schema()->field_names() : RuleColumns(context.rules);
  const auto probe = [&](const std::shared_ptr<arrow::RecordBatch>& rows, int64_t first) -> Status {
    TARN_ASSIGN(const auto keys, KeysOf(*rows, context.rules));
    const std::vector<int64_t> orderings = OrderingsOf(*rows, context.rules);
    TARN_ASSIGN(const auto texts, OrderingTextsOf(*rows, context.rules));
    std::vector<int64_t> met;
    std::vector<Hash128> met_keys;
    std::vector<int64_t> met_orderings;
    std::vector<std::string> met_texts;
    for (size_t row = 0; row < keys.size(); row++) {
      const Hash128 key = HashText(keys[row]);
      if (!touched.contains(key)) continue;
      const auto position = static_cast<uint32_t>(first) + static_cast<uint32_t>(row);
      if (!merge->combines()) {
        if (merge->MeetBase(key, salt, orderings[row], texts.empty() ? "" : texts[row]))
          replaced->add(position);
        continue;
      }
      replaced->add(position);
      met.push_back(static_cast<int64_t>(row));
      met_keys.push_back(key);
      met_orderings.push_back(orderings[row]);
      if (!texts.empty()) met_texts.push_back(texts[row]);
    }
    if (met.empty()) return {};
    TARN_ASSIGN(const auto taken, TakeRows(*rows, met));
    return merge->AddBase(taken, met_keys, met_orderings, met_texts, salt);
  };
  Status probed = reader->Scan(columns, 0, reader->rows(), probe);
  if (!probed) return std::move(probed).error().In(path);
  return {};
}

/// Layout 2: logs are named by their own commit, and belong to the newest base file that was begun before
/// they completed. Those of a pending compaction's future file are among them.
void AddLogsByCompletion(const GroupFiles& group, const Timeline& timeline, const std::string& as_of,
                         Slice* slice) {
  for (const auto& [instant, logs] : group.logs) {
    if (!Counts(timeline, instant, as_of)) continue;
    if (slice->base != nullptr && timeline.CompletionOf(instant) < slice->base->instant) continue;
    for (const LogFile& log : logs) slice->logs.push_back(&log);
  }
}

}  // namespace

std::optional<Slice> ChooseSlice(const GroupFiles& group, const Timeline& timeline,
                                 const std::string& as_of) {
  Slice slice;
  for (auto it = group.bases.rbegin(); it != group.bases.rend(); ++it) {
    if (!Counts(timeline, it->first, as_of)) continue;
    slice.base = &it->second;
    break;
  }
  if (timeline.layout == TimelineLayout::kTwo) {
    AddLogsByCompletion(group, timeline, as_of, &slice);
    if (slice.base == nullptr && slice.logs.empty()) return std::nullopt;
    return slice;
  }
  std::set<std::string> log_instants;
  if (slice.base != nullptr) {
    log_instants.insert(slice.base->instant);
  } else {
    // Logs of a base file that does not count yet hold nothing older than it.
    for (const auto& [instant, logs] : group.logs) {
      if (!group.bases.contains(instant)) log_instants.insert(instant);
    }
  }
  for (const PendingAction& pending : timeline.pending) {
    // From the moment a compaction is planned, new logs of its groups carry its instant.
    if (pending.action == "compaction" && (slice.base == nullptr || pending.instant > slice.base->instant)) {
      log_instants.insert(pending.instant);
    }
  }
  for (const std::string& instant : log_instants) {
    const auto it = group.logs.find(instant);
    if (it == group.logs.end()) continue;
    for (const LogFile& log : it->second) slice.logs.push_back(&log);
  }
  if (slice.base == nullptr && slice.logs.empty()) return std::nullopt;
  return slice;
}

Result<ReplacedInstants> ReplacedGroups(const storage::Storage& storage, const std::string& base_path,
                                        const Timeline& timeline, const std::string& as_of) {
  ReplacedInstants replaced;
  for (const auto& [instant, action] : timeline.completed) {
    if (action != "replacecommit" || (!as_of.empty() && instant > as_of)) continue;
    const std::string name = timeline.CompletedPath(instant);
    TARN_ASSIGN(const std::string text, storage.Read(base_path + "/.hoodie/" + name));
    TARN_ASSIGN(const CommitMetadata commit, ParseCommit(text, name));
    for (const auto& [partition, ids] : commit.replaced_groups) {
      for (const std::string& id : ids) replaced.emplace(id, instant);
    }
  }
  return replaced;
}

Result<bool> IsWhole(const SliceContext& context, const std::string& partition, const LogFile& log,
                     const std::string& as_of) {
  TARN_ASSIGN(const auto decoded, context.logs->Get(*context.storage, PathOf(context, partition, log.name),
                                                    log.size_bytes, context.rules));
  return std::all_of(decoded->blocks.begin(), decoded->blocks.end(), [&](const DecodedBlock& block) {
    return block.rollback_target.empty() && Counts(*context.timeline, block.instant, as_of);
  });
}

Status MergeLogs(const SliceContext& context, const std::string& partition, const std::string& file_id,
                 const Slice& slice, size_t first_log, const std::string& as_of, uint64_t salt,
                 LogMerge* merge, Roaring* replaced) {
  std::vector<std::shared_ptr<const DecodedLog>> logs;
  for (size_t i = first_log; i < slice.logs.size(); i++) {
    const std::string path = PathOf(context, partition, slice.logs[i]->name);
    TARN_ASSIGN(auto log,
                context.logs == nullptr
                    ? DecodeLog(*context.storage, path, context.rules)
                    : context.logs->Get(*context.storage, path, slice.logs[i]->size_bytes, context.rules));
    logs.push_back(std::move(log));
  }
  // A rollback block takes away what its instant wrote before it, whichever file that is in; a block of logs
  // that were put together stands for those of their instants.
  std::map<std::string, size_t> rolled_back_before;
  std::set<std::string> put_together;
  for (size_t i = 0; i < logs.size(); i++) {
    for (const DecodedBlock& block : logs[i]->blocks) {
      if (!block.compacted.empty() && Counts(*context.timeline, block.instant, as_of))
        put_together.insert(block.compacted.begin(), block.compacted.end());
      if (!block.rollback_target.empty()) rolled_back_before[block.rollback_target] = i;
    }
  }
  KeySet unknown;
  for (size_t i = 0; i < logs.size(); i++) {
    std::string known_instant;
    for (const DecodedBlock& block : logs[i]->blocks) {
      if (!block.rollback_target.empty() || !Counts(*context.timeline, block.instant, as_of)) continue;
      const auto rolled_back = rolled_back_before.find(block.instant);
      if (rolled_back != rolled_back_before.end() && i <= rolled_back->second) continue;
      if (put_together.contains(block.instant)) continue;
      TARN_RETURN_IF_ERROR(merge->Add(block, salt));
      if (slice.base == nullptr || known_instant == block.instant) continue;
      const LogFile& file = *slice.logs[first_log + i];
      std::optional<Roaring> positions;
      if (!context.sidecar_folder.empty()) {
        positions = ReadPositions(*context.storage, PositionsPath(context.sidecar_folder, file_id, file.name),
                                  block.instant);
      }
      if (positions) {
        *replaced |= *positions;
        known_instant = block.instant;
        continue;
      }
      unknown.insert(block.keys.begin(), block.keys.end());
      for (const auto& removed : block.deletes) unknown.insert(removed.key);
    }
  }
  if (unknown.empty() || slice.base == nullptr) return {};
  return ProbeBase(context, PathOf(context, partition, slice.base->name), unknown, salt, merge, replaced);
}

}  // namespace tarn::hudi
