#pragma once

#include <arrow/type_fwd.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"

namespace tarn::catalog {

/// The columns of one table out of those of its files: the union by name (without regard to case), in the
/// order in which they were met. Integers, floats and decimals widen; all else must be the same everywhere.
class MergedSchema {
 public:
  MergedSchema() = default;
  /// Begins with what an earlier crawl found.
  MergedSchema(const arrow::Schema& known, std::map<std::string, std::string> left_out);

  /// Errors: kUnsupported names the column, the file, and both types.
  Status Add(const arrow::Schema& file, const std::string& name);
  std::shared_ptr<arrow::Schema> schema() const;
  /// Columns of types that the lake does not have (lists, structs), and what they are.
  const std::map<std::string, std::string>& left_out() const { return left_out_; }

 private:
  Status AddField(const arrow::Field& field, const std::string& file);

  struct Column {
    std::string name;
    std::shared_ptr<arrow::DataType> type;
    std::string file;  ///< Where it was met first.
  };
  std::vector<Column> columns_;
  std::map<std::string, size_t> places_;  ///< By name in lower case.
  std::map<std::string, std::string> left_out_;
};

/// The type of a column of folder names: bigint or date when all values are, written as such would be; else
/// text. `values` without Hive's word for NULL.
std::shared_ptr<arrow::DataType> PartitionType(const std::vector<std::string>& values);

}  // namespace tarn::catalog
