#include <arrow/api.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "base/fault.h"
#include "hudi/avro_schema.h"
#include "hudi/file_name.h"
#include "hudi/hudi_table.h"
#include "hudi/properties.h"

namespace tarn::hudi {
namespace {

constexpr size_t kMostThreads = 8;
constexpr int kMostReads = 5;

}  // namespace

Status RunTogether(size_t count, const std::function<Status(size_t)>& task) {
  std::atomic<size_t> next{0};
  std::mutex mutex;
  Status first;
  const auto work = [&] {
    for (size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
      Status status = task(i);
      if (status) continue;
      std::lock_guard lock(mutex);
      if (first) first = std::move(status);
      next.store(count);
    }
  };
  if (count < 3) {
    work();
    return first;
  }
  std::vector<std::thread> threads;
  for (size_t i = 1; i < std::min(count, kMostThreads); i++) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  return first;
}

std::string HudiTable::FolderOf(uint32_t partition) const {
  return JoinPath(base_path_, partitions_[partition]);
}

uint32_t HudiTable::PartitionIndex(const std::string& path) {
  const auto [it, added] = partition_index_.emplace(path, static_cast<uint32_t>(partitions_.size()));
  if (added) {
    partitions_.push_back(path);
    partition_groups_.emplace_back();
    partition_present_.push_back(false);
  }
  return it->second;
}

SliceContext HudiTable::Context(const Timeline* timeline) {
  return {storage_, &logs_, timeline, base_path_, options_.sidecar_folder, rules_};
}

Slice HudiTable::SliceOf(const WriterGroup& group) const {
  Slice slice;
  slice.base = &group.base;
  for (const LogFile& log : group.logs) slice.logs.push_back(&log);
  return slice;
}

Result<std::unique_ptr<BaseFileWriter>> HudiTable::OpenBase(const std::string& partition,
                                                            const std::string& file_id,
                                                            const std::string& instant, int ordinal) {
  return BaseFileWriter::Open(storage_, {base_path_, partition, file_id, kWriteToken, instant, ordinal},
                              *options_.schema, avro_meta_schema_);
}

WriteStat HudiTable::BaseStat(const BaseFileWriter& file, const std::string& prev_commit) const {
  WriteStat stat;
  stat.partition = file.target().partition;
  stat.file_id = file.target().file_id;
  stat.path = JoinPath(stat.partition, file.name());
  stat.prev_commit = prev_commit.empty() ? "null" : prev_commit;
  stat.writes = stat.inserts = file.rows();
  stat.bytes = file.bytes();
  return stat;
}

Status HudiTable::NeedIndex() const {
  if (!has_index_) {
    return MakeError(ErrorCode::kUnsupported,
                     "table '{}' is copy-on-write or has no sidecar folder: replace partitions",
                     options_.name);
  }
  return {};
}

Status HudiTable::Settle() {
  if (!needs_recovery_) return {};
  const auto read = [&]() -> Status {
    TARN_RETURN_IF_ERROR(Recover());
    TARN_RETURN_IF_ERROR(LoadState());
    return has_index_ ? RebuildIndex() : Status{};
  };
  Status done = read();
  // Files of a commit that another writer rolled back may go between a listing and the look at them.
  for (int again = 0; sharing_ && again < kMostReads && !done && done.error().code == ErrorCode::kNotFound;
       again++)
    done = read();
  if (done) needs_recovery_ = false;
  return done;
}

Status HudiTable::Begin(const std::string& instant) {
  if (bulk_open_) {
    return MakeError(ErrorCode::kConflict, "table '{}' is being loaded: finish or drop the bulk insert first",
                     options_.name);
  }
  TARN_RETURN_IF_ERROR(Settle());
  TARN_ASSIGN(const std::string text, storage_->Read(HoodiePath("hoodie.properties")));
  TARN_RETURN_IF_ERROR(OptionsOf(ParseProperties(text), true));
  if (instant.size() != 17) {
    return MakeError(ErrorCode::kInvalidArgument, "'{}' is not an instant of the form yyyyMMddHHmmssSSS",
                     instant);
  }
  TARN_RETURN_IF_ERROR(ParseInstant(instant));
  if (instant <= last_instant_) {
    return MakeError(ErrorCode::kInvalidArgument, "table '{}': instant {} is not after the newest one, {}",
                     options_.name, instant, last_instant_);
  }
  return {};
}

Status HudiTable::PublishData(CommitContent& content) {
  TARN_RETURN_IF_ERROR(RunTogether(content.logs.size(), [&](size_t i) {
    const NewLog& log = content.logs[i];
    return log.sidecar_path.empty() ? Status() : storage_->Write(log.sidecar_path, log.sidecar_bytes);
  }));
  TARN_FAULT_POINT("hudi.commit.after_positions");
  std::vector<uint32_t> fresh;
  for (const NewBase& base : content.bases) {
    const uint32_t partition = PartitionIndex(base.file->target().partition);
    if (partition_present_[partition]) continue;
    partition_present_[partition] = true;
    fresh.push_back(partition);
  }
  TARN_RETURN_IF_ERROR(RunTogether(fresh.size(), [&](size_t i) -> Status {
    // One of Spark's that was left by a restore has Hadoop's checksums beside it.
    TARN_RETURN_IF_ERROR(storage_->Remove(JoinPath(FolderOf(fresh[i]), "..hoodie_partition_metadata.crc")));
    const auto depth = std::to_string(options_.partition_fields.size());
    return storage_->Write(JoinPath(FolderOf(fresh[i]), ".hoodie_partition_metadata"),
                           FormatProperties({{"commitTime", content.instant}, {"partitionDepth", depth}}));
  }));
  TARN_FAULT_POINT("hudi.commit.after_partitions");
  TARN_RETURN_IF_ERROR(RunTogether(content.logs.size(), [&](size_t i) {
    NewLog& log = content.logs[i];
    return log.staged ? log.staged->Publish() : storage_->Write(log.path, log.bytes);
  }));
  TARN_FAULT_POINT("hudi.commit.after_logs");
  // Last of all: hudi-rs takes a base file for committed as soon as it is there.
  TARN_RETURN_IF_ERROR(
      RunTogether(content.bases.size(), [&](size_t i) { return content.bases[i].file->Publish(); }));
  TARN_FAULT_POINT("hudi.commit.after_bases");
  return {};
}

std::string HudiTable::ActionOf(const CommitContent& content) const {
  if (content.is_compaction()) return "compaction";
  if (content.is_clustering()) return "replacecommit";
  return options_.type == TableType::kMergeOnRead ? "deltacommit" : "commit";
}

Status HudiTable::PutState(const CommitContent& content, const char* state, const std::string& bytes) {
  return storage_->PutIfAbsent(HoodiePath(TimelineFileName(content.instant, ActionOf(content), state)),
                               bytes);
}

Status HudiTable::Announce(const CommitContent& content) {
  TARN_FAULT_POINT("hudi.commit.before_requested");
  if (!content.is_planned) {
    TARN_RETURN_IF_ERROR(PutState(content, "requested", content.compaction_plan + content.clustering_plan));
  }
  if (content.is_compaction()) TARN_FAULT_POINT("hudi.compaction.after_requested");
  TARN_FAULT_POINT("hudi.commit.after_requested");
  // Who rolls a shared table's commit back may be Spark, which looks here for what it appended.
  TARN_RETURN_IF_ERROR(PutState(content, "inflight", sharing_ ? FormatCommit(content.metadata) : ""));
  if (content.is_compaction()) TARN_FAULT_POINT("hudi.compaction.after_inflight");
  TARN_FAULT_POINT("hudi.commit.after_inflight");
  return {};
}

Status HudiTable::PutCompleted(const CommitContent& content) {
  if (content.is_compaction()) TARN_FAULT_POINT("hudi.compaction.before_complete");
  TARN_FAULT_POINT("hudi.commit.before_complete");
  TARN_RETURN_IF_ERROR(PutState(content, "", FormatCommit(content.metadata)));
  if (content.is_compaction()) TARN_FAULT_POINT("hudi.compaction.after_complete");
  TARN_FAULT_POINT("hudi.commit.after_complete");
  return {};
}

Status HudiTable::Publish(CommitContent& content) {
  if (sharing_) return PublishShared(content);
  last_instant_ = std::max(last_instant_, content.instant);
  needs_recovery_ = true;
  TARN_RETURN_IF_ERROR(Announce(content));
  TARN_RETURN_IF_ERROR(PublishData(content));
  TARN_RETURN_IF_ERROR(PutCompleted(content));
  needs_recovery_ = false;
  last_commit_ = std::max(last_commit_, content.instant);
  return {};
}

void HudiTable::Apply(CommitContent& content) {
  for (NewLog& log : content.logs) {
    WriterGroup& group = groups_[log.group];
    group.log_bytes += log.file.size_bytes;
    group.logs.push_back(std::move(log.file));
  }
  for (NewBase& base : content.bases) {
    if (base.group == NewBase::kNewGroup) {
      base.group = static_cast<uint32_t>(groups_.size());
      const uint32_t partition = PartitionIndex(base.file->target().partition);
      groups_.push_back({partition, base.file->target().file_id, {}, {}, 0});
      group_index_[base.file->target().file_id] = base.group;
      partition_groups_[partition].push_back(base.group);
    } else {
      next_clean_.retained = std::min(next_clean_.retained, content.instant);
    }
    WriterGroup& group = groups_[base.group];
    group.base = {base.file->name(), content.instant, base.file->bytes(), base.file->rows()};
    group.logs.clear();
    group.log_bytes = 0;
  }
}

void HudiTable::Describe(CommitContent& content, const CommitProperties& properties) const {
  content.metadata.extra.insert(properties.begin(), properties.end());
  content.metadata.extra["schema"] = avro_schema_;
  if (!horizon_.empty()) content.metadata.extra[kHistoryFrom] = horizon_;
}

CommitResult HudiTable::ResultOf(const CommitContent& content) {
  CommitResult result;
  result.instant = content.instant;
  for (const WriteStat& stat : content.metadata.stats) {
    result.inserted += stat.inserts;
    result.updated += stat.updates;
    result.deleted += stat.deletes;
    result.files++;
    result.bytes += stat.bytes;
    auto& touched = result.touched_partitions;
    if (std::find(touched.begin(), touched.end(), stat.partition) == touched.end())
      touched.push_back(stat.partition);
  }
  return result;
}

Result<CommitResult> HudiTable::Complete(CommitContent& content, const CommitProperties& properties) {
  Describe(content, properties);
  TARN_RETURN_IF_ERROR(Publish(content));
  CommitResult result = ResultOf(content);
  Apply(content);
  return result;
}

}  // namespace tarn::hudi
