#pragma once

#include <arrow/type_fwd.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/batch_sql.h"

namespace tarn::pipeline {

/// SQL expressions over the rows of batches, any of which may fail for a row without an end to the others.
/// Threads: one at a time.
class RowExpressions {
 public:
  /// A row for which an expression has no value.
  struct Failure {
    size_t expression = 0;
    std::string why;
  };
  struct Outcome {
    std::shared_ptr<arrow::RecordBatch> values;  ///< A column an expression; null where a row failed.
    std::map<int64_t, Failure> failures;         ///< By row.
  };

  /// `table`: the name of the rows in the expressions; `shape`: of the batches that will come. Errors: kSql
  /// and kPermission; `wrong`, when given, is set to the number of the expression.
  static Result<std::unique_ptr<RowExpressions>> Make(std::string table, std::vector<std::string> expressions,
                                                      const std::shared_ptr<arrow::Schema>& shape,
                                                      size_t* wrong = nullptr);

  size_t size() const { return expressions_.size(); }
  /// Errors: kInternal, and what else is not a matter of a row's values.
  Result<Outcome> Run(const std::shared_ptr<arrow::RecordBatch>& rows);

 private:
  RowExpressions() = default;
  Result<std::shared_ptr<arrow::RecordBatch>> Evaluate(const std::string& sql,
                                                       const std::shared_ptr<arrow::RecordBatch>& rows);
  /// The same, in halves where it fails, down to the rows that do. `first`: number of its first row.
  Status Bisect(const std::shared_ptr<arrow::RecordBatch>& rows, int64_t first, Outcome& out,
                std::vector<std::shared_ptr<arrow::RecordBatch>>& parts);

  std::string table_;
  std::vector<std::string> expressions_;
  std::string sql_;
  std::shared_ptr<arrow::Schema> results_;
  std::unique_ptr<engine::BatchSql> engine_;
};

}  // namespace tarn::pipeline
