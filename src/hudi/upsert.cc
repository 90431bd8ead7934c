#include <arrow/api.h>
#include <arrow/util/byte_size.h>

#include <algorithm>
#include <optional>

#include "avro/binary.h"
#include "avro/rows.h"
#include "hudi/avro_schema.h"
#include "hudi/file_name.h"
#include "hudi/hudi_table.h"
#include "hudi/log_block.h"
#include "hudi/positions.h"
#include "hudi/upsert_plan.h"

namespace tarn::hudi {
namespace {

/// Java readers keep a block's size in 32 bits; smaller blocks also keep readers' memory low.
constexpr int64_t kMostBlockBytes = 128 << 20;
constexpr size_t kRowsToJudgeBy = 1000;
/// New rows of one partition in one commit that are worth a base file: in a log each reader would hold them
/// in memory until compaction.
constexpr int64_t kBulkBytes = 24 << 20;
constexpr size_t kRowsAtATime = 65'536;
constexpr int32_t kHeaderInstant = 0, kHeaderSchema = 2;

int64_t BytesOf(const arrow::RecordBatch& rows) {
  // Of slices only what they refer to.
  const auto bytes = arrow::util::ReferencedBufferSize(rows);
  return bytes.ok() ? *bytes : 0;
}

/// Of the group's next log: they count from one for each instant that they are named by.
int NextVersion(const WriterGroup& group) {
  if (group.logs.empty()) return 1;
  const LogFile& last = group.logs.back();
  const auto name = ParseLogFileName(last.name);
  return name && name->base_instant == group.log_instant() ? last.version + 1 : 1;
}

}  // namespace

uint32_t HudiTable::GroupForInserts(uint32_t partition, UpsertPlan* plan) {
  const auto [it, added] = plan->insert_groups.emplace(partition, NewBase::kNewGroup);
  if (!added) return it->second;
  for (const uint32_t candidate : partition_groups_[partition]) {
    if (groups_[candidate].total_bytes() >= options_.target_file_bytes) continue;
    if (it->second == NewBase::kNewGroup ||
        groups_[candidate].total_bytes() < groups_[it->second].total_bytes()) {
      it->second = candidate;
    }
  }
  return it->second;
}

void HudiTable::PlanDelete(const RowPlace& place, const std::string* pieces, int64_t ordering,
                           UpsertPlan* plan) {
  const std::string& path = partitions_[groups_[place.group].partition];
  GroupChange& change = plan->changes[place.group];
  change.deletes.push_back({keys_.KeyIn(path, pieces), path, ordering});
  if (place.position != RowPlace::kInLog) change.replaced.add(place.position);
}

void HudiTable::PlanBulk(const arrow::RecordBatch& rows, const std::vector<uint32_t>& partitions,
                         UpsertPlan* plan) {
  std::map<uint32_t, int64_t> fresh;
  for (size_t row = 0; row < plan->places.size(); row++) {
    const uint32_t partition = partitions[plan->keys.partitions[row]];
    const RowPlace& place = plan->places[row];
    if (place.group == RowPlace::kNowhere || groups_[place.group].partition != partition) fresh[partition]++;
  }
  const int64_t row_bytes = BytesOf(rows) / std::max<int64_t>(rows.num_rows(), 1);
  for (const auto& [partition, count] : fresh) {
    if (count * row_bytes >= kBulkBytes) plan->insert_groups.emplace(partition, NewBase::kNewGroup);
  }
}

Status HudiTable::PlanUpserts(const arrow::RecordBatch& rows, UpsertPlan* plan) {
  TARN_ASSIGN(plan->keys, keys_.FromRows(rows));
  plan->orderings = OrderingsOf(rows, OrderedBy(options_.ordering_field));
  index_.FindAll(plan->keys.identities, &plan->places);
  std::vector<uint32_t> partitions;
  for (const std::string& path : plan->keys.paths) partitions.push_back(PartitionIndex(path));
  PlanBulk(rows, partitions, plan);
  for (int64_t row = 0; row < rows.num_rows(); row++) {
    const auto at = static_cast<size_t>(row);
    const uint32_t partition = partitions[plan->keys.partitions[at]];
    RowPlace& place = plan->places[at];
    if (place.group != RowPlace::kNowhere && groups_[place.group].partition == partition) {
      GroupChange& change = plan->changes[place.group];
      change.rows.push_back(row);
      change.updates++;
      if (place.position != RowPlace::kInLog) change.replaced.add(place.position);
      place.position = RowPlace::kInLog;
      continue;
    }
    if (place.group != RowPlace::kNowhere) {
      const std::vector<std::string> pieces = keys_.PiecesOf(plan->keys.keys->GetView(row));
      PlanDelete(place, pieces.data(), plan->orderings[at], plan);
    }
    if (sharing_ && place.group == RowPlace::kNowhere) plan->fresh.push_back(plan->keys.identities[at]);
    place = {GroupForInserts(partition, plan), RowPlace::kInLog};
    if (place.group == NewBase::kNewGroup) {
      plan->new_bases[partition].push_back(row);
    } else {
      GroupChange& change = plan->changes[place.group];
      change.rows.push_back(row);
      change.inserts++;
    }
  }
  return {};
}

Status HudiTable::PlanDeletes(const arrow::RecordBatch& rows, UpsertPlan* plan) {
  TARN_ASSIGN(const IdentityKeys identities, keys_.FromIdentities(rows));
  const size_t width = options_.identity_fields.size();
  if (rows.num_columns() <= static_cast<int>(width)) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "table '{}': deletes need the ordering column '{}' after the identity", options_.name,
                     options_.ordering_field);
  }
  const std::vector<int64_t> orderings =
      OrderingsOf(rows, OrderedBy(rows.schema()->field(static_cast<int>(width))->name()));
  plan->upserted.insert(plan->keys.identities.begin(), plan->keys.identities.end());
  std::vector<RowPlace> places;
  index_.FindAll(identities.identities, &places);
  for (size_t row = 0; row < places.size(); row++) {
    // An identity that is upserted in the same change set is there afterwards.
    if (sharing_ && places[row].group == RowPlace::kNowhere)
      plan->fresh.push_back(identities.identities[row]);
    if (places[row].group == RowPlace::kNowhere || !plan->upserted.insert(identities.identities[row]).second)
      continue;
    PlanDelete(places[row], &identities.pieces[row * width], orderings[row], plan);
    plan->erased.push_back(identities.identities[row]);
  }
  return {};
}

Status HudiTable::WriteLogs(const std::string& instant, const UpsertPlan& plan,
                            const arrow::RecordBatch* rows, CommitContent* content) {
  avro::RowEncoder encoder;
  if (rows != nullptr) {
    TARN_ASSIGN(encoder, avro::RowEncoder::Make(*rows));
  }
  const std::vector<std::pair<int32_t, std::string>> header{{kHeaderInstant, instant},
                                                            {kHeaderSchema, avro_meta_schema_}};
  TARN_ASSIGN(const int64_t micros, ParseInstant(instant));
  const std::string token = LogWriteToken(micros);
  for (const auto& [ordinal, change] : plan.changes) {
    const WriterGroup& group = groups_[ordinal];
    NewLog log;
    log.group = ordinal;
    std::optional<AvroBlockWriter> block;
    for (size_t i = 0; i < change.rows.size(); i++) {
      const int64_t row = change.rows[i];
      if (!block) block.emplace(header, &log.bytes);
      block->BeginRecord();
      avro::Encoder meta(&log.bytes);
      const auto put = [&](std::string_view text) {
        meta.PutLong(1);
        meta.PutString(text);
      };
      put(instant);
      put(fmt::format("{}_0_{}", instant, plan.first_seqno + row));
      put(plan.keys.keys->GetView(row));
      put(partitions_[group.partition]);
      put(group.file_id);
      encoder.Append(row, &log.bytes);
      block->EndRecord();
      if (i + 1 == kRowsToJudgeBy)  // Growing by doubling would take twice the room, and copy.
        log.bytes.reserve(log.bytes.size() / kRowsToJudgeBy * change.rows.size() / 8 * 9);
      if (block->bytes() < kMostBlockBytes && i + 1 < change.rows.size()) continue;
      block->End();
      block.reset();
    }
    if (!change.deletes.empty()) {
      AppendBlock(BlockType::kDelete, header, DeleteContent(change.deletes), &log.bytes);
    }
    log.file.version = NextVersion(group);
    log.file.token = token;
    log.file.name = FormatLogFileName(group.file_id, group.log_instant(), log.file.version, token);
    log.file.size_bytes = static_cast<int64_t>(log.bytes.size());
    log.path = JoinPath(FolderOf(group.partition), log.file.name);
    // Positions in a base file do not hold in the one that a plan promises for these logs.
    if (!group.is_planned()) {
      log.sidecar_path = PositionsPath(options_.sidecar_folder, group.file_id, log.file.name);
      log.sidecar_bytes = FormatPositions(instant, change.replaced);
    }

    WriteStat stat;
    stat.partition = partitions_[group.partition];
    stat.file_id = group.file_id;
    stat.path = JoinPath(stat.partition, log.file.name);
    stat.prev_commit = group.log_instant();
    stat.writes = static_cast<int64_t>(change.rows.size());
    stat.inserts = change.inserts;
    stat.updates = change.updates;
    stat.deletes = static_cast<int64_t>(change.deletes.size());
    stat.bytes = log.file.size_bytes;
    stat.is_log = true;
    stat.log_version = log.file.version;
    stat.base_file = group.base.name;
    for (const LogFile& known : group.logs) stat.log_files.push_back(known.name);
    stat.log_files.push_back(log.file.name);
    content->metadata.stats.push_back(std::move(stat));
    content->logs.push_back(std::move(log));
  }
  return {};
}

Status HudiTable::WriteFirstBases(const std::string& instant, UpsertPlan& plan,
                                  const arrow::RecordBatch& rows, CommitContent* content) {
  int ordinal = 1;
  for (const auto& [partition, selected] : plan.new_bases) {
    TARN_ASSIGN(auto writer, OpenBase(partitions_[partition], NewFileId(), instant, ordinal++));
    for (size_t from = 0; from < selected.size(); from += kRowsAtATime) {
      const size_t to = std::min(from + kRowsAtATime, selected.size());
      const std::vector<int64_t> some(selected.begin() + static_cast<ptrdiff_t>(from),
                                      selected.begin() + static_cast<ptrdiff_t>(to));
      TARN_ASSIGN(const auto taken, TakeRows(rows, some));
      arrow::StringBuilder keys;
      for (const int64_t row : some)
        TARN_RETURN_IF_ERROR(FromArrow(keys.Append(plan.keys.keys->GetView(row)), "record keys"));
      const auto array = keys.Finish();
      TARN_RETURN_IF_ERROR(FromArrow(array.status(), "record keys"));
      TARN_RETURN_IF_ERROR(writer->Append(*taken, static_cast<const arrow::StringArray&>(**array)));
    }
    TARN_RETURN_IF_ERROR(writer->Close());
    // Where these rows will be is known once the commit is complete and the group has its ordinal.
    for (size_t i = 0; i < selected.size(); i++) {
      plan.places[static_cast<size_t>(selected[i])] = {
          static_cast<uint32_t>(groups_.size() + content->bases.size()), static_cast<uint32_t>(i)};
    }
    content->metadata.stats.push_back(BaseStat(*writer, ""));
    content->bases.push_back({NewBase::kNewGroup, std::move(writer)});
  }
  return {};
}

Result<CommitResult> HudiTable::Upsert(const std::string& instant, const ChangeSet& changes,
                                       const CommitProperties& properties) {
  TARN_RETURN_IF_ERROR(NeedIndex());
  TARN_RETURN_IF_ERROR(Begin(instant));
  UpsertPlan plan;
  std::shared_ptr<arrow::RecordBatch> rows;
  if (changes.upserts && changes.upserts->num_rows() > 0) {
    TARN_ASSIGN(rows, ProjectTo(changes.upserts, options_.schema));
    TARN_RETURN_IF_ERROR(PlanUpserts(*rows, &plan));
  }
  if (changes.deletes && changes.deletes->num_rows() > 0)
    TARN_RETURN_IF_ERROR(PlanDeletes(*changes.deletes, &plan));
  CommitContent content;
  content.instant = instant;
  content.metadata.operation = "UPSERT";
  content.fresh = std::move(plan.fresh);
  TARN_RETURN_IF_ERROR(WriteLogs(instant, plan, rows.get(), &content));
  if (rows) TARN_RETURN_IF_ERROR(WriteFirstBases(instant, plan, *rows, &content));
  // Room first: once the commit is there, the index must follow without failing.
  TARN_RETURN_IF_ERROR(index_.Reserve(static_cast<int64_t>(plan.places.size())));
  TARN_ASSIGN(CommitResult result, Complete(content, properties));
  for (size_t i = 0; i < plan.places.size(); i++) index_.Put(plan.keys.identities[i], plan.places[i]);
  for (const Hash128& identity : plan.erased) index_.Erase(identity);
  CatchUp();
  return result;
}

}  // namespace tarn::hudi
