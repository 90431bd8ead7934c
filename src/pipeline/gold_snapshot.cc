#include "pipeline/gold_snapshot.h"

#include <arrow/api.h>

#include <algorithm>

#include "cdc/pg_connection.h"
#include "engine/read_all.h"
#include "hudi/record_key.h"

namespace tarn::pipeline {
namespace {

/// Rises when the same SQL may give something else, or bookmarks mean something else.
constexpr int kFormat = 1;

std::shared_ptr<const hudi::ScanPlan> Narrowed(const std::shared_ptr<const hudi::ScanPlan>& plan,
                                               const std::set<std::string>& partitions) {
  const auto is_out = [&](const auto& part) {
    const std::string& value = part.partition.front();
    return !partitions.contains(value == hudi::kNullPartition ? "" : value);
  };
  auto narrowed = std::make_shared<hudi::ScanPlan>(*plan);
  std::erase_if(narrowed->files, is_out);
  std::erase_if(narrowed->hot, is_out);
  return narrowed;
}

/// A version for one step: what is computed already stands in Gold, and of a step over partitions only those
/// are seen, of Silver's partitioned tables and of what is computed.
class StepVersion : public engine::LakeVersion {
 public:
  StepVersion(std::shared_ptr<engine::LakeVersion> whole, const ComputedModels& computed,
              const GoldStep& step)
      : whole_(std::move(whole)), computed_(computed), step_(step) {}

  std::vector<engine::TableName> Tables() const override {
    auto tables = whole_->Tables();
    for (const std::string& name : computed_.names()) {
      const engine::TableName table{"gold", name};
      if (std::find(tables.begin(), tables.end(), table) == tables.end()) tables.push_back(table);
    }
    return tables;
  }
  Result<std::shared_ptr<const hudi::ScanPlan>> Plan(const engine::TableName& table,
                                                     bool allow_held) override {
    const bool is_computed = table.schema == "gold" && computed_.Has(table.name, step_);
    auto plan = is_computed ? computed_.PlanOf(table.name) : nullptr;
    const bool is_narrowed = plan != nullptr || table.schema == "silver";
    if (plan == nullptr) {
      TARN_ASSIGN(plan, whole_->Plan(table, allow_held));
    }
    if (step_.kind == GoldStep::Kind::kAll || !is_narrowed || plan->partition_fields.empty()) return plan;
    return Narrowed(plan, step_.partitions);
  }
  std::string Describe() const override { return whole_->Describe(); }

 private:
  std::shared_ptr<engine::LakeVersion> whole_;
  const ComputedModels computed_;
  const GoldStep step_;
};

/// The same rows in an order that the content alone decides.
std::string Ordered(const GoldModel& model, const std::string& sql) {
  std::string by = model.partition.empty() ? "" : cdc::QuoteName(model.partition);
  for (const std::string& column : model.key) {
    if (column != model.partition) by += (by.empty() ? "" : ", ") + cdc::QuoteName(column);
  }
  // On the model's first line, so that errors name its lines.
  return "SELECT * FROM (" + sql + "\n) ORDER BY " + by;
}

}  // namespace

/// A lake that is one version, or what a step sees of it, whatever a session asks for.
class GoldSnapshot::NarrowedLake : public engine::Lake {
 public:
  explicit NarrowedLake(std::shared_ptr<engine::LakeVersion> whole) : whole_(whole), now_(std::move(whole)) {}

  Result<std::shared_ptr<engine::LakeVersion>> Pin(std::optional<int64_t> as_of_micros) override {
    if (!as_of_micros) return now_;
    return Error{ErrorCode::kSql, "a model reads one version of the lake: no AS OF, please"};
  }
  engine::LakeVersion& whole() { return *whole_; }
  void ShowAll() { now_ = whole_; }
  void Show(const ComputedModels& computed, const GoldStep& step) {
    now_ = std::make_shared<StepVersion>(whole_, computed, step);
  }

 private:
  std::shared_ptr<engine::LakeVersion> whole_, now_;
};

GoldSnapshot::GoldSnapshot(LakeView* view, const std::vector<GoldModel>* models, Analyses* analyses,
                           const catalog::LakeVersion& version, int64_t as_of_micros)
    : view_(view),
      models_(models),
      analyses_(analyses),
      instant_(version.instant),
      lsn_(OrderingValue(version.epoch, version.lsn)),
      as_of_micros_(as_of_micros) {}
GoldSnapshot::~GoldSnapshot() = default;

Result<std::unique_ptr<GoldSnapshot>> GoldSnapshot::Open(LakeView* view, const std::vector<GoldModel>* models,
                                                         Analyses* analyses,
                                                         const catalog::LakeVersion& version,
                                                         int64_t as_of_micros,
                                                         engine::SessionOptions options) {
  std::unique_ptr<GoldSnapshot> snapshot(new GoldSnapshot(view, models, analyses, version, as_of_micros));
  TARN_ASSIGN(auto whole, view->PinVersion(version));
  snapshot->lake_ = std::make_unique<NarrowedLake>(std::move(whole));
  options.now_micros = as_of_micros;
  TARN_ASSIGN(snapshot->session_, engine::Session::Open(snapshot->lake_.get(),
                                                        govern::DecideForSystem("gold"), std::move(options)));
  return snapshot;
}

std::string GoldSnapshot::FullSql(const GoldModel& model, const GoldStep* step) const {
  if (model.gold.empty()) return model.sql;
  std::string with;
  for (const GoldModel& other : *models_) {
    if (!model.gold.contains(other.name)) continue;
    const bool is_computed = step != nullptr && computed_.Has(other.name, *step);
    const std::string sql =
        is_computed ? "SELECT * FROM gold." + cdc::QuoteName(other.name) : FullSql(other, step) + "\n";
    with += (with.empty() ? "WITH " : ", ") + cdc::QuoteName(other.name) + " AS (" + sql + ")";
  }
  return with + " SELECT * FROM (" + model.sql + "\n)";
}

bool GoldSnapshot::IsRead(const GoldModel& model) const {
  return std::any_of(models_->begin(), models_->end(),
                     [&](const GoldModel& other) { return other.gold.contains(model.name); });
}

Result<const GoldSnapshot::Table*> GoldSnapshot::Describe(const std::string& table) {
  const auto known = tables_.find(table);
  if (known != tables_.end()) return &known->second;
  Table found;
  TARN_ASSIGN(const auto plan, lake_->whole().Plan({"silver", table}, false));
  std::string shape = plan->schema->ToString(false);
  for (const std::string& field : plan->partition_fields) shape += "\npartition " + field;
  found.state.shape = HashName(shape);
  TARN_ASSIGN(found.reader, view_->SilverReader(table));
  TARN_ASSIGN(const auto instants, found.reader->Instants());
  const auto behind = std::upper_bound(instants.begin(), instants.end(), instant_);
  if (behind != instants.begin()) found.state.commit = *std::prev(behind);
  return &(tables_[table] = std::move(found));
}

Result<GoldBookmark> GoldSnapshot::BookmarkOf(const GoldModel& model) {
  GoldBookmark bookmark;
  bookmark.source_instant = instant_;
  bookmark.as_of_micros = as_of_micros_;
  std::string text = fmt::format("{} {}\n{}\n{}\n", kFormat, engine::Session::EngineVersion(), FullSql(model),
                                 model.partition);
  for (const std::string& column : model.key) text += column + "\n";
  bookmark.sql = HashName(text);
  for (const std::string& name : model.silver) {
    TARN_ASSIGN(const Table* table, Describe(name));
    bookmark.tables[name] = table->state;
  }
  return bookmark;
}

Result<const engine::ModelAnalysis*> GoldSnapshot::Analyze(const GoldModel& model) {
  TARN_ASSIGN(const GoldBookmark bookmark, BookmarkOf(model));
  std::string key = bookmark.sql;
  for (const auto& [name, table] : bookmark.tables) key += " " + name + " " + table.shape;
  const auto known = analyses_->find(key);
  if (known != analyses_->end()) return &known->second;
  lake_->ShowAll();
  TARN_ASSIGN(auto analysis, session_->Analyze(FullSql(model), model.partition));
  return &(analyses_->emplace(key, std::move(analysis)).first->second);
}

Result<GoldStep> GoldSnapshot::Decide(const GoldModel& model, const std::optional<GoldBookmark>& before) {
  TARN_ASSIGN(const GoldBookmark now, BookmarkOf(model));
  TARN_ASSIGN(const engine::ModelAnalysis* analysis, Analyze(model));
  return DecideStep(*analysis, before, now, [&](const std::string& name) -> Result<TableMoves> {
    TARN_ASSIGN(const Table* table, Describe(name));
    const std::string& since = before->tables.at(name).commit;
    const auto known = moves_.find({name, since});
    if (known != moves_.end()) return known->second;
    TARN_ASSIGN(TableMoves moved, MovesBetween(*table->reader, since, table->state.commit));
    return moves_[{name, since}] = std::move(moved);
  });
}

Result<std::shared_ptr<arrow::RecordBatch>> GoldSnapshot::Compute(const GoldModel& model,
                                                                  const GoldStep& step) {
  TARN_ASSIGN(const engine::ModelAnalysis* analysis, Analyze(model));
  for (const std::string& name : model.key) {
    const bool is_there = std::any_of(analysis->columns.begin(), analysis->columns.end(),
                                      [&](const auto& column) { return column.name == name; });
    if (is_there) continue;
    return MakeError(ErrorCode::kInvalidArgument, "gold.{} has no column '{}', which its key names",
                     model.name, name);
  }
  lake_->Show(computed_, step);
  TARN_ASSIGN(auto stream, session_->Query(Ordered(model, FullSql(model, &step))));
  TARN_ASSIGN(auto all, engine::ReadAll(*stream));
  statistics_ = stream->statistics();
  if (IsRead(model))
    TARN_RETURN_IF_ERROR(computed_.Keep(model, analysis->is_partition_local, step, instant_, all));
  return all;
}

}  // namespace tarn::pipeline
