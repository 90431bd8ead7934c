#pragma once

#include <arrow/type_fwd.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "pipeline/row_expressions.h"
#include "pipeline/silver_model.h"
#include "pipeline/silver_shape.h"
#include "schema/table_schema.h"

namespace tarn::pipeline {

/// A batch of changes after the rules.
struct RuledRows {
  /// Silver's columns (SilverShape) in the place of the source's, then those of changes.
  std::shared_ptr<arrow::RecordBatch> accepted;
  std::shared_ptr<arrow::RecordBatch> refused;  ///< schema::ChangeSchema.
  std::vector<std::string> rules;               ///< Of each refused row: the rule's name, "type" or "select".
  std::vector<std::string> reasons;             ///< Of each refused row: for people.
  int64_t warnings = 0;
};

/// The rules of one table: what Silver's columns are made of, and what the rows made so must satisfy. Rows
/// with values that the lake cannot hold (schema::kBad) are refused by the rule "type", those of which a
/// column cannot be computed by the rule "select". Threads: one at a time.
class RowRules {
 public:
  /// Errors: kInvalidArgument when a check cannot be evaluated over the table's columns: it names the rule;
  /// those of SilverShape::Make.
  static Result<std::unique_ptr<RowRules>> Make(const schema::TableSchema& table, const SilverModel* model);

  /// Errors: kInvalidArgument when a rule with action stop is broken: it names rule and row.
  const SilverShape& shape() const { return shape_; }
  Result<RuledRows> Apply(const std::shared_ptr<arrow::RecordBatch>& rows);

 private:
  RowRules() = default;
  Status MakeSelect(const schema::TableSchema& table);
  Status MakeChecks(const schema::TableSchema& table);
  /// The rows with Silver's columns.
  Result<RowExpressions::Outcome> Derive(const std::shared_ptr<arrow::RecordBatch>& rows);
  /// What a row is refused by; empty: it is not.
  struct Verdict {
    std::string rule, reason;
  };
  Result<Verdict> Judge(const RowExpressions::Outcome& checks, int64_t row, int64_t& warnings) const;
  Verdict Unmade(const RowExpressions::Failure& failure) const;

  std::string table_name_;
  SilverShape shape_;
  std::set<std::string> source_columns_;
  std::vector<std::string> computed_;       ///< Names of the columns that select_ computes.
  std::unique_ptr<RowExpressions> select_;  ///< Null when nothing is computed.
  std::vector<RowRule> rules_;
  std::unique_ptr<RowExpressions> checks_;  ///< Of rules_; null without any.
};

}  // namespace tarn::pipeline
