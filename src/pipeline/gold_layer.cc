#include "pipeline/gold_layer.h"

#include <arrow/api.h>
#include <arrow/compute/api.h>
#include <arrow/compute/cast.h>
#include <arrow/ipc/writer.h>

#include <algorithm>

#include "base/log.h"
#include "engine/session.h"
#include "hudi/record_key.h"
#include "pipeline/silver_table.h"

namespace tarn::pipeline {
namespace {

constexpr const char* kModelColumn = "_model";

Error ArrowError(const arrow::Status& status) {
  return MakeError(ErrorCode::kInternal, "Arrow: {}", status.message());
}

/// A lake that is one version, whatever a session asks for.
class FixedLake : public engine::Lake {
 public:
  explicit FixedLake(std::shared_ptr<engine::LakeVersion> version) : version_(std::move(version)) {}
  Result<std::shared_ptr<engine::LakeVersion>> Pin(std::optional<int64_t>) override { return version_; }

 private:
  std::shared_ptr<engine::LakeVersion> version_;
};

/// The type in which Hudi's readers can hold what SQL gave.
Result<std::shared_ptr<arrow::DataType>> StorableType(const std::string& model, const arrow::Field& field) {
  switch (field.type()->id()) {
    case arrow::Type::BOOL:
    case arrow::Type::INT32:
    case arrow::Type::INT64:
    case arrow::Type::FLOAT:
    case arrow::Type::DOUBLE:
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
    case arrow::Type::DATE32:
    case arrow::Type::DECIMAL128:
      return field.type();
    case arrow::Type::INT8:
    case arrow::Type::INT16:
    case arrow::Type::UINT8:
    case arrow::Type::UINT16:
      return arrow::int32();
    case arrow::Type::UINT32:
    case arrow::Type::UINT64:
      return arrow::int64();
    case arrow::Type::LARGE_STRING:
      return arrow::utf8();
    case arrow::Type::TIMESTAMP:
      return arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
    default:
      return MakeError(ErrorCode::kInvalidArgument,
                       "gold.{}: column '{}' has the type {}, which no Hudi table can hold; CAST it", model,
                       field.name(), field.type()->ToString());
  }
}

Result<std::shared_ptr<arrow::RecordBatch>> ToStorable(const GoldModel& model, const arrow::RecordBatch& rows,
                                                       int64_t lsn) {
  arrow::FieldVector fields;
  arrow::ArrayVector columns;
  for (int i = 0; i < rows.num_columns(); i++) {
    const auto& field = rows.schema()->field(i);
    TARN_ASSIGN(const auto type, StorableType(model.name, *field));
    auto column = rows.column(i);
    if (!column->type()->Equals(*type)) {
      auto cast = arrow::compute::Cast(*column, type);
      if (!cast.ok()) return ArrowError(cast.status());
      column = *cast;
    }
    fields.push_back(arrow::field(field->name(), type));
    columns.push_back(std::move(column));
  }
  const auto add = [&](const char* name, const std::shared_ptr<arrow::Scalar>& value) {
    fields.push_back(arrow::field(name, value->type));
    columns.push_back(*arrow::MakeArrayFromScalar(*value, rows.num_rows()));
  };
  add("_lsn", arrow::MakeScalar(lsn));
  if (!model.partition.empty() && model.key.size() < 2) add(kModelColumn, arrow::MakeScalar(model.name));
  return arrow::RecordBatch::Make(arrow::schema(std::move(fields)), rows.num_rows(), std::move(columns));
}

/// Rows by partition path.
Result<std::map<std::string, std::shared_ptr<arrow::RecordBatch>>> SplitByPartition(
    const GoldModel& model, const std::shared_ptr<arrow::RecordBatch>& rows) {
  std::map<std::string, std::shared_ptr<arrow::RecordBatch>> parts;
  if (model.partition.empty()) {
    parts[""] = rows;
    return parts;
  }
  const auto column = rows->GetColumnByName(model.partition);
  if (column == nullptr) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "gold.{} has no column '{}', by which it is to be partitioned", model.name,
                     model.partition);
  }
  std::map<std::string, arrow::Int64Builder> positions;
  for (int64_t row = 0; row < rows->num_rows(); row++) {
    std::string path = model.partition + "=";
    if (column->IsNull(row)) {
      path += hudi::kNullPartition;
    } else {
      hudi::AppendPathValue((*column->GetScalar(row))->ToString(), &path);
    }
    (void)positions[path].Append(row);
  }
  for (auto& [path, builder] : positions) {
    const auto indices = *builder.Finish();
    auto taken = arrow::compute::Take(arrow::Datum(rows), arrow::Datum(indices));
    if (!taken.ok()) return ArrowError(taken.status());
    parts[path] = taken->record_batch();
  }
  return parts;
}

/// Of the content without _lsn, which moves although nothing else does.
Result<hudi::Hash128> ContentHash(const std::shared_ptr<arrow::RecordBatch>& rows) {
  const auto content = rows->RemoveColumn(rows->schema()->GetFieldIndex("_lsn"));
  if (!content.ok()) return ArrowError(content.status());
  auto bytes = arrow::ipc::SerializeRecordBatch(**content, arrow::ipc::IpcWriteOptions::Defaults());
  if (!bytes.ok()) return ArrowError(bytes.status());
  return hudi::HashText(std::string_view(**bytes));
}

}  // namespace

/// A model's table and what each of its partitions held at the last run.
struct GoldLayer::Target {
  std::unique_ptr<hudi::Table> table;
  std::map<std::string, hudi::Hash128> partitions;
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
  return layer;
}

std::map<std::string, GoldRun> GoldLayer::Runs() const {
  const std::lock_guard lock(runs_mutex_);
  return runs_;
}

std::string GoldLayer::FullSql(const GoldModel& model) const {
  if (model.gold.empty()) return model.sql;
  // What it reads of other models is computed with it, so that all are of one version.
  std::string with;
  for (const GoldModel& other : models_) {
    if (!model.gold.contains(other.name)) continue;
    with += (with.empty() ? "WITH \"" : ", \"") + other.name + "\" AS (" + FullSql(other) + ")";
  }
  return with + " SELECT * FROM (" + model.sql + ")";
}

Result<std::shared_ptr<arrow::RecordBatch>> GoldLayer::Compute(const GoldModel& model,
                                                               const catalog::LakeVersion& version) {
  TARN_ASSIGN(auto pinned, view_->PinVersion(version));
  FixedLake lake(std::move(pinned));
  engine::SessionOptions session_options;
  session_options.memory_limit_bytes = options_.query_memory_bytes;
  // On this thread alone, which gives way to the stream and to people's questions.
  session_options.threads = 1;
  session_options.now_micros = version.commit_micros;
  session_options.spill_folder = layout_.Internal("spill");
  TARN_ASSIGN(auto session,
              engine::Session::Open(&lake, govern::DecideForSystem("gold." + model.name), session_options));
  TARN_ASSIGN(auto stream, session->Query(FullSql(model)));
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  while (true) {
    TARN_ASSIGN(auto batch, stream->Next());
    if (batch == nullptr) break;
    batches.push_back(std::move(batch));
  }
  if (batches.empty()) {
    auto empty = arrow::RecordBatch::MakeEmpty(stream->schema());
    if (!empty.ok()) return ArrowError(empty.status());
    return *empty;
  }
  auto all = arrow::ConcatenateRecordBatches(batches);
  if (!all.ok()) return ArrowError(all.status());
  return *all;
}

Result<GoldLayer::Target*> GoldLayer::OpenTarget(const GoldModel& model,
                                                 const std::shared_ptr<arrow::Schema>& schema) {
  auto& target = targets_[model.name];
  if (target != nullptr) return target.get();
  const std::string path = layout_.Gold(model.name);
  hudi::TableOptions table_options;
  table_options.name = model.name;
  table_options.database = "gold";
  table_options.type = hudi::TableType::kCopyOnWrite;
  table_options.key_fields = model.key;
  if (!model.partition.empty()) {
    auto& key = table_options.key_fields;
    key.erase(std::find(key.begin(), key.end(), model.partition));
    key.insert(key.begin(), model.partition);
    if (key.size() < 2) key.push_back(kModelColumn);
    table_options.partition_fields = {model.partition};
  }
  table_options.identity_fields = table_options.key_fields;
  table_options.schema = schema;
  table_options.sidecar_folder = layout_.Sidecar("gold", model.name);
  auto made = std::make_unique<Target>();
  if (storage_->Exists(path + "/.hoodie/hoodie.properties")) {
    TARN_ASSIGN(made->table, hudi::Table::Open(storage_, path, table_options.sidecar_folder));
    clock_->MustPass(made->table->LastInstant());
    const auto& known = made->table->options();
    if (!known.schema->Equals(*schema, false) || known.key_fields != table_options.key_fields) {
      spdlog::info("gold {}: the model has another shape than the table, which is made anew", model.name);
      made->table.reset();
      TARN_RETURN_IF_ERROR(storage_->RemoveTree(path));
      TARN_RETURN_IF_ERROR(storage_->RemoveTree(table_options.sidecar_folder));
    }
  }
  if (made->table == nullptr) {
    TARN_ASSIGN(made->table, hudi::Table::Create(storage_, path, table_options));
  } else if (!made->table->LastInstant().empty()) {
    for (const std::string& partition : made->table->Partitions()) made->partitions[partition] = {};
  }
  target = std::move(made);
  return target.get();
}

Status GoldLayer::RunModel(const GoldModel& model, const catalog::LakeVersion& version,
                           const std::string& instant, GoldRun& run) {
  TARN_ASSIGN(const auto result, Compute(model, version));
  const int64_t lsn = OrderingValue(version.epoch, version.lsn);
  TARN_ASSIGN(const auto rows, ToStorable(model, *result, lsn));
  for (const std::string& name : model.key) {
    if (rows->GetColumnByName(name) == nullptr) {
      return MakeError(ErrorCode::kInvalidArgument, "gold.{} has no column '{}', which its key names",
                       model.name, name);
    }
  }
  TARN_ASSIGN(Target * target, OpenTarget(model, rows->schema()));
  TARN_ASSIGN(const auto parts, SplitByPartition(model, rows));
  std::vector<std::string> changed;
  std::vector<std::shared_ptr<arrow::RecordBatch>> changed_rows;
  std::map<std::string, hudi::Hash128> now;
  for (const auto& [path, part] : parts) {
    TARN_ASSIGN(now[path], ContentHash(part));
    const auto before = target->partitions.find(path);
    if (before != target->partitions.end() && before->second == now[path]) continue;
    changed.push_back(path);
    changed_rows.push_back(part);
  }
  for (const auto& [path, hash] : target->partitions) {
    if (!parts.contains(path)) changed.push_back(path);
  }
  if (!changed.empty() || target->table->LastInstant().empty()) {
    if (changed.empty()) changed.push_back("");
    TARN_ASSIGN([[maybe_unused]] const auto done,
                target->table->ReplacePartitions(instant, changed, changed_rows,
                                                 {{kLsnProperty, std::to_string(lsn)}}));
  }
  target->partitions = std::move(now);
  run.rows = rows->num_rows();
  run.partitions_changed = static_cast<int64_t>(changed.size());
  return {};
}

Status GoldLayer::Run(const catalog::LakeVersion& version, const std::vector<std::string>& touched,
                      const CancelToken& cancel) {
  const std::string instant = clock_->Next();
  bool any = false;
  for (const GoldModel& model : models_) {
    const bool wanted =
        first_run_ || std::any_of(touched.begin(), touched.end(),
                                  [&](const std::string& table) { return model.silver.contains(table); });
    if (!wanted) continue;
    TARN_RETURN_IF_ERROR(cancel.Check());
    GoldRun run;
    const int64_t started = MonotonicMicros();
    const Status done = RunModel(model, version, instant, run);
    run.seconds = static_cast<double>(MonotonicMicros() - started) / 1e6;
    if (!done) {
      run.error = done.error().message;
      spdlog::error("gold {}: {}", model.name, run.error);
    }
    any |= done.has_value();
    const std::lock_guard lock(runs_mutex_);
    runs_[model.name] = std::move(run);
  }
  first_run_ = false;
  if (!any) return {};
  catalog::GoldVersion gold{instant, version.instant, version.commit_micros, {}};
  for (const GoldModel& model : models_) {
    const auto target = targets_.find(model.name);
    const bool exists = target != targets_.end() && target->second != nullptr;
    if (exists && !target->second->table->LastInstant().empty()) gold.models.push_back(model.name);
  }
  return versions_->PublishGold(*storage_, gold);
}

Status GoldLayer::RunServices(const hudi::ServiceOptions& options) {
  for (const auto& [name, target] : targets_) {
    if (target == nullptr || target->table->LastInstant().empty()) continue;
    TARN_ASSIGN([[maybe_unused]] const int64_t cleaned, target->table->Clean(clock_->Next(), options));
    TARN_ASSIGN([[maybe_unused]] const int64_t archived, target->table->Archive(clock_->Next(), options));
  }
  return {};
}

}  // namespace tarn::pipeline
