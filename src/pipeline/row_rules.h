#pragma once

#include <arrow/type_fwd.h>

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/batch_sql.h"
#include "pipeline/silver_model.h"
#include "schema/table_schema.h"

namespace tarn::pipeline {

/// A batch of changes after the rules.
struct RuledRows {
  std::shared_ptr<arrow::RecordBatch> accepted;  ///< schema::ChangeSchema.
  std::shared_ptr<arrow::RecordBatch> refused;   ///< schema::ChangeSchema.
  std::vector<std::string> rules;                ///< Of each refused row: the rule's name, or "type".
  std::vector<std::string> reasons;              ///< Of each refused row: for people.
  int64_t warnings = 0;
};

/// The rules of one table. Rows with values that the lake cannot hold (schema::kBad) are refused by the rule
/// "type". Threads: one at a time.
class RowRules {
 public:
  /// Errors: kInvalidArgument when a check cannot be evaluated over the table's columns: it names the rule.
  static Result<std::unique_ptr<RowRules>> Make(const schema::TableSchema& table, const SilverModel* model);

  /// Errors: kInvalidArgument when a rule with action stop is broken: it names rule and row.
  Result<RuledRows> Apply(const std::shared_ptr<arrow::RecordBatch>& rows);

 private:
  RowRules() = default;
  std::string table_name_;
  std::vector<RowRule> rules_;
  std::string sql_;  ///< One boolean column a rule; empty without rules.
  std::unique_ptr<engine::BatchSql> sql_engine_;
};

}  // namespace tarn::pipeline
