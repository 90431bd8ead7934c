#include <arrow/api.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "avro/container.h"
#include "hudi/avro_schema.h"
#include "hudi/file_name.h"
#include "hudi/hudi_table.h"
#include "hudi/service_schema.h"
#include "parquet/parquet_reader.h"

namespace tarn::hudi {
namespace {

constexpr double kMegabyte = 1024.0 * 1024.0;

}  // namespace

std::vector<uint32_t> HudiTable::ChooseGroups(const ServiceOptions& options, bool everything) const {
  std::vector<uint32_t> chosen;
  const auto ratio = [&](uint32_t i) {
    return static_cast<double>(groups_[i].log_bytes) /
           static_cast<double>(std::max<int64_t>(groups_[i].base.size_bytes, 1));
  };
  for (uint32_t i = 0; i < groups_.size(); i++) {
    // A plan that another writer is at has them already.
    if (groups_[i].logs.empty() || groups_[i].is_planned()) continue;
    const int logs = static_cast<int>(groups_[i].logs.size());
    const bool asks = logs > options.max_log_files || groups_[i].log_bytes > options.max_log_bytes ||
                      (logs >= options.min_log_files && ratio(i) > options.max_log_ratio);
    if (everything || asks) chosen.push_back(i);
  }
  std::stable_sort(chosen.begin(), chosen.end(), [&](uint32_t a, uint32_t b) { return ratio(a) > ratio(b); });
  const auto most = static_cast<size_t>(std::max(options.max_groups_per_compaction, 1));
  if (!everything && chosen.size() > most) chosen.resize(most);
  return chosen;
}

Result<std::string> HudiTable::CompactionPlan(const std::vector<uint32_t>& groups) const {
  using nlohmann::ordered_json;
  ordered_json operations = ordered_json::array();
  for (const uint32_t ordinal : groups) {
    const WriterGroup& group = groups_[ordinal];
    ordered_json logs = ordered_json::array();
    for (const LogFile& log : group.logs) logs.push_back(log.name);
    const double log_mb = static_cast<double>(group.log_bytes) / kMegabyte;
    const double base_mb = static_cast<double>(group.base.size_bytes) / kMegabyte;
    operations.push_back({{"baseInstantTime", group.base.instant},
                          {"deltaFilePaths", std::move(logs)},
                          {"dataFilePath", group.base.name},
                          {"fileId", group.file_id},
                          {"partitionPath", partitions_[group.partition]},
                          {"metrics",
                           {{"TOTAL_LOG_FILES", static_cast<double>(group.logs.size())},
                            {"TOTAL_LOG_FILES_SIZE", static_cast<double>(group.log_bytes)},
                            {"TOTAL_IO_READ_MB", base_mb + log_mb},
                            {"TOTAL_IO_WRITE_MB", base_mb},
                            {"TOTAL_IO_MB", 2 * base_mb + log_mb}}}});
  }
  return avro::WriteContainer(
      CompactionPlanSchema(),
      ordered_json{{"operations", std::move(operations)}, {"version", 2}, {"preserveHoodieMetadata", true}}
          .dump());
}

Status HudiTable::RewriteSlice(const std::string& instant, const SliceWork& work, int file_ordinal,
                               Rewrite* rewrite,
                               const std::function<void(const Hash128&, uint32_t position)>& placed) {
  const auto schema = WithMetaColumns(*options_.schema);
  TARN_ASSIGN(const Timeline timeline, ReadTimeline(*storage_, base_path_));
  LogMerge merge(schema, rules_);
  SliceContext context = Context(&timeline);
  context.logs = nullptr;  // Nobody reads them again.
  TARN_RETURN_IF_ERROR(
      MergeLogs(context, work.partition, work.file_id, work.slice, 0, "", 0, &merge, &rewrite->gone));
  for (const Hash128& key : rewrite->gone_keys) merge.Suppress(key, 0);
  if (!rewrite->file) {
    TARN_ASSIGN(rewrite->file, OpenBase(work.partition, work.file_id, instant, file_ordinal));
  }
  BaseFileWriter& writer = *rewrite->file;
  const auto append = [&](const std::shared_ptr<arrow::RecordBatch>& rows) -> Status {
    if (rows->num_rows() == 0) return {};
    TARN_ASSIGN(const auto projected, ProjectTo(rows, schema));
    const auto& record_keys = static_cast<const arrow::StringArray&>(*projected->column(2));
    for (int64_t row = 0; placed && row < record_keys.length(); row++)
      placed(keys_.IdentityOf(record_keys.GetView(row)), static_cast<uint32_t>(writer.rows() + row));
    return writer.AppendKept(*projected);
  };
  const std::string path = JoinPath(JoinPath(base_path_, work.partition), work.slice.base->name);
  TARN_ASSIGN(auto file, storage_->Open(path));
  TARN_ASSIGN(const auto reader, parquet::FileReader::Open(std::move(file), path));
  TARN_RETURN_IF_ERROR(
      reader->Scan(schema->field_names(), 0, reader->rows(), [&](const auto& rows, int64_t first) -> Status {
        std::vector<int64_t> kept;
        for (int64_t row = 0; row < rows->num_rows(); row++) {
          if (!rewrite->gone.contains(static_cast<uint32_t>(first + row))) kept.push_back(row);
        }
        if (static_cast<int64_t>(kept.size()) == rows->num_rows()) return append(rows);
        TARN_ASSIGN(const auto taken, TakeRows(*rows, kept));
        return append(taken);
      }));
  rewrite->rows_before = reader->rows();
  rewrite->rows_kept = writer.rows();
  return merge.TakeLive(append);
}

Status HudiTable::CompactSlice(const SliceWork& work, CommitContent* content, std::vector<KeyedRow>* keys) {
  Rewrite rewrite;
  TARN_RETURN_IF_ERROR(RewriteSlice(content->instant, work, static_cast<int>(content->bases.size()), &rewrite,
                                    [&](const Hash128& identity, uint32_t position) {
                                      if (keys != nullptr) keys->push_back({identity, position});
                                    }));
  TARN_RETURN_IF_ERROR(rewrite.file->Close());
  const int64_t rows = rewrite.file->rows();
  WriteStat stat = BaseStat(*rewrite.file, work.slice.base->instant);
  stat.inserts = 0;
  stat.updates = stat.log_records = rows - rewrite.rows_kept;
  stat.deletes = std::max<int64_t>(rewrite.rows_before - rows, 0);
  stat.logs_compacted = static_cast<int64_t>(work.slice.logs.size());
  for (const LogFile* log : work.slice.logs) stat.log_bytes_compacted += log->size_bytes;
  content->metadata.stats.push_back(std::move(stat));
  content->bases.push_back({work.group, std::move(rewrite.file)});
  return {};
}

Result<std::optional<CommitResult>> HudiTable::Compact(const std::string& instant,
                                                       const ServiceOptions& options,
                                                       const CommitProperties& properties, bool everything) {
  if (!has_index_) return std::optional<CommitResult>();
  TARN_RETURN_IF_ERROR(Begin(instant));
  TARN_ASSIGN(auto planned, ExecutePlans(properties));
  const std::vector<uint32_t> groups = ChooseGroups(options, everything);
  if (groups.empty()) return planned;
  CommitContent content;
  content.instant = instant;
  content.metadata.operation = "COMPACT";
  content.metadata.compacted = true;
  TARN_ASSIGN(content.compaction_plan, CompactionPlan(groups));
  std::vector<std::vector<KeyedRow>> keys(groups.size());
  int64_t count = 0;
  for (size_t i = 0; i < groups.size(); i++) {
    TARN_RETURN_IF_ERROR(CompactSlice(WorkOf(groups[i]), &content, &keys[i]));
    count += static_cast<int64_t>(keys[i].size());
  }
  TARN_RETURN_IF_ERROR(index_.Reserve(count));
  TARN_ASSIGN(CommitResult result, Complete(content, properties));
  for (size_t i = 0; i < groups.size(); i++) {
    for (const KeyedRow& row : keys[i]) index_.Put(row.identity, {groups[i], row.position});
  }
  CatchUp();
  return std::optional(std::move(result));
}

}  // namespace tarn::hudi
