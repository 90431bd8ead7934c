#include "bronze/change_log.h"

#include <arrow/record_batch.h>

#include <algorithm>

#include "base/fault.h"
#include "base/log.h"
#include "bronze/write_intent.h"

namespace tarn::bronze {
namespace {

constexpr std::string_view kSuffix = ".parquet";

/// "20261122-101500123" of a time.
std::string FileTime(int64_t micros) {
  const std::string text = FormatTimestamp(micros);  // 2026-11-22 10:15:00.123456
  return text.substr(0, 4) + text.substr(5, 2) + text.substr(8, 2) + "-" + text.substr(11, 2) +
         text.substr(14, 2) + text.substr(17, 2) + text.substr(20, 3);
}

Result<int64_t> FileTimeMicros(const std::string& name) {
  if (name.size() != 18) return MakeError(ErrorCode::kCorrupt, "'{}' is not the name of a Bronze file", name);
  return ParseTimestamp(fmt::format("{}-{}-{} {}:{}:{}.{}", name.substr(0, 4), name.substr(4, 2),
                                    name.substr(6, 2), name.substr(9, 2), name.substr(11, 2),
                                    name.substr(13, 2), name.substr(15, 3)));
}

}  // namespace

Result<std::unique_ptr<ChangeLog>> ChangeLog::Open(storage::Storage* storage, BronzePlace place,
                                                   const Clock* clock) {
  std::unique_ptr<ChangeLog> log(new ChangeLog(storage, std::move(place), clock));
  TARN_ASSIGN(const auto names, storage->List(ManifestFolder(log->lake_)));
  if (!names.empty()) {
    TARN_ASSIGN(const std::string json, storage->Read(ManifestFolder(log->lake_) + "/" + names.back().name));
    TARN_ASSIGN(log->last_, ManifestFromJson(json));
    log->last_name_ = log->last_->last_file_name;
  }
  TARN_RETURN_IF_ERROR(log->Recover());
  TARN_RETURN_IF_ERROR(log->RemoveOrphans());
  return log;
}

Status ChangeLog::RemoveOrphans() {
  const std::string bronze = lake_ + "/bronze";
  TARN_ASSIGN(const auto schemas, storage_->List(bronze));
  for (const auto& schema : schemas) {
    TARN_ASSIGN(const auto tables, storage_->List(bronze + "/" + schema.name));
    for (const auto& table : tables) {
      const std::string folder = bronze + "/" + schema.name + "/" + table.name;
      TARN_ASSIGN(const auto files, storage_->List(folder));
      for (const auto& file : files) {
        // Names order as commits do, so what is newer than the last manifest's newest name is of no manifest.
        const std::string stem =
            file.name.substr(0, file.name.size() - std::min(file.name.size(), kSuffix.size()));
        if (file.name.starts_with("LOAD") || stem <= last_name_) continue;
        if (last_name_.empty()) {
          return MakeError(
              ErrorCode::kConflict,
              "'{}/{}' holds changes, but there is no manifest that tells of any: the lake was copied or "
              "restored without '{}'. Bring that back from where the lake comes from, or choose another "
              "[lake] path; nothing was removed",
              folder, file.name, ManifestFolder(lake_));
        }
        spdlog::info("bronze: removing {}/{}, left by a flush that was cut off", folder, file.name);
        TARN_RETURN_IF_ERROR(storage_->Remove(folder + "/" + file.name));
      }
    }
  }
  return {};
}

std::string ChangeLog::ManifestPath(int64_t sequence) const {
  return ManifestFolder(lake_) + "/" + ManifestName(sequence);
}

std::string ChangeLog::NextFileName() {
  std::string name = FileTime(clock_->NowMicros());
  if (name <= last_name_) {
    // The clock stood still or went back; names must rise all the same.
    const auto last = FileTimeMicros(last_name_);
    name = FileTime((last ? *last : clock_->NowMicros()) + 1000);
  }
  last_name_ = name;
  return name;
}

Status ChangeLog::AppendEvent(const TableRows& event) {
  if (event.rows == nullptr) {
    pending_.push_back({{event.table, {}, event.at, event.copy_again}, nullptr});
    return {};
  }
  // Rows of one table go on in its open file, unless it changed its shape since.
  const auto same_table = [&](const Pending& p) {
    return p.file != nullptr && p.event.table->oid == event.table->oid;
  };
  const auto newest = std::find_if(pending_.rbegin(), pending_.rend(), same_table);
  ChangeFile* file = nullptr;
  if (newest != pending_.rend() && newest->event.table == event.table) file = newest->file.get();
  if (file == nullptr) {
    const std::string path = TableFolder(*event.table) + "/" + NextFileName() + std::string(kSuffix);
    TARN_ASSIGN(auto made, CreateChangeFile(storage_, WaitingFolder(place_), FileName(path), *event.table));
    file = made.get();
    pending_.push_back({{event.table, {path}, std::nullopt}, std::move(made)});
  }
  return file->Append(*event.rows);
}

Status ChangeLog::CloseFiles(Manifest& manifest) {
  for (Pending& pending : pending_) {
    if (pending.file) {
      std::string path = std::move(pending.event.file.path);
      TARN_ASSIGN(pending.event.file, pending.file->Publish());
      pending.event.file.path = std::move(path);
      manifest.rows += pending.event.file.rows;
      TARN_FAULT_POINT("bronze.flush.between_closes");
    }
    manifest.events.push_back(std::move(pending.event));
  }
  pending_.clear();
  manifest.last_file_name = last_name_;
  return {};
}

Result<std::optional<Manifest>> ChangeLog::Flush(const FlushInput& input) {
  for (const TableRows& event : input.events) TARN_RETURN_IF_ERROR(AppendEvent(event));
  if (input.open) return std::optional<Manifest>();
  TARN_FAULT_POINT("bronze.flush.before_files");
  Manifest manifest;
  manifest.sequence = last_ ? last_->sequence + 1 : 1;
  manifest.epoch = input.epoch;
  manifest.after = last_ ? last_->last_commit : Lsn{};
  manifest.last_commit = input.last_commit;
  manifest.end = input.end;
  manifest.last_commit_micros = input.last_commit_micros;
  manifest.transactions = input.transactions;
  TARN_RETURN_IF_ERROR(CloseFiles(manifest));
  TARN_FAULT_POINT("bronze.flush.before_intent");
  TARN_RETURN_IF_ERROR(WriteFlushIntent(*storage_, place_, manifest));
  TARN_FAULT_POINT("bronze.flush.after_intent");
  TARN_RETURN_IF_ERROR(Deliver(manifest));
  TARN_FAULT_POINT("bronze.flush.after_manifest");
  last_ = manifest;
  return std::optional<Manifest>(std::move(manifest));
}

Result<std::map<std::string, std::vector<LoadManifest>>> ChangeLog::ReadLoads(const storage::Storage& storage,
                                                                              const std::string& lake) {
  std::map<std::string, std::vector<LoadManifest>> loads;
  TARN_ASSIGN(const auto names, storage.List(LoadFolder(lake)));
  for (const auto& name : names) {
    TARN_ASSIGN(const std::string json, storage.Read(LoadFolder(lake) + "/" + name.name));
    TARN_ASSIGN(LoadManifest load, LoadManifestFromJson(json));
    if (!load.cut_off) loads[load.table->lake_name].push_back(std::move(load));
  }
  for (auto& [name, copies] : loads) {
    std::sort(copies.begin(), copies.end(),
              [](const LoadManifest& a, const LoadManifest& b) { return a.position() < b.position(); });
  }
  return loads;
}

}  // namespace tarn::bronze
