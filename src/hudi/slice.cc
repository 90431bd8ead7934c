#include "hudi/slice.h"

#include <arrow/api.h>

#include <algorithm>
#include <set>
#include <unordered_set>

#include "hudi/avro_schema.h"
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

/// Finds the base rows that logs without a sidecar touch, by key. Where the base row's ordering is greater,
/// it stays.
Status ProbeBase(const SliceContext& context, const std::string& path, const KeySet& touched, uint64_t salt,
                 LogMerge* merge, Roaring* replaced) {
  TARN_ASSIGN(auto file, context.storage->Open(path));
  TARN_ASSIGN(const auto reader, parquet::FileReader::Open(std::move(file), path));
  std::vector<std::string> columns{kRecordKey};
  if (!context.ordering_field.empty()) columns.push_back(context.ordering_field);
  return reader->Scan(columns, 0, reader->rows(), [&](const auto& rows, int64_t first) -> Status {
    const auto keys = std::dynamic_pointer_cast<arrow::StringArray>(rows->GetColumnByName(kRecordKey));
    if (!keys) return MakeError(ErrorCode::kUnsupported, "base file '{}' has no {}", path, kRecordKey);
    const std::vector<int64_t> orderings = OrderingsOf(*rows, context.ordering_field);
    for (int64_t row = 0; row < keys->length(); row++) {
      const Hash128 key = HashText(keys->GetView(row));
      if (!touched.contains(key)) continue;
      const LogMerge::Entry* entry = merge->Find(key, salt);
      if (entry != nullptr && entry->ordering && *entry->ordering < orderings[static_cast<size_t>(row)]) {
        merge->Suppress(key, salt);
      } else {
        replaced->add(static_cast<uint32_t>(first + row));
      }
    }
    return {};
  });
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

Result<bool> IsWhole(const SliceContext& context, const std::string& partition, const LogFile& log,
                     const std::string& as_of) {
  TARN_ASSIGN(const auto decoded, context.logs->Get(*context.storage, PathOf(context, partition, log.name),
                                                    log.size_bytes, context.ordering_field));
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
    TARN_ASSIGN(auto log, context.logs == nullptr
                              ? DecodeLog(*context.storage, path, context.ordering_field)
                              : context.logs->Get(*context.storage, path, slice.logs[i]->size_bytes,
                                                  context.ordering_field));
    logs.push_back(std::move(log));
  }
  // A rollback block takes away what its instant wrote before it, whichever file that is in.
  std::map<std::string, size_t> rolled_back_before;
  for (size_t i = 0; i < logs.size(); i++) {
    for (const DecodedBlock& block : logs[i]->blocks) {
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
