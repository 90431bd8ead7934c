#include "pipeline/gold_layer.h"

#include <arrow/api.h>

#include <algorithm>

#include "base/log.h"
#include "pipeline/gold_rows.h"
#include "pipeline/silver_table.h"

namespace tarn::pipeline {
namespace {

hudi::TableOptions OptionsOf(const GoldModel& model, const std::string& sidecar,
                             const std::shared_ptr<arrow::Schema>& schema) {
  hudi::TableOptions options;
  options.name = model.name;
  options.database = "gold";
  options.type = hudi::TableType::kCopyOnWrite;
  options.key_fields = model.key;
  if (!model.partition.empty()) {
    auto& key = options.key_fields;
    key.erase(std::find(key.begin(), key.end(), model.partition));
    key.insert(key.begin(), model.partition);
    if (key.size() < 2) key.push_back(kModelColumn);
    options.partition_fields = {model.partition};
  }
  options.identity_fields = options.key_fields;
  options.schema = schema;
  options.sidecar_folder = sidecar;
  return options;
}

/// How long a model that failed so often in a row is left alone.
int64_t PatienceMicros(int failures) { return int64_t{10'000'000} << std::min(failures, 6); }

/// Takes a backfill into the step: `asked` partitions, or all when empty.
void AddAsked(const engine::ModelAnalysis& analysis, const std::set<std::string>& asked, GoldStep* step) {
  if (step->kind == GoldStep::Kind::kAll) return;
  if (asked.empty() || !analysis.is_partition_local) {
    *step = {GoldStep::Kind::kAll, {}, "asked for by `tarn backfill`"};
    return;
  }
  step->kind = GoldStep::Kind::kPartitions;
  step->partitions.insert(asked.begin(), asked.end());
  step->reason = fmt::format("{} asked for by `tarn backfill`; {}", asked.size(), step->reason);
}

}  // namespace

/// A model's table, what it was computed from, and what each of its partitions holds.
struct GoldLayer::Target {
  std::unique_ptr<hudi::Table> table;  ///< Null: not made yet.
  std::optional<GoldBookmark> bookmark;
  GoldContents partitions;  ///< Zero: not known.

  /// Whether the table is there and can hold such a result.
  bool HasShape(const GoldModel& model, const std::shared_ptr<arrow::Schema>& schema) const {
    if (table == nullptr) return false;
    const auto wanted = OptionsOf(model, "", schema);
    const auto& known = table->options();
    return known.schema->Equals(*schema, false) && known.key_fields == wanted.key_fields &&
           known.partition_fields == wanted.partition_fields;
  }
  /// Has what these partitions hold written again, whatever it was; empty: of all.
  void Forget(const GoldModel& model, const std::set<std::string>& values) {
    for (auto& [path, hash] : partitions) {
      if (values.empty()) hash = {};
    }
    for (const std::string& value : values) {
      const auto known = partitions.find(PartitionPath(model, value));
      if (known != partitions.end()) known->second = {};
    }
  }
};

GoldLayer::GoldLayer(storage::Storage* storage, catalog::LakeLayout layout, const PipelineOptions& options,
                     catalog::LakeVersions* versions, LakeView* view, InstantClock* clock)
    : storage_(storage),
      layout_(std::move(layout)),
      options_(options),
      versions_(versions),
      view_(view),
      clock_(clock) {}
GoldLayer::~GoldLayer() = default;

Result<std::unique_ptr<GoldLayer>> GoldLayer::Open(storage::Storage* storage,
                                                   const catalog::LakeLayout& layout,
                                                   const PipelineOptions& options,
                                                   const std::vector<std::string>& tables,
                                                   catalog::LakeVersions* versions, LakeView* view,
                                                   InstantClock* clock) {
  std::unique_ptr<GoldLayer> layer(new GoldLayer(storage, layout, options, versions, view, clock));
  TARN_ASSIGN(layer->models_, LoadGoldModels(*storage, options.models, {tables.begin(), tables.end()}));
  TARN_ASSIGN(layer->backfills_, ReadBackfills(*storage, layout));
  return layer;
}

std::map<std::string, GoldRun> GoldLayer::Runs() const {
  const std::lock_guard lock(mutex_);
  return runs_;
}

Status GoldLayer::Backfill(const std::string& model, const std::set<std::string>& partitions) {
  TARN_ASSIGN([[maybe_unused]] const GoldModel* known, FindModel(models_, model));
  const std::lock_guard lock(mutex_);
  AddBackfill(model, partitions, &backfills_);
  return WriteBackfills(*storage_, layout_, backfills_);
}

std::optional<std::set<std::string>> GoldLayer::BackfillOf(const std::string& model) const {
  const std::lock_guard lock(mutex_);
  const auto asked = backfills_.find(model);
  return asked == backfills_.end() ? std::nullopt : std::optional(asked->second);
}

Status GoldLayer::EndBackfill(const std::string& model, const std::set<std::string>& done) {
  const std::lock_guard lock(mutex_);
  const auto asked = backfills_.find(model);
  // What was asked for meanwhile stays for the next run.
  if (asked == backfills_.end() || asked->second != done) return {};
  backfills_.erase(asked);
  return WriteBackfills(*storage_, layout_, backfills_);
}

Result<std::unique_ptr<GoldSnapshot>> GoldLayer::OpenSnapshot(const catalog::LakeVersion& version,
                                                              int64_t as_of_micros) {
  engine::SessionOptions options;
  options.memory_limit_bytes = options_.query_memory_bytes;
  // On this thread alone, which gives way to the stream and to people's questions.
  options.threads = 1;
  options.spill_folder = layout_.Internal("spill");
  return GoldSnapshot::Open(view_, &models_, &analyses_, version, as_of_micros, std::move(options));
}

Result<GoldLayer::Target*> GoldLayer::OpenTarget(const GoldModel& model) {
  auto& target = targets_[model.name];
  if (target != nullptr) return target.get();
  const std::string path = layout_.Gold(model.name);
  auto made = std::make_unique<Target>();
  if (storage_->Exists(path + "/.hoodie/hoodie.properties")) {
    TARN_ASSIGN(made->table, hudi::Table::Open(storage_, path, layout_.Sidecar("gold", model.name)));
    clock_->MustPass(made->table->LastInstant());
  }
  if (made->table != nullptr && !made->table->LastInstant().empty()) {
    TARN_ASSIGN(const auto contents, made->table->LastProperty(kGoldContentsProperty));
    made->partitions = ParseContents(contents.value_or(""));
    // Those that are not known are there or empty.
    if (made->partitions.empty()) {
      for (const std::string& partition : made->table->Partitions()) made->partitions[partition] = {};
    }
    TARN_ASSIGN(const auto text, made->table->LastProperty(GoldBookmark::kProperty));
    // One that cannot be read is as good as none: all is computed again.
    auto bookmark = GoldBookmark::Parse(text.value_or(""));
    if (bookmark) made->bookmark = std::move(*bookmark);
  }
  target = std::move(made);
  return target.get();
}

Status GoldLayer::ShapeTarget(const GoldModel& model, const std::shared_ptr<arrow::Schema>& schema,
                              Target* target) {
  if (target->HasShape(model, schema)) return {};
  const std::string path = layout_.Gold(model.name), sidecar = layout_.Sidecar("gold", model.name);
  if (target->table != nullptr) {
    spdlog::info("gold {}: the model has another shape than the table, which is made anew", model.name);
    *target = Target();
    TARN_RETURN_IF_ERROR(storage_->RemoveTree(path));
    TARN_RETURN_IF_ERROR(storage_->RemoveTree(sidecar));
  }
  TARN_ASSIGN(target->table, hudi::Table::Create(storage_, path, OptionsOf(model, sidecar, schema)));
  return {};
}

Result<GoldStep> GoldLayer::Decide(GoldSnapshot& snapshot, const GoldModel& model, const Target& target,
                                   const std::optional<std::set<std::string>>& asked) {
  TARN_ASSIGN(GoldStep step, snapshot.Decide(model, target.bookmark));
  TARN_ASSIGN(const engine::ModelAnalysis* analysis, snapshot.Analyze(model));
  if (analysis->time != engine::TimeDependence::kNone) depends_on_time_ = true;
  if (asked) AddAsked(*analysis, *asked, &step);
  return step;
}

Status GoldLayer::RunModel(GoldSnapshot& snapshot, const GoldModel& model, const std::string& instant,
                           GoldRun* run) {
  TARN_ASSIGN(Target * target, OpenTarget(model));
  const auto asked = BackfillOf(model.name);
  TARN_ASSIGN(GoldStep step, Decide(snapshot, model, *target, asked));
  run->kind = step.kind;
  run->reason = step.reason;
  if (step.kind == GoldStep::Kind::kNothing) {
    TARN_ASSIGN(target->bookmark, snapshot.BookmarkOf(model));
    return {};
  }
  const auto compute = [&]() -> Result<std::shared_ptr<arrow::RecordBatch>> {
    TARN_ASSIGN(const auto result, snapshot.Compute(model, step));
    run->bytes_read += snapshot.statistics().bytes_read;
    return ToStorable(model, *result, snapshot.lsn());
  };
  TARN_ASSIGN(auto rows, compute());
  if (step.kind == GoldStep::Kind::kPartitions && !target->HasShape(model, rows->schema())) {
    step = {GoldStep::Kind::kAll, {}, "its columns changed"};
    run->kind = step.kind;
    run->reason = step.reason;
    TARN_ASSIGN(rows, compute());
  }
  TARN_RETURN_IF_ERROR(ShapeTarget(model, rows->schema(), target));
  if (asked) target->Forget(model, *asked);
  const Status put = Put(snapshot, model, step, rows, instant, target, run);
  if (put) return asked ? EndBackfill(model.name, *asked) : put;
  // What stands in the table now is not known.
  target->bookmark.reset();
  target->Forget(model, {});
  return put;
}

Status GoldLayer::Put(GoldSnapshot& snapshot, const GoldModel& model, const GoldStep& step,
                      const std::shared_ptr<arrow::RecordBatch>& rows, const std::string& instant,
                      Target* target, GoldRun* run) {
  TARN_ASSIGN(const auto parts, SplitByPartition(model, rows));
  std::set<std::string> computed;
  for (const std::string& value : step.partitions) computed.insert(PartitionPath(model, value));
  for (const auto& [path, part] : parts) {
    if (step.kind == GoldStep::Kind::kAll) computed.insert(path);
    if (computed.contains(path)) continue;
    return MakeError(ErrorCode::kInternal, "gold.{}: rows of '{}' came although only {} was computed",
                     model.name, path, fmt::join(computed, ", "));
  }
  run->rows = rows->num_rows();
  run->partitions_computed = static_cast<int64_t>(computed.size());
  if (step.kind == GoldStep::Kind::kAll) {
    for (const auto& [path, hash] : target->partitions) computed.insert(path);
  }
  std::vector<std::string> changed;
  std::vector<std::shared_ptr<arrow::RecordBatch>> changed_rows;
  auto contents = target->partitions;
  for (const std::string& path : computed) {
    const auto part = parts.find(path);
    const auto before = target->partitions.find(path);
    if (part == parts.end()) {
      contents.erase(path);
      if (before != target->partitions.end()) changed.push_back(path);
      continue;
    }
    TARN_ASSIGN(contents[path], ContentHash(part->second));
    if (before != target->partitions.end() && before->second == contents[path]) continue;
    changed.push_back(path);
    changed_rows.push_back(part->second);
  }
  TARN_ASSIGN(const GoldBookmark bookmark, snapshot.BookmarkOf(model));
  if (!changed.empty() || target->table->LastInstant().empty()) {
    run->partitions_changed = static_cast<int64_t>(changed.size());
    if (changed.empty()) changed.push_back("");
    TARN_ASSIGN(const auto done,
                target->table->ReplacePartitions(instant, changed, changed_rows,
                                                 {{kLsnProperty, std::to_string(snapshot.lsn())},
                                                  {GoldBookmark::kProperty, bookmark.ToJson()},
                                                  {kGoldContentsProperty, FormatContents(contents)}}));
    run->bytes_written = done.bytes;
  }
  target->partitions = std::move(contents);
  target->bookmark = bookmark;
  return {};
}

Status GoldLayer::Publish(const catalog::LakeVersion& version, const std::string& instant) {
  catalog::GoldVersion gold{instant, version.instant, version.commit_micros, beside_};
  for (const GoldModel& model : models_) {
    const auto target = targets_.find(model.name);
    const bool exists =
        target != targets_.end() && target->second != nullptr && target->second->table != nullptr;
    if (exists && !target->second->table->LastInstant().empty()) gold.models.push_back(model.name);
  }
  return versions_->PublishGold(*storage_, gold);
}

GoldRun GoldLayer::TryModel(GoldSnapshot& snapshot, const GoldModel& model,
                            const catalog::LakeVersion& version, const std::string& instant) {
  GoldRun run;
  run.model = model.name;
  run.source_instant = version.instant;
  const int64_t started = MonotonicMicros();
  const Status done = RunModel(snapshot, model, instant, &run);
  run.seconds = static_cast<double>(MonotonicMicros() - started) / 1e6;
  if (done) {
    failures_.erase(model.name);
    return run;
  }
  auto& [count, retry_at] = failures_[model.name];
  retry_at = MonotonicMicros() + PatienceMicros(count++);
  run.error = done.error().message;
  spdlog::error("gold {}: {}", model.name, run.error);
  return run;
}

Status GoldLayer::Run(const catalog::LakeVersion& version, int64_t as_of_micros, const CancelToken& cancel) {
  const std::string instant = clock_->Next();
  TARN_ASSIGN(const int64_t started_micros, hudi::ParseInstant(instant));
  TARN_ASSIGN(const auto snapshot, OpenSnapshot(version, as_of_micros));
  std::vector<GoldRun> runs;
  for (const GoldModel& model : models_) {
    TARN_RETURN_IF_ERROR(cancel.Check());
    const auto failed = failures_.find(model.name);
    if (failed != failures_.end() && failed->second.second > MonotonicMicros()) continue;
    GoldRun run = TryModel(*snapshot, model, version, instant);
    if (run.error.empty() && run.kind == GoldStep::Kind::kNothing) continue;
    run.started_micros = started_micros;
    runs.push_back(run);
    const std::lock_guard lock(mutex_);
    runs_[model.name] = std::move(run);
  }
  TARN_RETURN_IF_ERROR(KeepRuns(*storage_, layout_, runs));
  const bool any =
      std::any_of(runs.begin(), runs.end(), [](const GoldRun& run) { return run.error.empty(); });
  return any ? Publish(version, instant) : PublishLeftOver(version, instant);
}

Status GoldLayer::PublishLeftOver(const catalog::LakeVersion& version, const std::string& instant) {
  TARN_ASSIGN(const auto published, versions_->FindGold(version));
  const std::string last = published ? published->instant : "";
  const bool any =
      beside_instant_ > last || std::any_of(targets_.begin(), targets_.end(), [&](const auto& entry) {
        if (entry.second == nullptr || entry.second->table == nullptr) return false;
        return entry.second->table->LastInstant() > last;
      });
  return any ? Publish(version, instant) : Status();
}

Status GoldLayer::RunServices(const hudi::ServiceOptions& options) {
  for (const auto& [name, target] : targets_) {
    if (target == nullptr || target->table == nullptr || target->table->LastInstant().empty()) continue;
    TARN_ASSIGN([[maybe_unused]] const int64_t cleaned, target->table->Clean(clock_->Next(), options));
    TARN_ASSIGN([[maybe_unused]] const int64_t archived, target->table->Archive(clock_->Next(), options));
  }
  return {};
}

}  // namespace tarn::pipeline
