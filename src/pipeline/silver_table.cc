#include "pipeline/silver_table.h"

#include <arrow/api.h>

#include <algorithm>

#include "base/fault.h"
#include "base/log.h"
#include "pipeline/refused_key.h"
#include "pipeline/silver_columns.h"

namespace tarn::pipeline {
namespace {

Result<std::unique_ptr<hudi::Table>> OpenOrCreate(storage::Storage* storage, const std::string& path,
                                                  const hudi::TableOptions& options) {
  if (storage->Exists(path + "/.hoodie/hoodie.properties")) {
    return hudi::Table::Open(storage, path, options.sidecar_folder);
  }
  return hudi::Table::Create(storage, path, options);
}

}  // namespace

Result<std::unique_ptr<SilverTable>> SilverTable::Open(
    storage::Storage* storage, const catalog::LakeLayout& layout, const catalog::RegisteredTable& table,
    std::shared_ptr<const SilverModel> model, InstantClock* clock, std::shared_ptr<SilverCounts> counts) {
  std::unique_ptr<SilverTable> out(new SilverTable);
  out->registered_ = table;
  out->model_ = std::move(model);
  out->storage_ = storage;
  out->quarantine_path_ = layout.Quarantine(table.source.lake_name);
  out->clock_ = clock;
  out->counts_ = std::move(counts);
  const std::string& name = table.source.lake_name;
  TARN_ASSIGN(auto rules, out->MakeRules(table));
  const hudi::TableOptions silver = SilverOptions(table, rules->shape(), layout);
  out->rules_.push_back(std::move(rules));
  const hudi::TableOptions quarantine = QuarantineOptions(table, layout);
  TARN_ASSIGN(out->silver_, OpenOrCreate(storage, layout.Silver(name), silver));
  TARN_ASSIGN(out->quarantine_, OpenOrCreate(storage, layout.Quarantine(name), quarantine));
  // What the tables are, which may be more than the source has now: dropped columns stay.
  out->silver_schema_ = out->silver_->options().schema;
  out->quarantine_schema_ = out->quarantine_->options().schema;
  out->quarantine_has_rows_ = !out->quarantine_->Partitions().empty();
  out->staged_silver_ = out->silver_->Stage();
  out->staged_quarantine_ = out->quarantine_->Stage();
  clock->MustPass(out->silver_->LastInstant());
  clock->MustPass(out->quarantine_->LastInstant());
  if (cdc::IsKeyless(table.source)) TARN_RETURN_IF_ERROR(out->NoteHalfApplied());
  return out;
}

Result<std::unique_ptr<RowRules>> SilverTable::MakeRules(const catalog::RegisteredTable& table) const {
  TARN_ASSIGN(auto rules, RowRules::Make(table.source, model_.get()));
  const SilverShape& shape = rules->shape();
  if (!table.tenant_column.empty())
    TARN_RETURN_IF_ERROR(shape.CheckKept(table.tenant_column, "the tenant's"));
  if (!table.month_of.empty()) TARN_RETURN_IF_ERROR(shape.CheckKept(table.month_of, "that of the months"));
  return rules;
}

Status SilverTable::NoteHalfApplied() {
  int64_t silver_lsn = 0;
  for (const hudi::Table* table : {silver_.get(), quarantine_.get()}) {
    TARN_ASSIGN(const auto lsn, table->LastProperty(kLsnProperty));
    if (table == silver_.get()) {
      silver_lsn = lsn ? std::stoll(*lsn) : 0;
    } else {
      unfinished_ = lsn && std::stoll(*lsn) > silver_lsn;
    }
  }
  return {};
}

Result<int64_t> SilverTable::AppliedLsn() const {
  TARN_ASSIGN(const auto text, silver_->LastProperty(kLsnProperty));
  return text ? std::stoll(*text) : 0;
}

hudi::CommitProperties SilverTable::Properties(int64_t lsn) const {
  return {{kLsnProperty, std::to_string(lsn)}};
}

Status SilverTable::BeginLoad(const std::string& instant, int workers) {
  loaded_rows_ = {};
  while (rules_.size() < static_cast<size_t>(workers)) {
    TARN_ASSIGN(auto rules, MakeRules(registered_));
    rules_.push_back(std::move(rules));
  }
  TARN_ASSIGN(silver_load_, silver_->BeginBulkInsert(instant));
  TARN_ASSIGN(quarantine_load_, quarantine_->BeginBulkInsert(instant));
  return {};
}

namespace {

/// The columns of `before` with the types that they have in `now`, then those that are new.
std::shared_ptr<arrow::Schema> Reshaped(const arrow::Schema& before, const arrow::FieldVector& now) {
  arrow::FieldVector fields = before.fields();
  for (const auto& field : now) {
    const auto same = std::find_if(fields.begin(), fields.end(),
                                   [&](const auto& known) { return known->name() == field->name(); });
    if (same == fields.end()) {
      fields.push_back(field);
    } else {
      *same = (*same)->WithType(field->type());
    }
  }
  return arrow::schema(std::move(fields));
}

std::string Listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

}  // namespace

Status SilverTable::BeginReload(const std::string& instant, const schema::TableSchema& shape) {
  catalog::RegisteredTable after = registered_;
  after.source = shape;
  const std::vector<std::string> key = IdentityFields(registered_.source);
  const std::vector<std::string> new_key = IdentityFields(shape);
  const auto has = [&](const std::string& name) {
    return name.empty() || std::any_of(shape.columns.begin(), shape.columns.end(),
                                       [&](const auto& column) { return column.lake_name == name; });
  };
  if (key != new_key || !has(after.tenant_column) || !has(after.month_of)) {
    const std::string& name = shape.lake_name;
    return MakeError(
        ErrorCode::kUnsupported,
        "its key ({}) or partitions ({}, {}) are no longer what the source has (key: {}): stop tarn, move "
        "silver/{}, quarantine/{} and their sidecars away, with the history that is in them, and start tarn",
        Listed(key), after.tenant_column.empty() ? "no tenant" : after.tenant_column,
        after.month_of.empty() ? "no month" : "month of " + after.month_of, Listed(new_key), name, name);
  }
  TARN_ASSIGN(auto rules, MakeRules(after));
  rules_.clear();
  rules_.push_back(std::move(rules));
  registered_ = std::move(after);
  loaded_rows_ = {};
  silver_schema_ = Reshaped(*silver_schema_, SilverFields(registered_, rules_[0]->shape()));
  quarantine_schema_ = Reshaped(*quarantine_schema_, RefusedFields(registered_));
  TARN_ASSIGN(quarantine_load_, quarantine_->BeginReload(instant, quarantine_schema_));
  TARN_ASSIGN(silver_load_, silver_->BeginReload(instant, silver_schema_));
  return {};
}

Status SilverTable::Load(int worker, const std::shared_ptr<arrow::RecordBatch>& from) {
  std::shared_ptr<arrow::RecordBatch> rows = from;
  if (cdc::IsKeyless(registered_.source)) {
    const std::lock_guard lock(load_mutex_);
    TARN_ASSIGN(rows, loaded_rows_.Name(registered_.source, from));
  }
  TARN_ASSIGN(const RuledRows ruled, rules_[static_cast<size_t>(worker)]->Apply(rows));
  TARN_ASSIGN(const auto silver, SilverRows(*ruled.accepted));
  counts_->inserted += ruled.accepted->num_rows();
  counts_->refused += ruled.refused->num_rows();
  counts_->warnings += ruled.warnings;
  const std::lock_guard lock(load_mutex_);
  TARN_RETURN_IF_ERROR(silver_load_->Append(*silver, worker));
  if (ruled.refused->num_rows() == 0) return {};
  quarantine_has_rows_ = true;
  TARN_ASSIGN(const auto refused, QuarantineRows(ruled));
  return quarantine_load_->Append(*refused, worker);
}

Status SilverTable::FinishLoad(int64_t lsn) {
  // Quarantine first: Silver's commit is what says that the copy is complete.
  TARN_ASSIGN([[maybe_unused]] const auto quarantined, quarantine_load_->Finish(Properties(lsn)));
  TARN_FAULT_POINT("silver.load.between_tables");
  TARN_ASSIGN([[maybe_unused]] const auto loaded, silver_load_->Finish(Properties(lsn)));
  DropLoad();
  unfinished_ = false;
  counts_->commits++;
  return {};
}

void SilverTable::DropLoad() {
  quarantine_load_.reset();
  silver_load_.reset();
  loaded_rows_ = {};
}

std::shared_ptr<arrow::Array> SilverTable::SourceColumn(const arrow::RecordBatch& changes,
                                                        const arrow::Field& field) const {
  if (field.name() == kMonth && !registered_.month_of.empty()) {
    return Months(*changes.GetColumnByName(registered_.month_of));
  }
  auto column = changes.GetColumnByName(field.name());
  // A column that the source dropped: NULL from then on.
  if (column == nullptr) column = *arrow::MakeArrayOfNull(field.type(), changes.num_rows());
  return column;
}

Result<std::shared_ptr<arrow::RecordBatch>> SilverTable::SilverRows(const arrow::RecordBatch& changes) const {
  arrow::ArrayVector columns;
  for (const auto& field : silver_schema_->fields()) columns.push_back(SourceColumn(changes, *field));
  return arrow::RecordBatch::Make(silver_schema_, changes.num_rows(), std::move(columns));
}

Result<std::shared_ptr<arrow::RecordBatch>> SilverTable::QuarantineRows(const RuledRows& ruled) const {
  arrow::ArrayVector columns;
  for (const auto& field : quarantine_schema_->fields()) {
    if (field->name() == kRule) {
      columns.push_back(Texts(ruled.rules));
    } else if (field->name() == kReason) {
      columns.push_back(Texts(ruled.reasons));
    } else if (field->name() == kRefusedOp) {
      columns.push_back(ruled.refused->GetColumnByName(std::string(schema::kOp)));
    } else if (field->name() == kRefusedKey) {
      columns.push_back(RefusedKeys(registered_.source, *ruled.refused));
    } else {
      columns.push_back(SourceColumn(*ruled.refused, *field));
    }
  }
  return arrow::RecordBatch::Make(quarantine_schema_, ruled.refused->num_rows(), std::move(columns));
}

Result<bool> SilverTable::RunServices(const hudi::ServiceOptions& options, bool compact_everything) {
  TARN_ASSIGN(const int64_t lsn, AppliedLsn());
  bool any_compacted = false;
  for (hudi::Table* table : {quarantine_.get(), silver_.get()}) {
    if (table->LastInstant().empty()) continue;
    TARN_ASSIGN(const auto compacted,
                table->Compact(clock_->Next(), options, Properties(lsn), compact_everything));
    if (compacted) {
      any_compacted = true;
      spdlog::debug("{} {}: compacted {} files, {} bytes", table->options().database, table->options().name,
                    compacted->files, compacted->bytes);
    }
    TARN_ASSIGN([[maybe_unused]] const int64_t cleaned, table->Clean(clock_->Next(), options));
    TARN_ASSIGN([[maybe_unused]] const int64_t archived, table->Archive(clock_->Next(), options));
  }
  return any_compacted;
}

Status SilverTable::Close() {
  TARN_RETURN_IF_ERROR(quarantine_->Close());
  return silver_->Close();
}

}  // namespace tarn::pipeline
