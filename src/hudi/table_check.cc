#include "hudi/table_check.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "hudi/commit_metadata.h"
#include "hudi/content_check.h"
#include "hudi/file_name.h"
#include "hudi/file_view.h"
#include "hudi/horizon.h"
#include "hudi/properties.h"
#include "hudi/savepoint.h"
#include "hudi/timeline.h"
#include "hudi/timeline_check.h"

namespace tarn::hudi {
namespace {

constexpr const char* kHalfRestored =
    "is a restore that did not come to its end: other readers see the table as it was between its savepoint "
    "and now, until it is gone on with";

std::string NameOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

class TableCheck {
 public:
  TableCheck(const storage::Storage& storage, std::string base_path, TableReport* report)
      : storage_(storage), base_path_(std::move(base_path)), report_(*report) {}

  Status Run(const std::string& scratch) {
    TARN_RETURN_IF_ERROR(CheckProperties());
    const auto layout = is_version_6() ? TimelineLayout::kOne : TimelineLayout::kTwo;
    if (layout == TimelineLayout::kTwo) CheckArchived(storage_, base_path_, &report_);
    auto timeline = ReadTimeline(storage_, base_path_, layout);
    if (!timeline) {
      report_.Add(".hoodie", "the timeline cannot be read: " + timeline.error().message);
      return {};
    }
    timeline_ = std::move(*timeline);
    CheckStateFiles(storage_, base_path_, timeline_, &report_);
    TARN_RETURN_IF_ERROR(List());
    ReadServices();
    for (const auto& [instant, action] : timeline_.completed) {
      report_.instants++;
      if (IsCommitAction(action)) CheckCommit(instant);
    }
    CheckFiles();
    CheckSavepoints();
    for (const auto& [partition, groups] : files_.partitions()) CheckPartition(partition, groups);
    CheckLogs(storage_, base_path_, files_, rules_, timeline_, &report_);
    return CheckRows(storage_, base_path_, scratch, options_.has_meta_columns, &report_);
  }

 private:
  bool is_version_6() const { return options_.version == 6; }

  Status CheckProperties() {
    TARN_ASSIGN(const Properties properties, ReadProperties(storage_, base_path_));
    TARN_ASSIGN(options_, OptionsOf(properties, false));
    TARN_ASSIGN(rules_, MergeRulesOf(properties));
    const std::string where = ".hoodie/hoodie.properties";
    const auto value = [&](const char* key) {
      const auto found = properties.find(key);
      return found == properties.end() ? std::string() : found->second;
    };
    const std::string checksum = TableChecksum(options_.database, options_.name);
    if (value("hoodie.table.checksum") != checksum) {
      report_.Add(where,
                  fmt::format("hoodie.table.checksum is '{}', but that of '{}.{}' is {}",
                              value("hoodie.table.checksum"), options_.database, options_.name, checksum));
    }
    if (!is_version_6()) return {};  // Later ones may order by commit time or several fields.
    if (options_.ordering_field.empty() || options_.ordering_field.find(',') != std::string::npos) {
      report_.Add(where, fmt::format("hoodie.table.precombine.field is '{}': readers want one field",
                                     options_.ordering_field));
    }
    if (!value("hoodie.table.metadata.partitions").empty())
      report_.Add(where, "the table has a metadata table, which other writers' commits may miss");
    return {};
  }

  Status List() {
    return ForEachFolder(storage_, base_path_, [&](const auto& partition, const auto& entries) -> Status {
      const bool is_partition = IsPartition(entries);
      for (const storage::FileInfo& entry : entries) {
        if (!entry.is_directory) CheckEntry(partition, entry, is_partition);
      }
      return {};
    });
  }

  void CheckEntry(const std::string& partition, const storage::FileInfo& entry, bool is_partition) {
    const bool is_base = ParseBaseFileName(entry.name).has_value();
    const bool is_data = is_base || ParseLogFileName(entry.name);
    const std::string where = JoinPath(partition, entry.name);
    if (entry.name.ends_with(".parquet") && !is_base)
      report_.Add(where, "is a Parquet file that is no base file: some readers fail on it");
    if (is_data && !is_partition)
      report_.Add(where, "is in a folder without .hoodie_partition_metadata: readers do not find it");
    if (entry.name.ends_with(".crc"))
      CheckHadoopChecksum(storage_, base_path_, partition, entry.name, &report_);
    if (!is_data) return;
    sizes_[where] = entry.size_bytes;
    files_.Add(partition, entry.name, entry.size_bytes, -1);
  }

  /// Null when the file has no record.
  Result<nlohmann::json> Record(const std::string& name) const {
    TARN_ASSIGN(const std::string bytes, storage_.Read(base_path_ + "/.hoodie/" + name));
    return FirstRecord(bytes);
  }

  /// What cleaning and rollbacks took away, and since when slices were kept.
  void ReadServices() {
    for (const auto& [instant, action] : timeline_.completed) {
      if (action != "clean" && action != "rollback" && action != "restore") continue;
      const std::string name = timeline_.CompletedPath(instant);
      const auto record = Record(name);
      if (!record || record->is_null()) {
        report_.Add(".hoodie/" + name,
                    record ? "has no record" : "cannot be read: " + record.error().message);
        continue;
      }
      CollectRemoved(*record);
    }
    if (const auto horizon = ServiceHorizon(storage_, base_path_, timeline_)) horizon_ = *horizon;
    for (const PendingAction& pending : timeline_.pending) {
      if (pending.action == "restore")
        report_.Add(".hoodie/" + timeline_.StatePath(pending.files.front()), kHalfRestored);
      if (pending.action != "clean") continue;
      // The next writer goes on with it: what its plan names may be gone already.
      const std::string folder = is_version_6() ? "" : "timeline/";
      if (const auto plan = Record(folder + pending.files.front())) CollectPlanned(*plan, false);
    }
  }

  void CollectPlanned(const nlohmann::json& json, bool is_path) {
    if (is_path && json.is_string()) removed_.insert(NameOf(json.get<std::string>()));
    if (!json.is_array() && !json.is_object()) return;
    for (const auto& [key, value] : json.items()) CollectPlanned(value, is_path || key == "filePath");
  }

  void CollectRemoved(const nlohmann::json& json) {
    if (json.is_array() || json.is_object()) {
      for (const auto& [key, value] : json.items()) {
        if (key == "successDeleteFiles" && value.is_array()) {
          for (const auto& file : value)
            if (file.is_string()) removed_.insert(NameOf(file.get<std::string>()));
        } else {
          CollectRemoved(value);
        }
      }
    }
  }

  void CheckCommit(const std::string& instant) {
    const std::string name = timeline_.CompletedPath(instant);
    const std::string where = ".hoodie/" + name;
    const auto text = storage_.Read(base_path_ + "/" + where);
    if (!text) {
      // Archiving and cleaning may go on meanwhile.
      if (text.error().code != ErrorCode::kNotFound) report_.Add(where, text.error().message);
      return;
    }
    const auto commit = ParseCommit(*text, name);
    if (!commit) return report_.Add(where, "cannot be read: " + commit.error().message);
    const auto schema = commit->extra.find("schema");
    if (schema == commit->extra.end() || schema->second.empty())
      report_.Add(where, "has no schema in its extraMetadata");
    if (const auto from = commit->extra.find(kHistoryFrom); from != commit->extra.end())
      horizon_ = std::max(horizon_, from->second);
    for (const WriteStat& stat : commit->stats) told_.push_back({where, instant, stat});
    for (const auto& [partition, ids] : commit->replaced_groups) replaced_.insert(ids.begin(), ids.end());
  }

  /// Files that are gone must be known to have been removed.
  void CheckFiles() {
    for (const Told& told : told_) {
      const WriteStat& stat = told.stat;
      // hudi-rs finds the slice by it; later versions find it by the log's instant.
      if (is_version_6() && stat.is_log && stat.base_file.empty())
        report_.Add(told.where, fmt::format("tells of the log '{}' without its baseFile", stat.path));
      const auto found = sizes_.find(stat.path);
      if (found == sizes_.end()) {
        const bool may_go = told.instant < horizon_ || replaced_.contains(stat.file_id);
        if (!may_go && !removed_.contains(NameOf(stat.path)) && !stat.path.empty())
          report_.Add(stat.path, "is not there, though " + told.where + " tells of it");
      } else if (stat.is_log ? found->second < stat.bytes : found->second != stat.bytes) {
        report_.Add(stat.path,
                    fmt::format("has {} bytes, but {} says {}", found->second, told.where, stat.bytes));
      }
    }
  }

  void CheckSavepoints() {
    const auto savepoints = ReadSavepoints(storage_, base_path_, timeline_);
    if (!savepoints) return report_.Add(".hoodie", savepoints.error().message);
    for (const Savepoint& savepoint : *savepoints) {
      for (const auto& [partition, names] : savepoint.files) {
        for (const std::string& name : names) {
          // Logs that another writer named, though they are of later commits, may have been restored away.
          const std::string path = JoinPath(partition, name);
          if (!sizes_.contains(path) && ParseBaseFileName(name))
            report_.Add(path, "is not there, though the savepoint " + savepoint.instant + " keeps it");
        }
      }
    }
  }

  void CheckPartition(const std::string& partition, const PartitionFiles& groups) {
    report_.partitions++;
    for (const auto& [file_id, group] : groups) {
      report_.groups++;
      report_.base_files += static_cast<int64_t>(group.bases.size());
      for (const auto& [instant, logs] : group.logs) report_.log_files += static_cast<int64_t>(logs.size());
      if (group.bases.empty())
        report_.Add(JoinPath(partition, file_id), "is a file group of logs alone, which hudi-rs passes over");
      for (const auto& [instant, base] : group.bases) CheckCompleted(partition, base.name, instant);
      // Under layout 1 logs are named by their base file, and say themselves what they hold.
      for (const auto& [instant, logs] : group.logs) {
        for (const LogFile& log : logs)
          if (!is_version_6()) CheckCompleted(partition, log.name, instant);
      }
    }
  }

  /// A base file of a commit that did not complete counts for hudi-rs, and for everybody once its instant is
  /// older than the active timeline; layout 2 knows the archived ones by name.
  void CheckCompleted(const std::string& partition, const std::string& name, const std::string& instant) {
    const bool known = is_version_6() || timeline_.completions.contains(instant);
    if (timeline_.IsDone(instant) && known) return;
    const bool pending = std::any_of(timeline_.pending.begin(), timeline_.pending.end(),
                                     [&](const PendingAction& action) { return action.instant == instant; });
    if (pending && instant > timeline_.NewestCommit("")) return;
    report_.Add(JoinPath(partition, name), pending ? "belongs to a commit that did not complete"
                                                   : "belongs to no commit of the timeline");
  }

  struct Told {
    std::string where, instant;
    WriteStat stat;
  };
  const storage::Storage& storage_;
  const std::string base_path_;
  TableReport& report_;
  TableOptions options_;
  MergeRules rules_;
  Timeline timeline_;
  FileView files_;
  std::map<std::string, int64_t> sizes_;  ///< Of data files, by path below the table's folder.
  std::set<std::string> removed_;         ///< Names of files that services took away.
  std::set<std::string> replaced_;        ///< File groups.
  std::string horizon_;
  std::vector<Told> told_;  ///< Files that commits tell of.
};

}  // namespace

void TableReport::Add(std::string where, std::string what) {
  fault_count++;
  if (faults.size() < kMostListed) faults.push_back({std::move(where), std::move(what)});
}

Result<TableReport> CheckTable(const storage::Storage& storage, const std::string& base_path,
                               const std::string& scratch) {
  TableReport report;
  TARN_RETURN_IF_ERROR(TableCheck(storage, base_path, &report).Run(scratch));
  return report;
}

}  // namespace tarn::hudi
