#include "pipeline/row_rules.h"

#include <arrow/api.h>

#include "base/log.h"
#include "pipeline/row_identity.h"

namespace tarn::pipeline {
Result<std::unique_ptr<RowRules>> RowRules::Make(const schema::TableSchema& table, const SilverModel* model) {
  std::unique_ptr<RowRules> rules(new RowRules);
  rules->table_name_ = table.lake_name;
  if (model == nullptr || model->rules.empty()) return rules;
  rules->rules_ = model->rules;
  TARN_ASSIGN(rules->sql_engine_, engine::BatchSql::Open());
  const auto shape = schema::ChangeSchema(table);
  const auto empty = arrow::RecordBatch::MakeEmpty(shape);
  if (!empty.ok()) return MakeError(ErrorCode::kInternal, "Arrow: {}", empty.status().message());
  for (size_t i = 0; i < rules->rules_.size(); i++) {
    const RowRule& rule = rules->rules_[i];
    const std::string column = fmt::format("CAST(({}) AS BOOLEAN) AS rule_{}", rule.check, i);
    const auto tried = rules->sql_engine_->Run("SELECT " + column + " FROM changes", {{"changes", *empty}});
    if (!tried) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "the rule '{}' of silver table '{}' cannot be evaluated: {}", rule.name,
                       table.lake_name, tried.error().message);
    }
    rules->sql_ += (i == 0 ? "SELECT " : ", ") + column;
  }
  rules->sql_ += " FROM changes";
  return rules;
}

Result<RuledRows> RowRules::Apply(const std::shared_ptr<arrow::RecordBatch>& rows) {
  std::shared_ptr<arrow::RecordBatch> verdicts;
  if (!sql_.empty() && rows->num_rows() > 0) {
    TARN_ASSIGN(verdicts, sql_engine_->Run(sql_, {{"changes", rows}}));
    if (verdicts->num_rows() != rows->num_rows()) {
      return MakeError(ErrorCode::kInternal, "rules of '{}' gave {} verdicts for {} rows", table_name_,
                       verdicts->num_rows(), rows->num_rows());
    }
  }
  const auto bad =
      std::static_pointer_cast<arrow::StringArray>(rows->GetColumnByName(std::string(schema::kBad)));
  RuledRows out;
  std::vector<int64_t> accepted;
  std::vector<int64_t> refused;
  for (int64_t row = 0; row < rows->num_rows(); row++) {
    std::string rule = bad->IsNull(row) ? "" : "type";
    std::string reason =
        bad->IsNull(row) ? "" : "a value has no place in the lake's type: " + bad->GetString(row);
    for (size_t i = 0; verdicts != nullptr && i < rules_.size(); i++) {
      const auto& column = static_cast<const arrow::BooleanArray&>(*verdicts->column(static_cast<int>(i)));
      if (column.IsNull(row) || column.Value(row)) continue;
      if (rules_[i].action == RuleAction::kWarn) {
        out.warnings++;
        continue;
      }
      if (rules_[i].action == RuleAction::kStop) {
        return MakeError(ErrorCode::kInvalidArgument,
                         "a row of '{}' breaks the rule '{}', which says stop: {}", table_name_,
                         rules_[i].name, rules_[i].explain);
      }
      if (rule.empty()) {
        rule = rules_[i].name;
        reason = rules_[i].explain.empty() ? rules_[i].check : rules_[i].explain;
      }
    }
    (rule.empty() ? accepted : refused).push_back(row);
    if (rule.empty()) continue;
    out.rules.push_back(std::move(rule));
    out.reasons.push_back(std::move(reason));
  }
  TARN_ASSIGN(out.accepted, TakeRows(rows, accepted));
  TARN_ASSIGN(out.refused, TakeRows(rows, refused));
  return out;
}

}  // namespace tarn::pipeline
