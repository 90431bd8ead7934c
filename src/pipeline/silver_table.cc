#include "pipeline/silver_table.h"

#include <arrow/api.h>

#include <algorithm>

#include "base/fault.h"
#include "base/log.h"
#include "pipeline/refused_key.h"

namespace tarn::pipeline {
namespace {

constexpr const char* kMonth = "_month";
constexpr const char* kRule = "_rule";
constexpr const char* kReason = "_reason";
constexpr const char* kRefusedOp = "_refused_op";

bool Has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

arrow::FieldVector SilverFields(const catalog::RegisteredTable& table) {
  arrow::FieldVector fields;
  for (const schema::Column& column : table.source.columns) {
    fields.push_back(arrow::field(column.lake_name, schema::ArrowType(column.type)));
  }
  fields.push_back(arrow::field(std::string(schema::kLsn), arrow::int64()));
  if (table.source.append_only) fields.push_back(arrow::field(std::string(schema::kOrdinal), arrow::int64()));
  if (cdc::IsKeyless(table.source)) fields.push_back(arrow::field(kRowName, arrow::utf8()));
  if (!table.month_of.empty()) fields.push_back(arrow::field(kMonth, arrow::utf8()));
  return fields;
}

hudi::TableOptions SilverOptions(const catalog::RegisteredTable& table, const catalog::LakeLayout& layout) {
  hudi::TableOptions options;
  options.name = table.source.lake_name;
  options.database = "silver";
  options.type = hudi::TableType::kMergeOnRead;
  options.identity_fields = IdentityFields(table.source);
  options.key_fields = options.identity_fields;
  if (!table.tenant_column.empty()) {
    options.partition_fields = {table.tenant_column};
    if (!Has(options.key_fields, table.tenant_column)) {
      options.key_fields.insert(options.key_fields.begin(), table.tenant_column);
    }
  }
  if (!table.month_of.empty()) options.partition_fields.push_back(kMonth);
  // A partitioned table's record key has two fields or more: readers disagree about a single one.
  if (!options.partition_fields.empty() && options.key_fields.size() < 2) {
    options.key_fields.insert(options.key_fields.begin(), options.partition_fields.back());
  }
  options.schema = arrow::schema(SilverFields(table));
  options.sidecar_folder = layout.Sidecar("silver", options.name);
  return options;
}

hudi::TableOptions QuarantineOptions(const catalog::RegisteredTable& table,
                                     const catalog::LakeLayout& layout) {
  hudi::TableOptions options;
  options.name = table.source.lake_name;
  options.database = "quarantine";
  options.type = hudi::TableType::kMergeOnRead;
  options.identity_fields = options.key_fields = IdentityFields(table.source);
  arrow::FieldVector fields = SilverFields(table);
  for (const char* name : {kRule, kReason, "_bad", kRefusedOp})
    fields.push_back(arrow::field(name, arrow::utf8()));
  if (KeyMayBeRefused(table.source)) {
    options.identity_fields.emplace_back(kRefusedKey);
    options.key_fields.emplace_back(kRefusedKey);
    fields.push_back(arrow::field(kRefusedKey, arrow::utf8()));
  }
  options.schema = arrow::schema(std::move(fields));
  options.sidecar_folder = layout.Sidecar("quarantine", options.name);
  return options;
}

Result<std::unique_ptr<hudi::Table>> OpenOrCreate(storage::Storage* storage, const std::string& path,
                                                  const hudi::TableOptions& options) {
  if (storage->Exists(path + "/.hoodie/hoodie.properties")) {
    return hudi::Table::Open(storage, path, options.sidecar_folder);
  }
  return hudi::Table::Create(storage, path, options);
}

/// "2026-11" of each time; null where there is none.
std::shared_ptr<arrow::Array> Months(const arrow::Array& times) {
  arrow::StringBuilder builder;
  for (int64_t row = 0; row < times.length(); row++) {
    if (times.IsNull(row)) {
      (void)builder.AppendNull();
      continue;
    }
    const int64_t micros = times.type_id() == arrow::Type::DATE32
                               ? static_cast<const arrow::Date32Array&>(times).Value(row) * 86'400'000'000LL
                               : static_cast<const arrow::TimestampArray&>(times).Value(row);
    (void)builder.Append(FormatTimestamp(micros).substr(0, 7));
  }
  return *builder.Finish();
}

/// Deletes by the identity of one of the two tables: Silver's has no kRefusedKey.
std::shared_ptr<arrow::RecordBatch> AsIdentified(const std::shared_ptr<arrow::RecordBatch>& deletes,
                                                 const hudi::TableOptions& table) {
  const int refused_key = deletes == nullptr ? -1 : deletes->schema()->GetFieldIndex(kRefusedKey);
  if (refused_key < 0 || Has(table.identity_fields, kRefusedKey)) return deletes;
  return *deletes->RemoveColumn(refused_key);
}

std::shared_ptr<arrow::Array> Texts(const std::vector<std::string>& values) {
  arrow::StringBuilder builder;
  (void)builder.AppendValues(values);
  return *builder.Finish();
}

}  // namespace

Result<std::unique_ptr<SilverTable>> SilverTable::Open(storage::Storage* storage,
                                                       const catalog::LakeLayout& layout,
                                                       const catalog::RegisteredTable& table,
                                                       const SilverModel* model, InstantClock* clock,
                                                       std::shared_ptr<SilverCounts> counts) {
  std::unique_ptr<SilverTable> out(new SilverTable);
  out->registered_ = table;
  out->model_ = model;
  out->clock_ = clock;
  out->counts_ = std::move(counts);
  const std::string& name = table.source.lake_name;
  const hudi::TableOptions silver = SilverOptions(table, layout);
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
  TARN_ASSIGN(auto rules, RowRules::Make(table.source, model));
  out->rules_.push_back(std::move(rules));
  if (cdc::IsKeyless(table.source)) TARN_RETURN_IF_ERROR(out->NoteHalfApplied());
  return out;
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
    TARN_ASSIGN(auto rules, RowRules::Make(registered_.source, model_));
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
  rules_.clear();
  TARN_ASSIGN(auto rules, RowRules::Make(shape, model_));
  rules_.push_back(std::move(rules));
  registered_ = std::move(after);
  loaded_rows_ = {};
  const arrow::FieldVector fields = SilverFields(registered_);
  silver_schema_ = Reshaped(*silver_schema_, fields);
  quarantine_schema_ = Reshaped(*quarantine_schema_, fields);
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
  quarantine_load_.reset();
  silver_load_.reset();
  loaded_rows_ = {};
  unfinished_ = false;
  counts_->commits++;
  return {};
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

Result<BaseRows> SilverTable::LookUpCommitted(const arrow::RecordBatch& identities) {
  TARN_ASSIGN(hudi::Table::Lookup silver, silver_->LookupRows(identities));
  if (std::find(silver.found.begin(), silver.found.end(), false) == silver.found.end()) {
    return BaseRows{std::move(silver.found), std::move(silver.rows)};
  }
  // A row that was refused has its last source image in quarantine.
  TARN_ASSIGN(const hudi::Table::Lookup refused, quarantine_->LookupRows(identities));
  arrow::ArrayVector columns;
  for (const auto& field : silver_schema_->fields()) {
    auto builder = *arrow::MakeBuilder(field->type());
    for (size_t row = 0; row < silver.found.size(); row++) {
      const auto& from = silver.found[row] ? silver.rows : refused.rows;
      const auto column = from->GetColumnByName(field->name());
      const auto at = static_cast<int64_t>(row);
      if (column == nullptr) {
        (void)builder->AppendNull();
      } else {
        (void)builder->AppendArraySlice(*column->data(), at, 1);
      }
    }
    columns.push_back(*builder->Finish());
  }
  for (size_t row = 0; row < silver.found.size(); row++)
    silver.found[row] = silver.found[row] || refused.found[row];
  const auto count = static_cast<int64_t>(silver.found.size());
  return BaseRows{std::move(silver.found),
                  arrow::RecordBatch::Make(silver_schema_, count, std::move(columns))};
}

Result<BaseRows> SilverTable::LookUpBase(const arrow::RecordBatch& identities) {
  TARN_ASSIGN(BaseRows base, LookUpCommitted(identities));
  if (!has_staged() && !has_spooled()) return base;
  // What is staged or spooled is newer: a row is then in Silver, in quarantine, or gone.
  using Newest = hudi::StagedChanges::Newest;
  TARN_ASSIGN(const auto silver,
              has_spooled() ? spooled_silver_->Find(identities) : staged_silver_->Find(identities));
  TARN_ASSIGN(const auto quarantine,
              has_spooled() ? spooled_quarantine_->Find(identities) : staged_quarantine_->Find(identities));
  std::vector<const Newest*> newest(silver.size(), nullptr);
  for (size_t row = 0; row < newest.size(); row++) {
    for (const Newest* candidate : {&quarantine[row], &silver[row]}) {
      if (candidate->state == Newest::State::kUntouched) continue;
      if (newest[row] == nullptr || candidate->state == Newest::State::kLive) newest[row] = candidate;
    }
    if (newest[row] != nullptr) base.found[row] = newest[row]->state == Newest::State::kLive;
  }
  arrow::ArrayVector columns;
  for (const auto& field : silver_schema_->fields()) {
    auto builder = *arrow::MakeBuilder(field->type());
    for (size_t row = 0; row < newest.size(); row++) {
      const bool staged = newest[row] != nullptr && base.found[row];
      const auto column = (staged ? newest[row]->batch : base.rows)->GetColumnByName(field->name());
      const int64_t at = staged ? newest[row]->row : static_cast<int64_t>(row);
      if (column == nullptr || !base.found[row]) {
        (void)builder->AppendNull();
      } else {
        (void)builder->AppendArraySlice(*column->data(), at, 1);
      }
    }
    columns.push_back(*builder->Finish());
  }
  base.rows =
      arrow::RecordBatch::Make(silver_schema_, static_cast<int64_t>(newest.size()), std::move(columns));
  return base;
}

Status SilverTable::AddColumns(const schema::TableSchema& shape, int64_t lsn) {
  arrow::FieldVector added;
  for (const schema::Column& column : shape.columns) {
    const auto known = silver_schema_->GetFieldByName(column.lake_name);
    const auto type = schema::ArrowType(column.type);
    const bool had = std::any_of(registered_.source.columns.begin(), registered_.source.columns.end(),
                                 [&](const auto& before) { return before.lake_name == column.lake_name; });
    if (known != nullptr && !had) {
      return MakeError(ErrorCode::kUnsupported,
                       "column '{}' was dropped and made again: its earlier rows hold what it had before",
                       column.name);
    }
    if (known == nullptr) {
      added.push_back(arrow::field(column.lake_name, type));
    } else if (!known->type()->Equals(*type)) {
      return MakeError(ErrorCode::kUnsupported, "the type of column '{}' changed from {} to {}", column.name,
                       known->type()->ToString(), type->ToString());
    }
  }
  if (added.empty() && shape.columns == registered_.source.columns) return {};
  if (!added.empty()) {
    const auto extend = [&added](const std::shared_ptr<arrow::Schema>& schema) {
      arrow::FieldVector fields = schema->fields();
      // Quarantine has them already where Silver's commit with them failed.
      for (const auto& field : added) {
        if (schema->GetFieldByName(field->name()) == nullptr) fields.push_back(field);
      }
      return arrow::schema(std::move(fields));
    };
    TARN_RETURN_IF_ERROR(quarantine_->EvolveSchema(extend(quarantine_schema_)));
    quarantine_schema_ = extend(quarantine_schema_);
    // Silver's next commit tells its readers of the columns; quarantine may have none for long, so it gets an
    // empty one.
    TARN_ASSIGN([[maybe_unused]] const auto told, quarantine_->Upsert(clock_->Next(), {}, Properties(lsn)));
    TARN_RETURN_IF_ERROR(silver_->EvolveSchema(extend(silver_schema_)));
    silver_schema_ = extend(silver_schema_);
  }
  TARN_ASSIGN(rules_[0], RowRules::Make(shape, model_));
  registered_.source.columns = shape.columns;
  return {};
}

Result<SilverTable::Changes> SilverTable::Prepare(
    const schema::TableSchema& shape, const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches) {
  for (hudi::Table* table : {quarantine_.get(), silver_.get()}) TARN_RETURN_IF_ERROR(table->Settle());
  TARN_ASSIGN(ReducedChanges reduced, ReduceChanges(shape, batches, [this](const arrow::RecordBatch& keys) {
                return LookUpBase(keys);
              }));
  if (reduced.unresolved > 0 && !shape.filter_id.empty()) {
    return MakeError(
        ErrorCode::kUnsupported,
        "an update brought a row into the configuration's filter and left a large value untouched, "
        "which the lake does not have; REPLICA IDENTITY FULL would tell it");
  }
  if (reduced.unresolved > 0) {
    spdlog::error("silver {}: {} untouched values have no earlier value; their rows stand in quarantine",
                  registered_.source.lake_name, reduced.unresolved);
  }
  TARN_ASSIGN(const RuledRows ruled, rules_[0]->Apply(reduced.rows));
  const auto both = [](std::shared_ptr<arrow::RecordBatch> a,
                       const arrow::RecordBatch& b) -> Result<std::shared_ptr<arrow::RecordBatch>> {
    if (b.num_rows() == 0) return a->num_rows() == 0 ? nullptr : a;
    auto all = arrow::ConcatenateRecordBatches({a, b.Slice(0)->ReplaceSchemaMetadata(nullptr)});
    if (!all.ok()) return MakeError(ErrorCode::kInternal, "Arrow: {}", all.status().message());
    return *all;
  };
  // Rows of an append-only table never come a second time: nothing has to be taken out anywhere.
  const bool append_only = registered_.source.append_only;
  TARN_ASSIGN(const auto refused_keys, Keys(*(append_only ? ruled.refused->Slice(0, 0) : ruled.refused)));
  TARN_ASSIGN(const auto accepted_keys, Keys(*(append_only ? ruled.accepted->Slice(0, 0) : ruled.accepted)));
  Changes changes;
  changes.refused = ruled.refused->num_rows();
  changes.warnings = ruled.warnings;
  // A refused image takes the row out of Silver; a good one, or a delete, takes it out of quarantine.
  changes.in_quarantine = ruled.refused->num_rows() > 0 || (!append_only && quarantine_has_rows_);
  if (changes.in_quarantine) {
    TARN_ASSIGN(changes.quarantine.upserts, QuarantineRows(ruled));
    TARN_ASSIGN(const auto gone, both(accepted_keys, *reduced.deletes));
    changes.quarantine.deletes = AsIdentified(gone, quarantine_->options());
  }
  TARN_ASSIGN(changes.silver.upserts, SilverRows(*ruled.accepted));
  TARN_ASSIGN(const auto gone, both(refused_keys, *reduced.deletes));
  changes.silver.deletes = AsIdentified(gone, silver_->options());
  return changes;
}

Status SilverTable::Apply(const std::shared_ptr<const schema::TableSchema>& shape,
                          const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches, int64_t lsn) {
  TARN_RETURN_IF_ERROR(AddColumns(*shape, lsn));
  TARN_ASSIGN(const Changes changes, Prepare(*shape, batches));
  counts_->warnings += changes.warnings;
  counts_->refused += changes.refused;
  return Write(changes, lsn);
}

Status SilverTable::BeginSpool() {
  if (has_spooled()) return {};
  columns_before_spool_ = silver_schema_->fields().size();
  spooled_from_ = {};
  TARN_ASSIGN(spooled_quarantine_, quarantine_->Spool());
  TARN_ASSIGN(spooled_silver_, silver_->Spool());
  return {};
}

Status SilverTable::Spool(const std::shared_ptr<const schema::TableSchema>& shape,
                          const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches, int64_t lsn) {
  TARN_RETURN_IF_ERROR(BeginSpool());
  TARN_RETURN_IF_ERROR(AddColumns(*shape, lsn));
  TARN_ASSIGN(const Changes changes, Prepare(*shape, batches));
  counts_->warnings += changes.warnings;
  counts_->refused += changes.refused;
  if (changes.refused > 0) quarantine_has_rows_ = true;
  if (changes.in_quarantine) TARN_RETURN_IF_ERROR(spooled_quarantine_->Add(changes.quarantine));
  return spooled_silver_->Add(changes.silver);
}

Status SilverTable::SpoolTruncation(const schema::ChangePosition& at) {
  TARN_RETURN_IF_ERROR(BeginSpool());
  spooled_from_ = at;
  TARN_RETURN_IF_ERROR(spooled_quarantine_->Truncate());
  return spooled_silver_->Truncate();
}

Status SilverTable::CommitSpooled(int64_t lsn) {
  if (!spooled_quarantine_->empty()) {
    unfinished_ = true;
    TARN_ASSIGN([[maybe_unused]] const auto quarantined,
                spooled_quarantine_->Commit(clock_->Next(), Properties(lsn)));
  }
  TARN_FAULT_POINT("silver.spooled.between_tables");
  TARN_ASSIGN(const hudi::CommitResult done, spooled_silver_->Commit(clock_->Next(), Properties(lsn)));
  unfinished_ = false;
  Count(done);
  spooled_quarantine_.reset();
  spooled_silver_.reset();
  return {};
}

bool SilverTable::DropSpooled() {
  const bool reshaped = has_spooled() && silver_schema_->fields().size() != columns_before_spool_;
  spooled_quarantine_.reset();
  spooled_silver_.reset();
  return reshaped;
}

Status SilverTable::Stage(const Changes& changes) {
  counts_->warnings += changes.warnings;
  counts_->refused += changes.refused;
  if (changes.refused > 0) quarantine_has_rows_ = true;
  if (changes.in_quarantine) TARN_RETURN_IF_ERROR(staged_quarantine_->Add(changes.quarantine));
  return staged_silver_->Add(changes.silver);
}

Status SilverTable::CommitStaged(int64_t lsn) {
  Changes changes;
  TARN_ASSIGN(changes.silver, staged_silver_->Merged());
  TARN_ASSIGN(changes.quarantine, staged_quarantine_->Merged());
  changes.in_quarantine = !staged_quarantine_->empty();
  return Write(changes, lsn);
}

void SilverTable::DropStaged() {
  staged_silver_->Clear();
  staged_quarantine_->Clear();
}

Result<std::shared_ptr<arrow::RecordBatch>> SilverTable::Keys(const arrow::RecordBatch& rows) const {
  arrow::FieldVector fields;
  arrow::ArrayVector columns;
  const auto add = [&](const std::string& name) {
    fields.push_back(rows.schema()->GetFieldByName(name));
    columns.push_back(rows.GetColumnByName(name));
  };
  const std::vector<std::string> names = IdentityFields(registered_.source);
  for (const std::string& name : names) add(name);
  if (KeyMayBeRefused(registered_.source)) {
    fields.push_back(arrow::field(kRefusedKey, arrow::utf8()));
    columns.push_back(RefusedKeys(registered_.source, rows));
  }
  if (!Has(names, std::string(schema::kLsn))) add(std::string(schema::kLsn));
  return arrow::RecordBatch::Make(arrow::schema(std::move(fields)), rows.num_rows(), std::move(columns));
}

Status SilverTable::Write(const Changes& changes, int64_t lsn) {
  if (changes.in_quarantine) {
    quarantine_has_rows_ = true;
    unfinished_ = true;
    TARN_ASSIGN([[maybe_unused]] const auto done,
                quarantine_->Upsert(clock_->Next(), changes.quarantine, Properties(lsn)));
    TARN_FAULT_POINT("silver.apply.between_tables");
  }
  TARN_ASSIGN(const hudi::CommitResult done,
              silver_->Upsert(clock_->Next(), changes.silver, Properties(lsn)));
  unfinished_ = false;
  Count(done);
  return {};
}

void SilverTable::Count(const hudi::CommitResult& done) {
  counts_->inserted += done.inserted;
  counts_->updated += done.updated;
  counts_->deleted += done.deleted;
  counts_->commits++;
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
