#include "hudi/hudi_table.h"

#include <arrow/api.h>
#include <zlib.h>

#include <algorithm>
#include <sstream>

#include "base/fault.h"
#include "hudi/avro_schema.h"
#include "hudi/file_name.h"
#include "hudi/horizon.h"
#include "hudi/properties.h"
#include "parquet/parquet_reader.h"

namespace tarn::hudi {
namespace {

constexpr int64_t kLogCacheBytes = 128LL << 20;

uint32_t Checksum(const std::string& text) {
  return static_cast<uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(text.data()), static_cast<uInt>(text.size())));
}

Status CheckOptions(const TableOptions& options) {
  const auto bad = [&](const std::string& why) {
    return MakeError(ErrorCode::kInvalidArgument, "table '{}': {}", options.name, why);
  };
  const auto allowed = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  if (options.name.empty() || !std::all_of(options.name.begin(), options.name.end(), allowed)) {
    return bad("the name may have letters, digits and _ only");
  }
  if (!options.schema) return bad("a schema is needed");
  if (!options.partition_fields.empty() && options.key_fields.size() < 2) {
    return bad("a partitioned table needs two key columns or more (releases of Hudi disagree about one)");
  }
  std::vector<std::string> needed = options.key_fields;
  needed.insert(needed.end(), options.partition_fields.begin(), options.partition_fields.end());
  needed.push_back(options.ordering_field);
  for (const std::string& name : needed) {
    if (!options.schema->GetFieldByName(name))
      return bad(fmt::format("column '{}' is not in its schema", name));
  }
  return {};
}

}  // namespace

HudiTable::HudiTable(storage::Storage* storage, std::string base_path, std::optional<SharingOptions> sharing)
    : storage_(storage), base_path_(std::move(base_path)), logs_(kLogCacheBytes), sharing_(sharing) {}

Status HudiTable::WriteNewTable(storage::Storage& storage, const std::string& base_path,
                                const TableOptions& options) {
  TARN_RETURN_IF_ERROR(CheckOptions(options));
  TARN_RETURN_IF_ERROR(KeyFormat::Make(options));
  TARN_ASSIGN(const Properties properties, PropertiesOf(options));
  TARN_RETURN_IF_ERROR(storage.CreateFolder(base_path + "/.hoodie/archived"));
  TARN_FAULT_POINT("hudi.create.before_properties");
  TARN_RETURN_IF_ERROR(
      storage.PutIfAbsent(base_path + "/.hoodie/hoodie.properties", FormatProperties(properties)));
  TARN_FAULT_POINT("hudi.create.after_properties");
  return {};
}

Result<std::unique_ptr<Table>> Table::Create(storage::Storage* storage, std::string base_path,
                                             TableOptions options) {
  TARN_RETURN_IF_ERROR(HudiTable::WriteNewTable(*storage, base_path, options));
  return Open(storage, std::move(base_path), options.sidecar_folder);
}

Result<std::unique_ptr<Table>> Table::Open(storage::Storage* storage, std::string base_path,
                                           std::string sidecar_folder,
                                           std::optional<SharingOptions> sharing) {
  auto table = std::make_unique<HudiTable>(storage, std::move(base_path), sharing);
  TARN_RETURN_IF_ERROR(table->Start(sidecar_folder));
  return std::unique_ptr<Table>(std::move(table));
}

Status HudiTable::Start(const std::string& sidecar_folder) {
  TARN_ASSIGN(const std::string text, storage_->Read(HoodiePath("hoodie.properties")));
  const Properties properties = ParseProperties(text);
  TARN_ASSIGN(options_, OptionsOf(properties, true));
  TARN_ASSIGN(rules_, MergeRulesOf(properties));
  options_.sidecar_folder = sidecar_folder;
  TARN_ASSIGN(keys_, KeyFormat::Make(options_));
  TARN_RETURN_IF_ERROR(Recover());
  TARN_RETURN_IF_ERROR(LoadState());
  // Of a process that was killed.
  if (!sidecar_folder.empty()) TARN_RETURN_IF_ERROR(storage_->RemoveTree(SpoolFolder()));
  return LoadIndex();
}

Status HudiTable::LoadSchema(const Timeline& timeline) {
  const std::vector<std::string> commits = timeline.Commits();
  for (auto it = commits.rbegin(); it != commits.rend(); ++it) {
    const std::string name = *it + "." + timeline.completed.at(*it);
    TARN_ASSIGN(const std::string text, storage_->Read(HoodiePath(name)));
    TARN_ASSIGN(const CommitMetadata commit, ParseCommit(text, name));
    const auto schema = commit.extra.find("schema");
    if (schema == commit.extra.end() || schema->second.empty()) continue;
    TARN_ASSIGN(options_.schema, TableSchemaFromAvro(schema->second));
    break;
  }
  if (!options_.schema) {
    return MakeError(ErrorCode::kCorrupt, "table '{}': no commit and no property tells its schema",
                     options_.name);
  }
  return UseSchema(options_.schema);
}

Status HudiTable::LoadState() {
  TARN_ASSIGN(const Timeline timeline, ReadTimeline(*storage_, base_path_));
  last_instant_ = timeline.Newest();
  last_commit_ = timeline.NewestCommit("");
  TARN_RETURN_IF_ERROR(LoadSchema(timeline));
  TARN_ASSIGN(horizon_, ReadHorizon(*storage_, base_path_, timeline));
  TARN_ASSIGN(const auto replaced, ReplacedGroups(*storage_, base_path_, timeline, ""));
  TARN_ASSIGN(const FileView view, FileView::Load(*storage_, base_path_));
  next_clean_ = {};
  groups_.clear();
  group_index_.clear();
  partitions_.clear();
  partition_groups_.clear();
  partition_present_.clear();
  partition_index_.clear();
  for (const auto& [path, files] : view.partitions()) {
    const uint32_t partition = PartitionIndex(path);
    for (const auto& [file_id, group_files] : files) {
      const auto slice = ChooseSlice(group_files, timeline, "");
      if (!slice || replaced.contains(file_id)) continue;
      if (slice->base == nullptr) {
        return MakeError(ErrorCode::kUnsupported,
                         "table '{}': file group {} in '{}' has log files and no base file", options_.name,
                         file_id, path);
      }
      WriterGroup group{partition, file_id, *slice->base, {}, 0};
      for (const LogFile* log : slice->logs) {
        group.logs.push_back(*log);
        group.log_bytes += log->size_bytes;
      }
      // The file of one that has no group may be what a failed commit left of it.
      partition_present_[partition] = true;
      group_index_[file_id] = static_cast<uint32_t>(groups_.size());
      partition_groups_[partition].push_back(static_cast<uint32_t>(groups_.size()));
      groups_.push_back(std::move(group));
    }
  }
  if (sharing_) TARN_RETURN_IF_ERROR(DropUnfinishedLogs(timeline));
  return LoadPlans(timeline);
}

Status HudiTable::EvolveSchema(std::shared_ptr<arrow::Schema> schema) {
  for (const auto& field : options_.schema->fields()) {
    const auto now = schema->GetFieldByName(field->name());
    const auto widened = [&](arrow::Type::type from, arrow::Type::type to) {
      return field->type()->id() == from && now->type()->id() == to;
    };
    if (now && field->nullable() && !now->nullable()) {
      return MakeError(ErrorCode::kUnsupported,
                       "table '{}': column '{}' cannot become required: older rows may lack it",
                       options_.name, field->name());
    }
    if (now && (now->type()->Equals(*field->type()) || widened(arrow::Type::INT32, arrow::Type::INT64) ||
                widened(arrow::Type::FLOAT, arrow::Type::DOUBLE))) {
      continue;
    }
    return MakeError(ErrorCode::kUnsupported,
                     "table '{}': column '{}' cannot go from {} to {}: make a new generation", options_.name,
                     field->name(), field->type()->ToString(), now ? now->type()->ToString() : "nothing");
  }
  for (const auto& field : schema->fields()) {
    if (!options_.schema->GetFieldByName(field->name()) && !field->nullable()) {
      return MakeError(ErrorCode::kInvalidArgument, "table '{}': the new column '{}' must be nullable",
                       options_.name, field->name());
    }
  }
  return UseSchema(std::move(schema));
}

Status HudiTable::UseSchema(std::shared_ptr<arrow::Schema> schema) {
  TARN_ASSIGN(std::string plain, TableAvroSchema(*schema, options_.name));
  TARN_ASSIGN(avro_meta_schema_, TableAvroSchema(*WithMetaColumns(*schema), options_.name));
  avro_schema_ = std::move(plain);
  options_.schema = std::move(schema);
  rules_.ranks = RanksOf(*options_.schema, rules_.ordering_fields);
  return {};
}

Result<std::optional<std::string>> HudiTable::LastProperty(const std::string& key) const {
  TARN_ASSIGN(const Timeline timeline, ReadTimeline(*storage_, base_path_));
  const std::vector<std::string> commits = timeline.Commits();
  for (auto it = commits.rbegin(); it != commits.rend(); ++it) {
    const std::string name = *it + "." + timeline.completed.at(*it);
    TARN_ASSIGN(const std::string text, storage_->Read(HoodiePath(name)));
    TARN_ASSIGN(const CommitMetadata commit, ParseCommit(text, name));
    if (const auto value = commit.extra.find(key); value != commit.extra.end())
      return std::optional(value->second);
  }
  return std::optional<std::string>();
}

std::string HudiTable::GroupList() const {
  std::string list;
  for (const WriterGroup& group : groups_) list += group.file_id + " " + group.base.instant + "\n";
  return list;
}

Status HudiTable::LoadIndex() {
  has_index_ = options_.type == TableType::kMergeOnRead && !options_.sidecar_folder.empty();
  if (!has_index_) return {};
  // Of a shared table the newest instant does not tell all that was committed.
  if (sharing_) return RebuildIndex();
  const auto list = storage_->Read(IndexFolder() + "/groups.txt");
  if (!list) return RebuildIndex();
  TARN_ASSIGN(const bool loaded, index_.Load(IndexFolder(), last_instant_, Checksum(*list)));
  if (!loaded) return RebuildIndex();
  // The index knows groups by their order in that list.
  std::vector<WriterGroup> ordered;
  std::stringstream lines(*list);
  for (std::string file_id, instant; lines >> file_id >> instant;) {
    const auto at = group_index_.find(file_id);
    if (at == group_index_.end() || groups_[at->second].base.instant != instant) return RebuildIndex();
    ordered.push_back(std::move(groups_[at->second]));
    groups_[at->second].base.instant.clear();
  }
  if (ordered.size() != groups_.size()) {
    TARN_RETURN_IF_ERROR(LoadState());
    return RebuildIndex();
  }
  groups_ = std::move(ordered);
  for (auto& groups : partition_groups_) groups.clear();
  for (uint32_t i = 0; i < groups_.size(); i++) {
    group_index_[groups_[i].file_id] = i;
    partition_groups_[groups_[i].partition].push_back(i);
  }
  return {};
}

Status HudiTable::RebuildIndex() {
  // A list that did not match may have taken groups apart; the table itself is the truth.
  TARN_RETURN_IF_ERROR(LoadState());
  TARN_RETURN_IF_ERROR(index_.Reset(IndexFolder(), 0));
  for (uint32_t i = 0; i < groups_.size(); i++) TARN_RETURN_IF_ERROR(IndexGroup(i));
  return {};
}

Status HudiTable::IndexGroup(uint32_t ordinal) {
  const WriterGroup& group = groups_[ordinal];
  TARN_ASSIGN(const Timeline timeline, ReadTimeline(*storage_, base_path_));
  LogMerge merge(WithMetaColumns(*options_.schema), rules_);
  Roaring replaced;
  const std::string& partition = partitions_[group.partition];
  TARN_RETURN_IF_ERROR(
      MergeLogs(Context(&timeline), partition, group.file_id, SliceOf(group), 0, "", 0, &merge, &replaced));
  const std::string path = JoinPath(FolderOf(group.partition), group.base.name);
  TARN_ASSIGN(auto file, storage_->Open(path));
  TARN_ASSIGN(const auto reader, parquet::FileReader::Open(std::move(file), path));
  const auto add = [&](const arrow::RecordBatch& rows, int64_t first, bool in_log) -> Status {
    const auto keys = std::dynamic_pointer_cast<arrow::StringArray>(rows.GetColumnByName(kRecordKey));
    if (!keys) return MakeError(ErrorCode::kCorrupt, "base file '{}' has no {}", path, kRecordKey);
    TARN_RETURN_IF_ERROR(index_.Reserve(rows.num_rows()));
    for (int64_t row = 0; row < keys->length(); row++) {
      const auto position = static_cast<uint32_t>(first + row);
      if (!in_log && replaced.contains(position)) continue;
      index_.Put(keys_.IdentityOf(keys->GetView(row)), {ordinal, in_log ? RowPlace::kInLog : position});
    }
    return {};
  };
  TARN_RETURN_IF_ERROR(reader->Scan({kRecordKey}, 0, reader->rows(), [&](const auto& rows, int64_t first) {
    return add(*rows, first, false);
  }));
  TARN_ASSIGN(const auto hot, merge.Rows());
  return hot ? add(*hot, 0, true) : Status{};
}

Status HudiTable::Close() {
  if (!has_index_ || needs_recovery_ || sharing_) return {};
  const std::string list = GroupList();
  TARN_RETURN_IF_ERROR(storage_->Write(IndexFolder() + "/groups.txt", list));
  return index_.CloseCleanly(last_instant_, Checksum(list));
}

}  // namespace tarn::hudi
