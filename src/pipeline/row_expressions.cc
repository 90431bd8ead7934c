#include "pipeline/row_expressions.h"

#include <arrow/api.h>

#include "cdc/pg_connection.h"

namespace tarn::pipeline {

Result<std::unique_ptr<RowExpressions>> RowExpressions::Make(std::string table,
                                                             std::vector<std::string> expressions,
                                                             const std::shared_ptr<arrow::Schema>& shape,
                                                             size_t* wrong) {
  std::unique_ptr<RowExpressions> out(new RowExpressions);
  out->table_ = std::move(table);
  out->expressions_ = std::move(expressions);
  TARN_ASSIGN(out->engine_, engine::BatchSql::Open());
  const auto empty = arrow::RecordBatch::MakeEmpty(shape);
  if (!empty.ok()) return MakeError(ErrorCode::kInternal, "Arrow: {}", empty.status().message());
  const std::string from = " FROM " + cdc::QuoteName(out->table_);
  for (size_t i = 0; i < out->expressions_.size(); i++) {
    const std::string column = fmt::format("{} AS value_{}", out->expressions_[i], i);
    if (wrong != nullptr) *wrong = i;
    TARN_ASSIGN([[maybe_unused]] const auto tried, out->Evaluate("SELECT " + column + from, *empty));
    out->sql_ += (i == 0 ? "SELECT " : ", ") + column;
  }
  out->sql_ += from;
  TARN_ASSIGN(const auto none, out->Evaluate(out->sql_, *empty));
  out->results_ = none->schema();
  return out;
}

Result<std::shared_ptr<arrow::RecordBatch>> RowExpressions::Evaluate(
    const std::string& sql, const std::shared_ptr<arrow::RecordBatch>& rows) {
  TARN_ASSIGN(auto values, engine_->Run(sql, {{table_, rows}}));
  if (values->num_rows() == rows->num_rows()) return values;
  return MakeError(ErrorCode::kInternal, "expressions over '{}' gave {} values for {} rows", table_,
                   values->num_rows(), rows->num_rows());
}

Status RowExpressions::Bisect(const std::shared_ptr<arrow::RecordBatch>& rows, int64_t first, Outcome& out,
                              std::vector<std::shared_ptr<arrow::RecordBatch>>& parts) {
  auto values = Evaluate(sql_, rows);
  if (values) {
    parts.push_back(std::move(*values));
    return {};
  }
  if (values.error().code != ErrorCode::kSql) return values.error();
  const int64_t count = rows->num_rows();
  if (count > 1) {
    TARN_RETURN_IF_ERROR(Bisect(rows->Slice(0, count / 2), first, out, parts));
    return Bisect(rows->Slice(count / 2), first + count / 2, out, parts);
  }
  Failure failure{0, values.error().message};
  for (size_t i = 0; i < expressions_.size(); i++) {
    const auto alone =
        Evaluate(fmt::format("SELECT {} AS value FROM {}", expressions_[i], cdc::QuoteName(table_)), rows);
    if (alone) continue;
    failure = {i, alone.error().message};
    break;
  }
  // The place would be one of our statement, and not of the model.
  failure.why.resize(std::min(failure.why.find("\nline "), failure.why.size()));
  out.failures.emplace(first, std::move(failure));
  arrow::ArrayVector nulls;
  for (const auto& field : results_->fields()) nulls.push_back(*arrow::MakeArrayOfNull(field->type(), 1));
  parts.push_back(arrow::RecordBatch::Make(results_, 1, std::move(nulls)));
  return {};
}

Result<RowExpressions::Outcome> RowExpressions::Run(const std::shared_ptr<arrow::RecordBatch>& rows) {
  Outcome out;
  std::vector<std::shared_ptr<arrow::RecordBatch>> parts;
  TARN_RETURN_IF_ERROR(Bisect(rows, 0, out, parts));
  if (parts.size() == 1) {
    out.values = std::move(parts[0]);
    return out;
  }
  auto all = arrow::ConcatenateRecordBatches(parts);
  if (!all.ok()) return MakeError(ErrorCode::kInternal, "Arrow: {}", all.status().message());
  out.values = std::move(*all);
  return out;
}

}  // namespace tarn::pipeline
