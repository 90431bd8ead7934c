#include <arrow/api.h>

#include <algorithm>

#include "base/fault.h"
#include "base/log.h"
#include "pipeline/refused_key.h"
#include "pipeline/row_identity.h"
#include "pipeline/silver_columns.h"
#include "pipeline/silver_table.h"

namespace tarn::pipeline {
namespace {

/// Where the newest image of one row is.
struct ImagePlace {
  const arrow::RecordBatch* batch = nullptr;  ///< Null: there is none.
  int64_t row = 0;
  bool in_silver = false;  ///< Else in quarantine, which has the source's columns as they are.
};

/// Images of rows as the source had them.
BaseRows SourceImages(const schema::TableSchema& source, const SilverShape& shape,
                      const std::vector<ImagePlace>& places) {
  BaseRows base;
  arrow::FieldVector fields;
  arrow::ArrayVector columns;
  for (const schema::Column& column : source.columns) {
    const std::string stored_as = shape.StoredAs(column.lake_name);
    fields.push_back(arrow::field(column.lake_name, schema::ArrowType(column.type)));
    auto builder = *arrow::MakeBuilder(fields.back()->type());
    for (const ImagePlace& place : places) {
      const auto values = place.batch == nullptr
                              ? nullptr
                              : place.batch->GetColumnByName(place.in_silver ? stored_as : column.lake_name);
      if (values == nullptr) {
        (void)builder->AppendNull();
      } else {
        (void)builder->AppendArraySlice(*values->data(), place.row, 1);
      }
    }
    columns.push_back(*builder->Finish());
  }
  for (const ImagePlace& place : places) base.found.push_back(place.batch != nullptr);
  base.rows = arrow::RecordBatch::Make(arrow::schema(std::move(fields)), static_cast<int64_t>(places.size()),
                                       std::move(columns));
  return base;
}

}  // namespace

Result<BaseRows> SilverTable::LookUpBase(const arrow::RecordBatch& identities) {
  TARN_ASSIGN(const hudi::Table::Lookup silver, silver_->LookupRows(identities));
  hudi::Table::Lookup refused;
  // A row that was refused has its last source image in quarantine.
  const bool all_found = std::find(silver.found.begin(), silver.found.end(), false) == silver.found.end();
  if (!all_found) {
    TARN_ASSIGN(refused, quarantine_->LookupRows(identities));
  }
  std::vector<ImagePlace> places(silver.found.size());
  for (size_t row = 0; row < places.size(); row++) {
    const auto at = static_cast<int64_t>(row);
    if (silver.found[row]) {
      places[row] = {silver.rows.get(), at, true};
    } else if (refused.found[row]) {
      places[row] = {refused.rows.get(), at, false};
    }
  }
  if (!has_staged() && !has_spooled()) return SourceImages(registered_.source, rules_[0]->shape(), places);
  // What is staged or spooled is newer: a row is then in Silver, in quarantine, or gone.
  using Newest = hudi::StagedChanges::Newest;
  TARN_ASSIGN(const auto newer,
              has_spooled() ? spooled_silver_->Find(identities) : staged_silver_->Find(identities));
  TARN_ASSIGN(const auto newer_refused,
              has_spooled() ? spooled_quarantine_->Find(identities) : staged_quarantine_->Find(identities));
  for (size_t row = 0; row < places.size(); row++) {
    const Newest* newest = nullptr;
    for (const Newest* candidate : {&newer_refused[row], &newer[row]}) {
      if (candidate->state == Newest::State::kUntouched) continue;
      if (newest == nullptr || candidate->state == Newest::State::kLive) newest = candidate;
    }
    if (newest == nullptr) continue;
    places[row] = {};
    if (newest->state == Newest::State::kLive)
      places[row] = {newest->batch.get(), newest->row, newest == &newer[row]};
  }
  return SourceImages(registered_.source, rules_[0]->shape(), places);
}

Result<arrow::FieldVector> SilverTable::AddedToSource(const schema::TableSchema& shape,
                                                      bool has_select) const {
  // Without a SELECT Silver is the last to get a column; with one it may have none of it.
  const arrow::Schema& before = has_select ? *quarantine_schema_ : *silver_schema_;
  arrow::FieldVector added;
  for (const schema::Column& column : shape.columns) {
    const auto known = before.GetFieldByName(column.lake_name);
    const auto type = schema::ArrowType(column.type);
    const bool had = std::any_of(registered_.source.columns.begin(), registered_.source.columns.end(),
                                 [&](const auto& other) { return other.lake_name == column.lake_name; });
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
  return added;
}

Result<arrow::FieldVector> SilverTable::AddedToSilver(const SilverShape& shape) const {
  arrow::FieldVector added;
  for (const SilverColumn& column : shape.columns()) {
    const auto known = silver_schema_->GetFieldByName(column.name);
    if (known == nullptr) {
      added.push_back(arrow::field(column.name, column.type));
    } else if (!known->type()->Equals(*column.type)) {
      return MakeError(ErrorCode::kUnsupported, "the type of Silver's column '{}' changed from {} to {}",
                       column.name, known->type()->ToString(), column.type->ToString());
    }
  }
  return added;
}

Status SilverTable::AddColumns(const schema::TableSchema& shape, int64_t lsn) {
  const bool is_known = shape.columns == registered_.source.columns;
  std::unique_ptr<RowRules> rules;
  if (!is_known) {
    catalog::RegisteredTable after = registered_;
    after.source.columns = shape.columns;
    TARN_ASSIGN(rules, MakeRules(after));
  }
  const SilverShape& silver = (is_known ? rules_[0] : rules)->shape();
  TARN_ASSIGN(const arrow::FieldVector source_fields, AddedToSource(shape, silver.has_select()));
  TARN_ASSIGN(const arrow::FieldVector silver_fields, AddedToSilver(silver));
  const auto extend = [](const std::shared_ptr<arrow::Schema>& schema, const arrow::FieldVector& added) {
    arrow::FieldVector fields = schema->fields();
    // Quarantine has them already where Silver's commit with them failed.
    for (const auto& field : added) {
      if (schema->GetFieldByName(field->name()) == nullptr) fields.push_back(field);
    }
    return arrow::schema(std::move(fields));
  };
  if (!source_fields.empty()) {
    TARN_RETURN_IF_ERROR(quarantine_->EvolveSchema(extend(quarantine_schema_, source_fields)));
    quarantine_schema_ = extend(quarantine_schema_, source_fields);
    // Silver's next commit tells its readers of the columns; quarantine may have none for long, so it gets an
    // empty one.
    TARN_ASSIGN([[maybe_unused]] const auto told, quarantine_->Upsert(clock_->Next(), {}, Properties(lsn)));
  }
  if (!silver_fields.empty()) {
    TARN_RETURN_IF_ERROR(silver_->EvolveSchema(extend(silver_schema_, silver_fields)));
    silver_schema_ = extend(silver_schema_, silver_fields);
  }
  if (is_known) return {};
  rules_[0] = std::move(rules);
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
  const auto keys = [&](const arrow::RecordBatch& rows) {
    return RowIdentities(registered_.source, append_only ? *rows.Slice(0, 0) : rows);
  };
  const auto refused_keys = keys(*ruled.refused);
  const auto accepted_keys = keys(*ruled.accepted);
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
  Count(changes);
  return Write(changes, lsn);
}

Status SilverTable::BeginSpool() {
  if (has_spooled()) return {};
  columns_before_spool_ = silver_schema_->fields().size() + quarantine_schema_->fields().size();
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
  Count(changes);
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
  const size_t columns = silver_schema_->fields().size() + quarantine_schema_->fields().size();
  const bool reshaped = has_spooled() && columns != columns_before_spool_;
  spooled_quarantine_.reset();
  spooled_silver_.reset();
  return reshaped;
}

Status SilverTable::Stage(const Changes& changes) {
  Count(changes);
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

void SilverTable::Count(const Changes& changes) {
  counts_->warnings += changes.warnings;
  counts_->refused += changes.refused;
  if (changes.refused > 0) quarantine_has_rows_ = true;
}

}  // namespace tarn::pipeline
