#include "hudi/table_reader.h"

#include <arrow/api.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "hudi/avro_schema.h"
#include "hudi/file_name.h"
#include "hudi/properties.h"

namespace tarn::hudi {
namespace {

constexpr int64_t kLogCacheBytes = 256LL << 20;
/// A table whose services remove files faster than this is looked at has other troubles.
constexpr int kRereads = 5;

}  // namespace

TimelineTableReader::TimelineTableReader(const storage::Storage* storage, std::string base_path,
                                         std::string sidecar_folder)
    : storage_(storage),
      base_path_(std::move(base_path)),
      sidecar_folder_(std::move(sidecar_folder)),
      logs_(kLogCacheBytes) {}

Status TimelineTableReader::Start() {
  TARN_ASSIGN(const Properties properties, ReadProperties(*storage_, base_path_));
  TARN_ASSIGN(options_, OptionsOf(properties, false));
  options_.sidecar_folder = sidecar_folder_;
  return {};
}

SliceContext TimelineTableReader::Context(TableView view) {
  return {storage_,
          &logs_,
          &timeline_,
          base_path_,
          sidecar_folder_,
          options_.ordering_field,
          view == TableView::kReadOptimized};
}

Status TimelineTableReader::ReadCommit(const std::string& instant, const std::string& action,
                                       bool list_files) {
  const std::string name = instant + "." + action;
  TARN_ASSIGN(const std::string text, storage_->Read(base_path_ + "/.hoodie/" + name));
  TARN_ASSIGN(const CommitMetadata commit, ParseCommit(text, name));
  if (const auto it = commit.extra.find("schema"); it != commit.extra.end() && !it->second.empty()) {
    auto& schema = parsed_schemas_[it->second];
    if (!schema) {
      TARN_ASSIGN(schema, TableSchemaFromAvro(it->second));
    }
    schemas_[instant] = schema;
  }
  if (const auto it = commit.extra.find(kHistoryFrom); it != commit.extra.end()) {
    horizon_ = std::max(horizon_, it->second);
  }
  for (const auto& [partition, ids] : commit.replaced_groups) {
    replaced_[instant].insert(ids.begin(), ids.end());
    touched_.insert(partition);
  }
  for (const WriteStat& stat : commit.stats) {
    touched_.insert(stat.partition);
    const std::string file = stat.path.substr(stat.path.rfind('/') + 1);
    if (!list_files) {
      // The listing knows the file; only the count of a base file's rows is news.
      const auto base = ParseBaseFileName(file);
      if (!base) continue;
      const auto partition = files_.partitions().find(stat.partition);
      if (partition == files_.partitions().end()) continue;
      const auto group = partition->second.find(base->file_id);
      if (group == partition->second.end() || !group->second.bases.contains(base->instant)) continue;
      group->second.bases[base->instant].rows = stat.writes;
      continue;
    }
    files_.Add(stat.partition, file, stat.bytes, stat.is_log ? -1 : stat.writes);
    if (!stat.is_log) continue;
    const auto log = ParseLogFileName(file);
    const auto& known = files_.partitions()[stat.partition][stat.file_id].logs[log ? log->base_instant : ""];
    // Another writer may have spread a commit over several log files.
    const bool all_known =
        std::all_of(stat.log_files.begin(), stat.log_files.end(), [&](const std::string& wanted) {
          return std::any_of(known.begin(), known.end(),
                             [&](const LogFile& have) { return have.name == wanted; });
        });
    if (!all_known) TARN_RETURN_IF_ERROR(files_.ListPartition(*storage_, base_path_, stat.partition));
  }
  return {};
}

Status TimelineTableReader::ReadHorizon() {
  for (auto it = timeline_.completed.rbegin(); it != timeline_.completed.rend(); ++it) {
    if (it->second != "clean") continue;
    if (it->first == horizon_clean_) return {};
    TARN_ASSIGN(const std::string bytes, storage_->Read(base_path_ + "/.hoodie/" + it->first + ".clean"));
    TARN_ASSIGN(const nlohmann::json json, FirstRecord(bytes));
    horizon_clean_ = it->first;
    if (json.is_object()) horizon_ = std::max(horizon_, json.value("earliestCommitToRetain", ""));
    return {};
  }
  return {};
}

Status TimelineTableReader::Reload(Timeline timeline) {
  TARN_ASSIGN(files_, FileView::Load(*storage_, base_path_));
  timeline_ = std::move(timeline);
  schemas_.clear();
  replaced_.clear();
  views_.clear();
  newest_plan_.reset();
  for (const auto& [instant, action] : timeline_.completed) {
    if (IsCommitAction(action)) TARN_RETURN_IF_ERROR(ReadCommit(instant, action, false));
  }
  for (const auto& [partition, files] : files_.partitions()) touched_.insert(partition);
  loaded_ = true;
  return {};
}

Status TimelineTableReader::Refresh() {
  TARN_ASSIGN(Timeline timeline, ReadTimeline(*storage_, base_path_));
  if (!loaded_) {
    TARN_RETURN_IF_ERROR(Reload(std::move(timeline)));
    return ReadHorizon();
  }
  if (timeline.files == timeline_.files) return {};
  // Instants that came and were archived between two refreshes leave no trace here, nor do files that
  // cleaning and rollbacks took: then everything is listed again.
  const std::string last = timeline_.Newest();
  bool relist = !last.empty() && !timeline.files.empty() && last < timeline.files.begin()->first;
  std::vector<std::pair<std::string, std::string>> fresh;
  for (const auto& [instant, action] : timeline.completed) {
    if (timeline_.completed.contains(instant)) continue;
    if (!timeline_.files.empty() && instant < timeline_.files.begin()->first) relist = true;
    if (IsCommitAction(action))
      fresh.emplace_back(instant, action);
    else
      relist = true;
  }
  for (const PendingAction& pending : timeline_.pending) {
    if (!timeline.files.contains(pending.instant)) relist = true;
  }
  if (relist) {
    TARN_RETURN_IF_ERROR(Reload(std::move(timeline)));
    return ReadHorizon();
  }
  timeline_ = std::move(timeline);
  newest_plan_.reset();
  for (const auto& [instant, action] : fresh) {
    Status read = ReadCommit(instant, action, true);
    if (!read) {
      loaded_ = false;
      return read;
    }
  }
  return {};
}

Result<std::shared_ptr<arrow::Schema>> TimelineTableReader::SchemaAsOf(const std::string& as_of) const {
  auto it = as_of.empty() ? schemas_.end() : schemas_.upper_bound(as_of);
  if (it != schemas_.begin()) return std::prev(it)->second;
  // The commit is archived: the oldest schema at hand only adds columns to its.
  if (!schemas_.empty()) return schemas_.begin()->second;
  if (options_.schema) return options_.schema;
  return MakeError(ErrorCode::kUnsupported,
                   "table '{}' has neither a commit with a schema nor a create schema", options_.name);
}

std::set<std::string> TimelineTableReader::ReplacedGroups(const std::string& as_of) const {
  std::set<std::string> groups;
  for (const auto& [instant, ids] : replaced_) {
    if (as_of.empty() || instant <= as_of) groups.insert(ids.begin(), ids.end());
  }
  return groups;
}

Result<std::shared_ptr<const ScanPlan>> TimelineTableReader::MakePlan(
    const std::string& as_of, TableView table_view, std::map<std::string, PartitionView>* views) {
  auto plan = std::make_shared<ScanPlan>();
  TARN_ASSIGN(const auto schema, SchemaAsOf(as_of));
  plan->schema = WithMetaColumns(*schema);
  plan->partition_fields = options_.partition_fields;
  plan->instant = timeline_.NewestCommit(as_of);
  if (plan->instant.empty() && !as_of.empty()) plan->instant = as_of;
  const std::set<std::string> replaced = ReplacedGroups(as_of);
  const bool newest = views == &views_;
  const bool all = !newest || !views_schema_ || !views_schema_->Equals(*plan->schema);
  for (auto& [partition, files] : files_.partitions()) {
    PartitionView& view = (*views)[partition];
    if (all || touched_.contains(partition)) {
      TARN_RETURN_IF_ERROR(
          view.Refresh(Context(table_view), partition, files, replaced, as_of, plan->schema));
    }
    view.AddTo(plan.get());
  }
  if (newest) {
    views_schema_ = plan->schema;
    touched_.clear();
  }
  return std::shared_ptr<const ScanPlan>(std::move(plan));
}

Result<std::shared_ptr<const ScanPlan>> TimelineTableReader::RefreshAndPlan(const std::string& as_of,
                                                                            TableView view) {
  TARN_RETURN_IF_ERROR(Refresh());
  const std::string newest = timeline_.NewestCommit("");
  if (as_of.empty() || as_of >= newest) {
    if (!as_of.empty() && newest.empty()) return std::shared_ptr<const ScanPlan>();
    if (view == TableView::kReadOptimized) {
      std::map<std::string, PartitionView> views;
      return MakePlan("", view, &views);
    }
    if (!newest_plan_) {
      TARN_ASSIGN(newest_plan_, MakePlan("", view, &views_));
    }
    return newest_plan_;
  }
  if (!horizon_.empty() && as_of < horizon_) return std::shared_ptr<const ScanPlan>();
  std::map<std::string, PartitionView> views;
  TARN_ASSIGN(auto plan, MakePlan(as_of, view, &views));
  // Of an instant that is archived its files tell, though none of their rows may be left.
  const bool was_there =
      std::any_of(views.begin(), views.end(), [](const auto& view) { return view.second.has_groups(); });
  if (timeline_.NewestCommit(as_of).empty() && !was_there) return std::shared_ptr<const ScanPlan>();
  return plan;
}

Result<std::shared_ptr<const ScanPlan>> TimelineTableReader::PlanSnapshot(const std::string& as_of) {
  return Plan(as_of, TableView::kSnapshot);
}

Result<std::shared_ptr<const ScanPlan>> TimelineTableReader::Plan(const std::string& as_of, TableView view) {
  std::lock_guard lock(mutex_);
  auto plan = RefreshAndPlan(as_of, view);
  // What was listed may be archived, cleaned or rolled back before it is read; a newer look does without it.
  for (int again = 0; again < kRereads && !plan && plan.error().code == ErrorCode::kNotFound; again++) {
    loaded_ = false;
    plan = RefreshAndPlan(as_of, view);
  }
  if (!plan && plan.error().code == ErrorCode::kNotFound) {
    return MakeError(ErrorCode::kCorrupt, "table '{}' lacks a file that its timeline tells of: {}",
                     options_.name, plan.error().message);
  }
  if (!plan || *plan) return plan;
  if (!horizon_.empty() && as_of < horizon_) {
    return MakeError(ErrorCode::kNotFound, "table '{}' as of {}: history before {} was cleaned away",
                     options_.name, as_of, horizon_);
  }
  return MakeError(ErrorCode::kNotFound, "table '{}' has no commit at or before {}", options_.name, as_of);
}

Result<std::vector<std::string>> TimelineTableReader::Instants() {
  std::lock_guard lock(mutex_);
  TARN_RETURN_IF_ERROR(Refresh());
  return timeline_.Commits();
}

Result<std::unique_ptr<TableReader>> TableReader::Open(const storage::Storage* storage, std::string base_path,
                                                       std::string sidecar_folder) {
  auto reader =
      std::make_unique<TimelineTableReader>(storage, std::move(base_path), std::move(sidecar_folder));
  TARN_RETURN_IF_ERROR(reader->Start());
  return std::unique_ptr<TableReader>(std::move(reader));
}

}  // namespace tarn::hudi
