#include "pipeline/row_rules.h"

#include <arrow/api.h>

#include "base/log.h"
#include "pipeline/row_identity.h"

namespace tarn::pipeline {

Result<std::unique_ptr<RowRules>> RowRules::Make(const schema::TableSchema& table, const SilverModel* model) {
  std::unique_ptr<RowRules> rules(new RowRules);
  rules->table_name_ = table.lake_name;
  for (const schema::Column& column : table.columns) rules->source_columns_.insert(column.lake_name);
  TARN_ASSIGN(rules->shape_, SilverShape::Make(table, model));
  if (rules->shape_.has_select()) TARN_RETURN_IF_ERROR(rules->MakeSelect(table));
  if (model == nullptr || model->rules.empty()) return rules;
  rules->rules_ = model->rules;
  TARN_RETURN_IF_ERROR(rules->MakeChecks(table));
  return rules;
}

Status RowRules::MakeSelect(const schema::TableSchema& table) {
  std::vector<std::string> expressions;
  for (const SilverColumn& column : shape_.columns()) {
    if (column.expression.empty()) continue;
    computed_.push_back(column.name);
    expressions.push_back(column.expression);
  }
  if (expressions.empty()) return {};
  arrow::FieldVector fields;
  for (const schema::Column& column : table.columns)
    fields.push_back(arrow::field(column.lake_name, schema::ArrowType(column.type)));
  TARN_ASSIGN(select_, RowExpressions::Make(table_name_, std::move(expressions), arrow::schema(fields)));
  return {};
}

Status RowRules::MakeChecks(const schema::TableSchema& table) {
  std::vector<std::string> expressions;
  for (const RowRule& rule : rules_) expressions.push_back(fmt::format("CAST(({}) AS BOOLEAN)", rule.check));
  const auto empty = arrow::RecordBatch::MakeEmpty(schema::ChangeSchema(table));
  if (!empty.ok()) return MakeError(ErrorCode::kInternal, "Arrow: {}", empty.status().message());
  TARN_ASSIGN(const auto derived, Derive(*empty));
  size_t wrong = 0;
  auto checks = RowExpressions::Make("changes", std::move(expressions), derived.values->schema(), &wrong);
  if (!checks) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "the rule '{}' of silver table '{}' cannot be evaluated: {}", rules_[wrong].name,
                     table_name_, checks.error().message);
  }
  checks_ = std::move(*checks);
  return {};
}

Result<RowExpressions::Outcome> RowRules::Derive(const std::shared_ptr<arrow::RecordBatch>& rows) {
  if (!shape_.has_select()) return RowExpressions::Outcome{rows, {}};
  RowExpressions::Outcome out;
  std::shared_ptr<arrow::RecordBatch> computed;
  if (select_ != nullptr) {
    arrow::FieldVector fields;
    arrow::ArrayVector columns;
    for (const auto& field : rows->schema()->fields()) {
      if (!source_columns_.contains(field->name())) continue;
      fields.push_back(field);
      columns.push_back(rows->GetColumnByName(field->name()));
    }
    TARN_ASSIGN(out,
                select_->Run(arrow::RecordBatch::Make(arrow::schema(fields), rows->num_rows(), columns)));
    computed = out.values;
  }
  arrow::FieldVector fields;
  arrow::ArrayVector columns;
  std::set<std::string> known = source_columns_;
  int next = 0;
  for (const SilverColumn& column : shape_.columns()) {
    fields.push_back(arrow::field(column.name, column.type));
    known.insert(column.name);
    if (!column.copied_from.empty()) {
      columns.push_back(rows->GetColumnByName(column.copied_from));
      continue;
    }
    // Times without a zone are UTC in the lake; their bits are the same.
    const auto values = computed->column(next++)->View(column.type);
    if (!values.ok()) return MakeError(ErrorCode::kInternal, "Arrow: {}", values.status().message());
    columns.push_back(*values);
  }
  for (const auto& field : rows->schema()->fields()) {
    if (known.contains(field->name())) continue;
    fields.push_back(field);
    columns.push_back(rows->GetColumnByName(field->name()));
  }
  out.values = arrow::RecordBatch::Make(arrow::schema(fields), rows->num_rows(), std::move(columns));
  return out;
}

RowRules::Verdict RowRules::Unmade(const RowExpressions::Failure& failure) const {
  return {"select",
          fmt::format("the column '{}' cannot be computed: {}", computed_[failure.expression], failure.why)};
}

Result<RowRules::Verdict> RowRules::Judge(const RowExpressions::Outcome& checks, int64_t row,
                                          int64_t& warnings) const {
  Verdict verdict;
  const auto failed = checks.failures.find(row);
  for (size_t i = 0; i < rules_.size(); i++) {
    const RowRule& rule = rules_[i];
    const auto& column = static_cast<const arrow::BooleanArray&>(*checks.values->column(static_cast<int>(i)));
    const bool has_failed = failed != checks.failures.end() && failed->second.expression == i;
    if (!has_failed && (column.IsNull(row) || column.Value(row))) continue;
    if (rule.action == RuleAction::kWarn) {
      warnings++;
      continue;
    }
    if (rule.action == RuleAction::kStop) {
      return MakeError(ErrorCode::kInvalidArgument, "a row of '{}' breaks the rule '{}', which says stop: {}",
                       table_name_, rule.name, rule.explain);
    }
    if (!verdict.rule.empty()) continue;
    verdict.rule = rule.name;
    verdict.reason = has_failed             ? "the check cannot be computed: " + failed->second.why
                     : rule.explain.empty() ? rule.check
                                            : rule.explain;
  }
  return verdict;
}

Result<RuledRows> RowRules::Apply(const std::shared_ptr<arrow::RecordBatch>& rows) {
  TARN_ASSIGN(const RowExpressions::Outcome derived, Derive(rows));
  RowExpressions::Outcome checks;
  if (checks_ != nullptr && rows->num_rows() > 0) {
    TARN_ASSIGN(checks, checks_->Run(derived.values));
  }
  const auto bad =
      std::static_pointer_cast<arrow::StringArray>(rows->GetColumnByName(std::string(schema::kBad)));
  RuledRows out;
  std::vector<int64_t> accepted;
  std::vector<int64_t> refused;
  for (int64_t row = 0; row < rows->num_rows(); row++) {
    Verdict verdict;
    if (const auto unmade = derived.failures.find(row); unmade != derived.failures.end()) {
      verdict = Unmade(unmade->second);
    } else if (checks.values != nullptr) {
      TARN_ASSIGN(verdict, Judge(checks, row, out.warnings));
    }
    if (!bad->IsNull(row))
      verdict = {"type", "a value has no place in the lake's type: " + bad->GetString(row)};
    (verdict.rule.empty() ? accepted : refused).push_back(row);
    if (verdict.rule.empty()) continue;
    out.rules.push_back(std::move(verdict.rule));
    out.reasons.push_back(std::move(verdict.reason));
  }
  TARN_ASSIGN(out.accepted, TakeRows(derived.values, accepted));
  TARN_ASSIGN(out.refused, TakeRows(rows, refused));
  return out;
}

}  // namespace tarn::pipeline
