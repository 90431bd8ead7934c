#pragma once

#include <arrow/type_fwd.h>

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "pipeline/silver_model.h"
#include "schema/table_schema.h"

namespace tarn::pipeline {

/// Hidden columns of Silver, which SQL does not see, are named so, then for the source's column whose values
/// they keep.
inline constexpr const char* kHiddenPrefix = "_source_";

/// A column of Silver and where its values come from.
struct SilverColumn {
  std::string name;
  std::shared_ptr<arrow::DataType> type;
  std::string copied_from;  ///< The source's column (lake name) that it is; empty when it is computed.
  std::string expression;   ///< Else SQL over the source's columns.
};

/// Which columns Silver makes of a source table: the source's own, or those of models/silver/<table>.sql. An
/// update leaves large values untouched, and Silver must still know them: of each source column that may have
/// such values and that no column is a copy of, there is a hidden one.
class SilverShape {
 public:
  /// `model`: may be null. Errors: kInvalidArgument names the file, and what is wrong with its SELECT where:
  /// what engine::AnalyzeSelectList refuses, a key that is not there as it is, a name that lakes cannot have.
  static Result<SilverShape> Make(const schema::TableSchema& table, const SilverModel* model);

  /// Whether anything differs from the source.
  bool has_select() const { return has_select_; }
  const std::vector<SilverColumn>& columns() const { return columns_; }
  /// The column that has the source column's values; empty when none has.
  std::string StoredAs(const std::string& source_column) const;
  /// kInvalidArgument unless the source column is there under its own name; `role`: what it is to the table.
  Status CheckKept(const std::string& source_column, const std::string& role) const;
  /// The table as statements see it: with Silver's columns, but for hidden ones.
  schema::TableSchema AsTable(const schema::TableSchema& source) const;

 private:
  Status Select(const schema::TableSchema& table, const SilverModel& model);
  std::string file_;
  bool has_select_ = false;
  std::vector<SilverColumn> columns_;
};

}  // namespace tarn::pipeline
