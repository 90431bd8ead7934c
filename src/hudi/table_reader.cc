#include "hudi/table_reader.h"

#include <arrow/api.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "hudi/avro_schema.h"
#include "hudi/file_name.h"
#include "hudi/horizon.h"
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
  TARN_ASSIGN(rules_, MergeRulesOf(properties));
  return {};
}

SliceContext TimelineTableReader::Context(TableView view) {
  return {
      storage_, &logs_, &timeline_, base_path_, sidecar_folder_, rules_, view == TableView::kReadOptimized};
}

Result<CommitMetadata> TimelineTableReader::Metadata(const std::string& instant) const {
  const std::string name = timeline_.CompletedPath(instant);
  TARN_ASSIGN(const std::string text, storage_->Read(base_path_ + "/.hoodie/" + name));
  return ParseCommit(text, name);
}

void TimelineTableReader::ChooseRanks() {
  const auto& newest = schemas_.empty() ? options_.schema : schemas_.rbegin()->second;
  const MergeRules::Ranks ranks = newest ? RanksOf(*newest, rules_.ordering_fields) : rules_.ranks;
  if (ranks == rules_.ranks) return;
  rules_.ranks = ranks;
  views_.clear();
  newest_plan_.reset();
}

Status TimelineTableReader::ReadCommit(const std::string& instant, bool list_files) {
  TARN_ASSIGN(const CommitMetadata commit, Metadata(instant));
  if (commit.extra.contains("latest_schema")) {
    return MakeError(
        ErrorCode::kUnsupported,
        "table '{}' was written with hoodie.schema.on.read.enable=true (commit {}), which may rename "
        "columns: rewrite it without that property",
        options_.name, instant);
  }
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

Status TimelineTableReader::LoadHorizon() {
  const auto is_service = [](const std::string& action) { return action == "clean" || action == "restore"; };
  const auto newest = std::find_if(timeline_.completed.rbegin(), timeline_.completed.rend(),
                                   [&](const auto& entry) { return is_service(entry.second); });
  const std::string service = newest == timeline_.completed.rend() ? "" : newest->first;
  const bool is_pending =
      std::any_of(timeline_.pending.begin(), timeline_.pending.end(),
                  [&](const PendingAction& pending) { return is_service(pending.action); });
  if (service == horizon_service_ && !is_pending) return {};
  TARN_ASSIGN(const std::string horizon, ServiceHorizon(*storage_, base_path_, timeline_));
  horizon_ = std::max(horizon_, horizon);
  horizon_service_ = service;
  return {};
}

Result<bool> TimelineTableReader::IsCleaned() const {
  TARN_ASSIGN(const Timeline now, ReadTimeline(*storage_, base_path_, layout()));
  return std::any_of(now.files.begin(), now.files.end(), [&](const auto& instant) {
    const bool is_clean = instant.second.front().find(".clean") != std::string::npos;
    const auto known = timeline_.files.find(instant.first);
    return is_clean && (known == timeline_.files.end() || known->second != instant.second);
  });
}

Status TimelineTableReader::Reload(Timeline timeline) {
  TARN_ASSIGN(files_, FileView::Load(*storage_, base_path_));
  timeline_ = std::move(timeline);
  horizon_.clear();
  horizon_service_.clear();
  schemas_.clear();
  replaced_.clear();
  views_.clear();
  newest_plan_.reset();
  for (const auto& [instant, action] : timeline_.completed) {
    if (IsCommitAction(action)) TARN_RETURN_IF_ERROR(ReadCommit(instant, false));
  }
  for (const auto& [partition, files] : files_.partitions()) touched_.insert(partition);
  loaded_ = true;
  return {};
}

Status TimelineTableReader::Refresh() {
  TARN_ASSIGN(Timeline timeline, ReadTimeline(*storage_, base_path_, layout()));
  if (!loaded_) {
    TARN_RETURN_IF_ERROR(Reload(std::move(timeline)));
    return LoadHorizon();
  }
  if (timeline.files == timeline_.files) return {};
  // Instants that came and were archived between two refreshes leave no trace here, nor do files that
  // cleaning and rollbacks took: then everything is listed again.
  const std::string last = timeline_.Newest();
  bool relist = !last.empty() && !timeline.files.empty() && last < timeline.files.begin()->first;
  std::vector<std::string> fresh;
  for (const auto& [instant, action] : timeline.completed) {
    if (timeline_.completed.contains(instant)) continue;
    if (!timeline_.files.empty() && instant < timeline_.files.begin()->first) relist = true;
    if (IsCommitAction(action))
      fresh.push_back(instant);
    else
      relist = true;
  }
  for (const PendingAction& pending : timeline_.pending) {
    if (!timeline.files.contains(pending.instant)) relist = true;
  }
  for (const auto& [instant, action] : timeline_.completed) {
    // Those that are archived are the oldest; this one was rolled back.
    if (timeline.completed.contains(instant) || timeline.files.empty()) continue;
    if (instant < timeline.files.begin()->first) continue;
    relist = true;
    logs_.Clear();
  }
  if (relist) {
    TARN_RETURN_IF_ERROR(Reload(std::move(timeline)));
    return LoadHorizon();
  }
  timeline_ = std::move(timeline);
  newest_plan_.reset();
  for (const std::string& instant : fresh) {
    Status read = ReadCommit(instant, true);
    if (!read) {
      loaded_ = false;
      return read;
    }
  }
  return LoadHorizon();
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
  plan->schema = options_.has_meta_columns ? WithMetaColumns(*schema) : schema;
  if (!timeline_.completions.empty()) {
    plan->completions = std::make_shared<const std::map<std::string, std::string>>(timeline_.completions);
  }
  plan->partition_fields = options_.partition_fields;
  plan->widens_floats_by_text = rules_.widens_floats_by_text;
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
  ChooseRanks();
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
  if (IsCleanedAway(as_of)) return std::shared_ptr<const ScanPlan>();
  std::map<std::string, PartitionView> views;
  TARN_ASSIGN(auto plan, MakePlan(as_of, view, &views));
  // Of an instant that is archived its files tell, though none of their rows may be left.
  const bool was_there =
      std::any_of(views.begin(), views.end(), [](const auto& view) { return view.second.has_groups(); });
  if (timeline_.NewestCommit(as_of).empty() && !was_there) return std::shared_ptr<const ScanPlan>();
  // A listing made while slices were taken away may have a part of one.
  TARN_ASSIGN(const bool is_cleaned, IsCleaned());
  if (is_cleaned) {
    return MakeError(ErrorCode::kNotFound, "table '{}' was cleaned while its files were listed",
                     options_.name);
  }
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
  if (IsCleanedAway(as_of)) {
    return MakeError(ErrorCode::kNotFound, "table '{}' as of {}: history before {} was cleaned away",
                     options_.name, as_of, horizon_);
  }
  return MakeError(ErrorCode::kNotFound, "table '{}' has no commit at or before {}", options_.name, as_of);
}

Result<std::shared_ptr<const ScanPlan>> TimelineTableReader::PlanUntil(const std::string& completion,
                                                                       TableView view) {
  if (layout() == TimelineLayout::kOne || completion.empty()) return Plan(completion, view);
  std::lock_guard lock(mutex_);
  TARN_RETURN_IF_ERROR(Refresh());
  ChooseRanks();
  Timeline then = timeline_.Until(completion);
  const std::string newest = then.NewestCommit("");
  if (newest.empty()) {
    return MakeError(ErrorCode::kNotFound, "table '{}' has no commit that completed at or before {}",
                     options_.name, completion);
  }
  if (IsCleanedAway(newest)) {
    return MakeError(ErrorCode::kNotFound, "table '{}' at {}: history before {} was cleaned away",
                     options_.name, completion, horizon_);
  }
  std::swap(timeline_, then);
  std::map<std::string, PartitionView> views;
  auto plan = MakePlan(newest, view, &views);
  std::swap(timeline_, then);
  return plan;
}

Status TimelineTableReader::CheckKeptSince(const std::string& begin) const {
  bool is_kept = horizon_.empty() || begin >= horizon_;
  for (const auto& [instant, completion] : timeline_.completions) {
    if (completion > begin && !timeline_.completed.contains(instant)) is_kept = false;
  }
  if (is_kept && layout() == TimelineLayout::kOne && begin < timeline_.first_commit) {
    const auto archived = storage_->List(base_path_ + "/.hoodie/archived");
    is_kept = !archived || std::none_of(archived->begin(), archived->end(), [](const auto& entry) {
      return entry.name.starts_with(".commits_");
    });
  }
  if (is_kept) return {};
  return MakeError(
      ErrorCode::kNotFound,
      "table '{}': of the changes since {} some are archived, or what was before them cleaned away; "
      "all are kept since {}",
      options_.name, begin.empty() ? "its beginning" : begin, std::max(timeline_.first_commit, horizon_));
}

Result<std::shared_ptr<const ScanPlan>> TimelineTableReader::PlanGroup(const std::string& completion,
                                                                       bool before,
                                                                       const std::string& partition,
                                                                       const std::string& file_id) {
  std::lock_guard lock(mutex_);
  const Timeline then = timeline_.Until(completion, before);
  auto plan = std::make_shared<ScanPlan>();
  plan->instant = then.NewestCommit("");
  TARN_ASSIGN(const auto schema, SchemaAsOf(plan->instant));
  plan->schema = options_.has_meta_columns ? WithMetaColumns(*schema) : schema;
  plan->widens_floats_by_text = rules_.widens_floats_by_text;
  const auto files = files_.partitions().find(partition);
  if (files == files_.partitions().end() || !files->second.contains(file_id)) return plan;
  std::set<std::string> replaced;
  for (const auto& [instant, ids] : replaced_) {
    if (then.completed.contains(instant)) replaced.insert(ids.begin(), ids.end());
  }
  PartitionFiles group{{file_id, files->second.at(file_id)}};
  SliceContext context = Context(TableView::kSnapshot);
  context.timeline = &then;
  PartitionView view;
  TARN_RETURN_IF_ERROR(view.Refresh(context, partition, group, replaced, "", plan->schema));
  view.AddTo(plan.get());
  return plan;
}

Result<std::vector<TableReader::Commit>> TimelineTableReader::CommitsBetween(const std::string& begin,
                                                                             const std::string& end) {
  std::lock_guard lock(mutex_);
  TARN_RETURN_IF_ERROR(Refresh());
  const std::string from = begin.empty() ? horizon_ : begin;
  TARN_RETURN_IF_ERROR(CheckKeptSince(from));
  std::vector<Commit> commits;
  for (const std::string& instant : timeline_.Commits()) {
    const std::string& completion = timeline_.CompletionOf(instant);
    if (completion <= from || (!end.empty() && completion > end)) continue;
    TARN_ASSIGN(const CommitMetadata metadata, Metadata(instant));
    if (metadata.compacted || metadata.operation == "COMPACT" || metadata.operation == "CLUSTER") continue;
    Commit commit{instant, completion, metadata.replaced_groups};
    for (const WriteStat& stat : metadata.stats) commit.groups[stat.partition].push_back(stat.file_id);
    commits.push_back(std::move(commit));
  }
  std::sort(commits.begin(), commits.end(),
            [](const Commit& a, const Commit& b) { return a.completion < b.completion; });
  return commits;
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
