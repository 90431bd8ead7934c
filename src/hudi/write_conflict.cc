#include "hudi/write_conflict.h"

#include <arrow/api.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "hudi/avro_schema.h"
#include "hudi/file_name.h"
#include "hudi/log_block.h"
#include "hudi/planned_compaction.h"
#include "parquet/parquet_reader.h"

namespace tarn::hudi {
namespace {

Error Meets(const OwnWrites& own, const std::string& what, const std::string& instant,
            const std::string& does) {
  return MakeError(ErrorCode::kConflict,
                   "commit {} and another writer's {} meet in {}, which that one {}: look at the table again "
                   "and retry",
                   own.instant, instant, what, does);
}

/// Whether a file was written behind the plan of our compaction, which does not touch it then.
bool IsBehind(const WriteStat& stat, const std::string& plan) {
  const auto log = ParseLogFileName(stat.path.substr(stat.path.rfind('/') + 1));
  return log && log->base_instant == plan;
}

/// kConflict when the commit's schema has what ours would take away again.
Status CheckSchema(const std::string& instant, const CommitMetadata& commit, const OwnWrites& own) {
  const auto text = commit.extra.find("schema");
  if (text == commit.extra.end() || text->second.empty()) return {};
  TARN_ASSIGN(const auto schema, TableSchemaFromAvro(text->second));
  for (const auto& field : schema->fields()) {
    const auto ours = own.schema->GetFieldByName(field->name());
    if (ours && ours->type()->Equals(*field->type())) continue;
    return Meets(own, "column '" + field->name() + "'", instant, "adds or changes");
  }
  return {};
}

/// File ids that a pending replacecommit takes away, as far as it says.
std::set<std::string> ClusteredGroups(const nlohmann::json& requested) {
  std::set<std::string> ids;
  if (!requested.is_object()) return ids;
  const auto plan = requested.find("clusteringPlan");
  if (plan == requested.end() || !plan->is_object()) return ids;
  const auto groups = plan->find("inputGroups");
  if (groups == plan->end() || !groups->is_array()) return ids;
  for (const auto& group : *groups) {
    const auto slices = group.find("slices");
    if (slices == group.end() || !slices->is_array()) continue;
    for (const auto& slice : *slices) {
      if (const auto id = slice.find("fileId"); id != slice.end() && id->is_string()) ids.insert(*id);
    }
  }
  return ids;
}

Status TakeKeys(const arrow::RecordBatch& rows, const std::string& path,
                const std::function<Status(const std::string& key)>& take) {
  const auto keys = std::dynamic_pointer_cast<arrow::StringArray>(rows.GetColumnByName(kRecordKey));
  if (!keys) return MakeError(ErrorCode::kCorrupt, "'{}' has no {}", path, kRecordKey);
  for (int64_t row = 0; row < keys->length(); row++) TARN_RETURN_IF_ERROR(take(keys->GetString(row)));
  return {};
}

}  // namespace

std::set<std::string> KnownInstants(const Timeline& timeline) {
  std::set<std::string> known;
  for (const auto& [instant, action] : timeline.completed) known.insert(instant);
  for (const PendingAction& pending : timeline.pending) {
    if (pending.action == "compaction") known.insert(pending.instant);
  }
  return known;
}

std::set<std::string> NewerThan(const Timeline& timeline, const std::set<std::string>& known) {
  std::set<std::string> newer;
  for (const auto& [instant, action] : timeline.completed) {
    if ((IsCommitAction(action) || action == "restore") && !known.contains(instant)) newer.insert(instant);
  }
  for (const PendingAction& pending : timeline.pending) {
    if (pending.action == "compaction" && !known.contains(pending.instant)) newer.insert(pending.instant);
  }
  return newer;
}

Status CheckAgainstCommit(const std::string& instant, const std::string& action, const CommitMetadata& commit,
                          const OwnWrites& own) {
  if (action == "restore") return Meets(own, "the whole table", instant, "restored");
  for (const WriteStat& stat : commit.stats) {
    if (own.file_ids.contains(stat.file_id) && !IsBehind(stat, own.instant))
      return Meets(own, "file group " + stat.file_id, instant, "wrote");
    if (own.is_whole_table || own.whole_partitions.contains(stat.partition))
      return Meets(own, "partition '" + stat.partition + "'", instant, "wrote");
  }
  for (const auto& [partition, ids] : commit.replaced_groups) {
    for (const std::string& id : ids) {
      if (own.file_ids.contains(id)) return Meets(own, "file group " + id, instant, "replaced");
    }
    if (own.is_whole_table || own.whole_partitions.contains(partition))
      return Meets(own, "partition '" + partition + "'", instant, "replaced");
  }
  return CheckSchema(instant, commit, own);
}

Status CheckAgainstPlan(const storage::Storage& storage, const std::string& base_path,
                        const PendingAction& plan, const OwnWrites& own) {
  if (plan.action == "compaction") {
    TARN_ASSIGN(const auto compaction, ReadCompactionPlan(storage, base_path, plan.instant));
    for (const auto& operation : compaction.operations) {
      if (own.is_whole_table || own.file_ids.contains(operation.file_id))
        return Meets(own, "file group " + operation.file_id, plan.instant, "will compact");
    }
    return {};
  }
  const auto bytes =
      storage.Read(base_path + "/.hoodie/" + TimelineFileName(plan.instant, plan.action, "requested"));
  if (!bytes && bytes.error().code == ErrorCode::kNotFound) return {};  // Rolled back meanwhile.
  if (!bytes) return bytes.error();
  if (bytes->empty()) return {};
  TARN_ASSIGN(const auto requested, FirstRecord(*bytes));
  for (const std::string& id : ClusteredGroups(requested)) {
    if (own.is_whole_table || own.file_ids.contains(id))
      return Meets(own, "file group " + id, plan.instant, "will cluster");
  }
  return {};
}

Status ForEachKey(const SliceContext& context, const std::shared_ptr<arrow::Schema>& schema,
                  const WriteStat& stat, const std::function<Status(const std::string& key)>& take) {
  const std::string name = stat.path.substr(stat.path.rfind('/') + 1);
  const std::string path = JoinPath(JoinPath(context.base_path, stat.partition), name);
  if (!ParseLogFileName(name)) {
    TARN_ASSIGN(auto file, context.storage->Open(path));
    TARN_ASSIGN(const auto reader, parquet::FileReader::Open(std::move(file), path));
    return reader->Scan({kRecordKey}, 0, reader->rows(),
                        [&](const auto& rows, int64_t) { return TakeKeys(*rows, path, take); });
  }
  const LogFile log{name, 0, "", stat.bytes};
  Slice slice;
  slice.logs = {&log};
  SliceContext alone = context;
  alone.logs = nullptr;
  LogMerge merge(WithMetaColumns(*schema), context.rules);
  Roaring unused;
  TARN_RETURN_IF_ERROR(MergeLogs(alone, stat.partition, stat.file_id, slice, 0, "", 0, &merge, &unused));
  TARN_ASSIGN(const auto rows, merge.Rows());
  return rows ? TakeKeys(*rows, path, take) : Status{};
}

Result<bool> HasDoneBlock(const storage::Storage& storage, const std::string& path,
                          const Timeline& timeline) {
  const auto bytes = storage.Read(path);
  if (!bytes && bytes.error().code == ErrorCode::kNotFound) return false;
  if (!bytes) return bytes.error();
  const auto blocks = ParseBlocks(*bytes, path);
  // One that is being written has no whole block yet.
  if (!blocks) return false;
  return std::any_of(blocks->begin(), blocks->end(), [&](const LogBlock& block) {
    return !block.target_instant.empty() || timeline.IsDone(block.instant);
  });
}

}  // namespace tarn::hudi
