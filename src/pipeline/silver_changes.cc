#include <arrow/api.h>

#include <algorithm>

#include "base/fault.h"
#include "base/log.h"
#include "pipeline/refused_key.h"
#include "pipeline/row_identity.h"
#include "pipeline/silver_columns.h"
#include "pipeline/silver_table.h"

namespace tarn::pipeline {
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
  TARN_ASSIGN(rules_[0], RowRules::Make(shape, model_.get()));
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
  const bool reshaped = has_spooled() && silver_schema_->fields().size() != columns_before_spool_;
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
