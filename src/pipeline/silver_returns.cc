#include <arrow/api.h>

#include <algorithm>
#include <set>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "hudi/plan_rows.h"
#include "pipeline/row_identity.h"
#include "pipeline/silver_columns.h"
#include "pipeline/silver_layer.h"

namespace tarn::pipeline {
namespace {

const arrow::StringArray& TextsOf(const arrow::RecordBatch& rows, const char* name) {
  return static_cast<const arrow::StringArray&>(*rows.GetColumnByName(name));
}

/// What of a judgement quarantine does not say already: rows that another rule refuses than before.
Result<RuledRows> NewlyRuled(const RuledRows& ruled) {
  RuledRows out;
  std::vector<int64_t> changed;
  const auto& rules = TextsOf(*ruled.refused, kRule);
  const auto& reasons = TextsOf(*ruled.refused, kReason);
  for (size_t i = 0; i < ruled.rules.size(); i++) {
    const auto row = static_cast<int64_t>(i);
    if (rules.GetView(row) == ruled.rules[i] && reasons.GetView(row) == ruled.reasons[i]) continue;
    changed.push_back(row);
    out.rules.push_back(ruled.rules[i]);
    out.reasons.push_back(ruled.reasons[i]);
  }
  TARN_ASSIGN(out.refused, TakeRows(ruled.refused, changed));
  return out;
}

}  // namespace

Status SilverTable::SetModel(std::shared_ptr<const SilverModel> model) {
  std::swap(model_, model);
  auto rules = MakeRules(registered_);
  if (!rules) {
    std::swap(model_, model);
    return std::move(rules).error();
  }
  rules_.clear();
  rules_.push_back(std::move(*rules));
  return {};
}

std::shared_ptr<arrow::RecordBatch> SilverTable::ChangesOf(const arrow::RecordBatch& refused) const {
  const int64_t count = refused.num_rows();
  arrow::FieldVector fields = schema::ChangeSchema(registered_.source)->fields();
  arrow::ArrayVector columns;
  for (const auto& field : fields) {
    const bool is_op = field->name() == schema::kOp;
    auto column = refused.GetColumnByName(is_op ? kRefusedOp : field->name());
    if (column == nullptr && field->name() == schema::kOrdinal) {
      column = *arrow::MakeArrayFromScalar(arrow::Int64Scalar(0), count);
    } else if (column == nullptr) {
      column = *arrow::MakeArrayOfNull(field->type(), count);
    }
    columns.push_back(std::move(column));
  }
  // What Silver's rows have beyond changes (the name of a keyless row, columns that the source dropped), and
  // what refused them.
  for (const auto& field : refused.schema()->fields()) {
    const bool is_known = std::any_of(fields.begin(), fields.end(),
                                      [&](const auto& known) { return known->name() == field->name(); });
    const bool is_wanted = silver_schema_->GetFieldByName(field->name()) != nullptr ||
                           field->name() == kRule || field->name() == kReason;
    if (is_known || !is_wanted) continue;
    fields.push_back(field);
    columns.push_back(refused.GetColumnByName(field->name()));
  }
  return arrow::RecordBatch::Make(arrow::schema(std::move(fields)), count, std::move(columns));
}

Status SilverTable::JudgeAgain(const arrow::RecordBatch& rows, bool again, ReturnedRows& counts) {
  TARN_ASSIGN(const RuledRows ruled, rules_[0]->Apply(ChangesOf(rows)));
  counts.entered += ruled.accepted->num_rows();
  counts.stayed += ruled.refused->num_rows();
  // A row that has left quarantine does so under the position of its own image, as a rebuild would have it.
  const auto entered = RowIdentities(registered_.source, *ruled.accepted);
  Changes changes;
  TARN_ASSIGN(changes.silver.upserts, SilverRows(*ruled.accepted));
  changes.quarantine.deletes = entered;
  TARN_ASSIGN(const RuledRows newly, NewlyRuled(ruled));
  TARN_ASSIGN(changes.quarantine.upserts, QuarantineRows(newly));
  if (again) {
    changes.silver.deletes =
        AsIdentified(RowIdentities(registered_.source, *ruled.refused), silver_->options());
  }
  TARN_RETURN_IF_ERROR(spooled_quarantine_->Add(changes.quarantine));
  return spooled_silver_->Add(changes.silver);
}

Result<ReturnedRows> SilverTable::JudgeQuarantine(const std::string& rule, bool again,
                                                  const ReturnReporter& report, const CancelToken& cancel) {
  TARN_RETURN_IF_ERROR(quarantine_->Settle());
  TARN_RETURN_IF_ERROR(silver_->Settle());
  TARN_ASSIGN(const auto reader,
              hudi::TableReader::Open(storage_, quarantine_path_, quarantine_->options().sidecar_folder));
  TARN_ASSIGN(const auto plan, reader->PlanSnapshot(""));
  TARN_RETURN_IF_ERROR(BeginSpool());
  ReturnedRows counts;
  std::set<std::string> rules;
  const Status judged = hudi::ReadRows(*storage_, *plan, {}, [&](auto rows) -> Status {
    TARN_RETURN_IF_ERROR(cancel.Check());
    if (rows->num_rows() == 0) return {};
    const auto& by = TextsOf(*rows, kRule);
    for (int64_t row = 0; row < rows->num_rows(); row++) rules.insert(by.GetString(row));
    std::vector<int64_t> positions;
    for (int64_t row = 0; row < rows->num_rows(); row++) {
      if (rule.empty() || by.GetView(row) == rule) positions.push_back(row);
    }
    TARN_ASSIGN(const auto chosen, TakeRows(rows, positions));
    if (chosen->num_rows() > 0) TARN_RETURN_IF_ERROR(JudgeAgain(*chosen, again, counts));
    report(counts.entered + counts.stayed);
    return {};
  });
  if (!judged) {
    (void)DropSpooled();
    return judged.error();
  }
  if (again || rule.empty() || rules.contains(rule)) return counts;
  (void)DropSpooled();
  std::string known;
  for (const std::string& name : rules) known += (known.empty() ? "" : ", ") + name;
  return MakeError(ErrorCode::kInvalidArgument,
                   "no row of '{}' stands in quarantine by the rule '{}'; rows are there by: {}",
                   registered_.source.lake_name, rule, known.empty() ? "none" : known);
}

Status SilverTable::CommitReturned() {
  TARN_ASSIGN(const int64_t lsn, AppliedLsn());
  if (!spooled_silver_->empty()) {
    TARN_ASSIGN(const hudi::CommitResult done, spooled_silver_->Commit(clock_->Next(), Properties(lsn)));
    Count(done);
  }
  TARN_FAULT_POINT("silver.return.between_tables");
  if (!spooled_quarantine_->empty()) {
    TARN_ASSIGN([[maybe_unused]] const auto gone,
                spooled_quarantine_->Commit(clock_->Next(), Properties(lsn)));
  }
  (void)DropSpooled();
  return {};
}

Status SilverLayer::CommitReturn(const std::string& name, const std::string& rule) {
  registry_.tables.at(name).returning = rule;
  TARN_RETURN_IF_ERROR(WriteRegistry());
  TARN_RETURN_IF_ERROR(tables_.at(name)->CommitReturned());
  touched_[name] = true;
  TARN_FAULT_POINT("silver.return.before_publish");
  // What statements about the past are answered stays as it was.
  if (base_)
    TARN_RETURN_IF_ERROR(Publish(base_->position(), std::max(base_->commit_micros, clock_->NowMicros())));
  registry_.tables.at(name).returning.reset();
  return WriteRegistry();
}

Result<ReturnedRows> SilverLayer::ReturnRows(const std::string& name, const std::string& rule,
                                             const ReturnReporter& report, const CancelToken& cancel) {
  TARN_ASSIGN(const std::string table, registry_.LakeName(name));
  if (!tables_.contains(table)) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "the lake has no table '{}'; `tarn tables` lists those that it has", name);
  }
  const catalog::RegisteredTable& registered = registry_.tables.at(table);
  if (!registered.held.empty()) {
    return MakeError(ErrorCode::kUnavailable, "the table '{}' is held: {}", table, registered.held);
  }
  TARN_ASSIGN(auto models, LoadSilverModels(*storage_, options_.models));
  const auto found = models.find(table);
  const auto model =
      found == models.end() ? nullptr : std::make_shared<const SilverModel>(std::move(found->second));
  if (SelectOf(model.get()) != registered.select) {
    return MakeError(
        ErrorCode::kInvalidArgument,
        "the SELECT of silver table '{}' changed, too: start tarn again, which makes the table anew", table);
  }
  TARN_RETURN_IF_ERROR(tables_.at(table)->SetModel(model));
  {
    const std::lock_guard lock(models_mutex_);
    models_[table] = model;
  }
  TARN_ASSIGN(const ReturnedRows counts, tables_.at(table)->JudgeQuarantine(rule, false, report, cancel));
  if (tables_.at(table)->has_returned()) {
    TARN_RETURN_IF_ERROR(CommitReturn(table, rule));
  } else {
    (void)tables_.at(table)->DropSpooled();
  }
  spdlog::info("silver {}: {} rows came back from quarantine, {} stay there", table, counts.entered,
               counts.stayed);
  return counts;
}

Status SilverLayer::FinishReturns(const CancelToken& cancel) {
  for (const auto& [name, table] : tables_) {
    const auto& returning = registry_.tables.at(name).returning;
    // One that is made anew has its quarantine made anew, too.
    if (!returning || outdated_.contains(name)) continue;
    const std::string rule = *returning;
    spdlog::info("silver {}: rows were on their way back from quarantine; they are brought to the end", name);
    const auto counts = table->JudgeQuarantine(
        rule, true, [](int64_t) {}, cancel);
    if (!counts) {
      TARN_RETURN_IF_ERROR(HoldOrFail(name, counts.error()));
      continue;
    }
    if (table->has_returned()) {
      TARN_RETURN_IF_ERROR(CommitReturn(name, rule));
      continue;
    }
    (void)table->DropSpooled();
    registry_.tables.at(name).returning.reset();
    TARN_RETURN_IF_ERROR(WriteRegistry());
  }
  return {};
}

}  // namespace tarn::pipeline
