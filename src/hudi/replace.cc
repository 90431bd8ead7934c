#include <arrow/api.h>

#include <algorithm>
#include <set>

#include "hudi/avro_schema.h"
#include "hudi/file_name.h"
#include "hudi/hudi_table.h"
#include "hudi/upsert_plan.h"
#include "parquet/parquet_reader.h"

namespace tarn::hudi {

/// The state of one ReplacePartitions call.
struct HudiTable::Replacement {
  CommitContent content;
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  std::vector<RowKeys> keys;
  std::vector<std::map<uint32_t, std::vector<int64_t>>> rows;  ///< Of each batch, by partition.
  std::vector<uint32_t> free_groups;                           ///< Of the current partition, not yet written.
  std::unique_ptr<BaseFileWriter> file;
  uint32_t file_group = 0;  ///< Ordinal of the open file's group, also when it is new.
  bool file_is_new = false;
  uint32_t new_groups = 0;
  /// Where the new rows are.
  std::vector<std::pair<Hash128, RowPlace>> placed;
};

Status HudiTable::NextReplacingFile(Replacement* r, uint32_t partition) {
  std::string file_id;
  r->file_is_new = r->free_groups.empty();
  if (r->file_is_new) {
    file_id = NewFileId();
    r->file_group = static_cast<uint32_t>(groups_.size()) + r->new_groups++;
  } else {
    r->file_group = r->free_groups.front();
    r->free_groups.erase(r->free_groups.begin());
    file_id = groups_[r->file_group].file_id;
  }
  TARN_ASSIGN(r->file, OpenBase(partitions_[partition], file_id, r->content.instant,
                                static_cast<int>(r->content.bases.size())));
  return {};
}

Status HudiTable::CloseReplacingFile(Replacement* r) {
  if (!r->file) return {};
  TARN_RETURN_IF_ERROR(r->file->Close());
  r->content.metadata.stats.push_back(
      BaseStat(*r->file, r->file_is_new ? "" : groups_[r->file_group].base.instant));
  r->content.bases.push_back({r->file_is_new ? NewBase::kNewGroup : r->file_group, std::move(r->file)});
  return {};
}

Status HudiTable::AppendReplacing(Replacement* r, uint32_t partition, size_t batch) {
  const auto selected = r->rows[batch].find(partition);
  if (selected == r->rows[batch].end()) return {};
  // The keys travel with the rows, so that one selection serves both.
  arrow::FieldVector fields = options_.schema->fields();
  fields.push_back(arrow::field(kRecordKey, arrow::utf8()));
  arrow::ArrayVector columns = r->batches[batch]->columns();
  columns.push_back(r->keys[batch].keys);
  const auto keyed = arrow::RecordBatch::Make(arrow::schema(fields), r->batches[batch]->num_rows(), columns);
  TARN_ASSIGN(const auto taken, TakeRows(*keyed, selected->second));
  if (!r->file) TARN_RETURN_IF_ERROR(NextReplacingFile(r, partition));
  if (has_index_) {
    auto position = static_cast<uint32_t>(r->file->rows());
    for (const int64_t row : selected->second) {
      r->placed.emplace_back(r->keys[batch].identities[static_cast<size_t>(row)],
                             RowPlace{r->file_group, position++});
    }
  }
  const arrow::ArrayVector plain(taken->columns().begin(), taken->columns().end() - 1);
  const auto& keys = static_cast<const arrow::StringArray&>(*taken->columns().back());
  TARN_RETURN_IF_ERROR(
      r->file->Append(*arrow::RecordBatch::Make(options_.schema, taken->num_rows(), plain), keys));
  if (r->file->bytes() >= options_.target_file_bytes) return CloseReplacingFile(r);
  return {};
}

Status HudiTable::ReplacePartition(Replacement* r, uint32_t partition) {
  r->free_groups = partition_groups_[partition];
  for (size_t batch = 0; batch < r->batches.size(); batch++) {
    TARN_RETURN_IF_ERROR(AppendReplacing(r, partition, batch));
  }
  TARN_RETURN_IF_ERROR(CloseReplacingFile(r));
  for (const uint32_t ordinal : std::vector<uint32_t>(r->free_groups)) {
    TARN_ASSIGN(const bool empty, IsEmpty(groups_[ordinal]));
    if (empty) continue;  // It stays as it is.
    r->free_groups = {ordinal};
    TARN_RETURN_IF_ERROR(NextReplacingFile(r, partition));
    TARN_RETURN_IF_ERROR(CloseReplacingFile(r));
  }
  return {};
}

Result<bool> HudiTable::IsEmpty(WriterGroup& group) {
  if (group.base.rows < 0) {
    const std::string path = JoinPath(FolderOf(group.partition), group.base.name);
    TARN_ASSIGN(auto file, storage_->Open(path));
    TARN_ASSIGN(const auto reader, parquet::FileReader::Open(std::move(file), path));
    group.base.rows = reader->rows();
  }
  return group.base.rows == 0 && group.logs.empty();
}

Status HudiTable::EraseGroupIdentities(uint32_t ordinal, std::vector<Hash128>* erased) {
  const WriterGroup& group = groups_[ordinal];
  const auto add = [&](const arrow::RecordBatch& rows) -> Status {
    const auto keys = std::dynamic_pointer_cast<arrow::StringArray>(rows.GetColumnByName(kRecordKey));
    if (!keys) return MakeError(ErrorCode::kCorrupt, "base file '{}' has no {}", group.base.name, kRecordKey);
    for (int64_t row = 0; row < keys->length(); row++) {
      const Hash128 identity = keys_.IdentityOf(keys->GetView(row));
      if (index_.Find(identity).group == ordinal) erased->push_back(identity);
    }
    return {};
  };
  const std::string path = JoinPath(FolderOf(group.partition), group.base.name);
  TARN_ASSIGN(auto file, storage_->Open(path));
  TARN_ASSIGN(const auto reader, parquet::FileReader::Open(std::move(file), path));
  TARN_RETURN_IF_ERROR(
      reader->Scan({kRecordKey}, 0, reader->rows(), [&](const auto& rows, int64_t) { return add(*rows); }));
  if (group.logs.empty()) return {};
  TARN_ASSIGN(const Timeline timeline, ReadTimeline(*storage_, base_path_));
  LogMerge merge(WithMetaColumns(*options_.schema), rules_);
  Slice slice = SliceOf(group);
  slice.base = nullptr;
  Roaring unused;
  TARN_RETURN_IF_ERROR(MergeLogs(Context(&timeline), partitions_[group.partition], group.file_id, slice, 0,
                                 "", 0, &merge, &unused));
  TARN_ASSIGN(const auto hot, merge.Rows());
  return hot ? add(*hot) : Status{};
}

Status HudiTable::ReplaceIndex(Replacement* r, const std::vector<uint32_t>& partitions, UpsertPlan* moves) {
  const std::set<uint32_t> named(partitions.begin(), partitions.end());
  for (const uint32_t partition : partitions) {
    for (const uint32_t ordinal : partition_groups_[partition]) {
      TARN_RETURN_IF_ERROR(EraseGroupIdentities(ordinal, &moves->erased));
    }
  }
  // A new row whose identity lives in a partition that stays is a move.
  for (size_t batch = 0; batch < r->batches.size(); batch++) {
    const std::vector<int64_t> orderings =
        OrderingsOf(*r->batches[batch], OrderedBy(options_.ordering_field));
    for (size_t row = 0; row < r->keys[batch].identities.size(); row++) {
      const RowPlace place = index_.Find(r->keys[batch].identities[row]);
      if (sharing_ && place.group == RowPlace::kNowhere)
        r->content.fresh.push_back(r->keys[batch].identities[row]);
      if (place.group == RowPlace::kNowhere || named.contains(groups_[place.group].partition)) continue;
      const auto pieces = keys_.PiecesOf(r->keys[batch].keys->GetView(static_cast<int64_t>(row)));
      PlanDelete(place, pieces.data(), orderings[row], moves);
    }
  }
  return {};
}

std::vector<std::string> HudiTable::Partitions() const {
  std::vector<std::string> paths;
  for (size_t partition = 0; partition < partitions_.size(); partition++) {
    if (partition < partition_groups_.size() && !partition_groups_[partition].empty())
      paths.push_back(partitions_[partition]);
  }
  return paths;
}

Result<CommitResult> HudiTable::ReplacePartitions(
    const std::string& instant, const std::vector<std::string>& partitions,
    const std::vector<std::shared_ptr<arrow::RecordBatch>>& rows, const CommitProperties& properties) {
  TARN_RETURN_IF_ERROR(Begin(instant));
  Replacement replacement;
  replacement.content.instant = instant;
  replacement.content.metadata.operation = "UPSERT";
  std::vector<uint32_t> named;
  for (const std::string& path : std::set<std::string>(partitions.begin(), partitions.end())) {
    named.push_back(PartitionIndex(path));
    replacement.content.whole_partitions.insert(path);
  }
  for (const auto& batch : rows) {
    if (!batch || batch->num_rows() == 0) continue;
    TARN_ASSIGN(auto projected, ProjectTo(batch, options_.schema));
    TARN_ASSIGN(RowKeys keys, keys_.FromRows(*projected));
    std::map<uint32_t, std::vector<int64_t>> split;
    for (size_t row = 0; row < keys.partitions.size(); row++) {
      split[PartitionIndex(keys.paths[keys.partitions[row]])].push_back(static_cast<int64_t>(row));
    }
    for (const auto& [partition, selected] : split) {
      if (std::find(named.begin(), named.end(), partition) != named.end()) continue;
      return MakeError(ErrorCode::kInvalidArgument,
                       "table '{}': {} rows belong to partition '{}', which is not among those to replace",
                       options_.name, selected.size(), partitions_[partition]);
    }
    replacement.batches.push_back(std::move(projected));
    replacement.keys.push_back(std::move(keys));
    replacement.rows.push_back(std::move(split));
  }
  for (const uint32_t partition : named) TARN_RETURN_IF_ERROR(ReplacePartition(&replacement, partition));
  UpsertPlan moves;
  if (has_index_) {
    TARN_RETURN_IF_ERROR(ReplaceIndex(&replacement, named, &moves));
    TARN_RETURN_IF_ERROR(WriteLogs(instant, moves, nullptr, &replacement.content));
    TARN_RETURN_IF_ERROR(index_.Reserve(static_cast<int64_t>(replacement.placed.size())));
  }
  TARN_ASSIGN(CommitResult result, Complete(replacement.content, properties));
  for (const Hash128& identity : moves.erased) index_.Erase(identity);
  for (const auto& [identity, place] : replacement.placed) index_.Put(identity, place);
  CatchUp();
  return result;
}

}  // namespace tarn::hudi
