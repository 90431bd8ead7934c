#pragma once

#include <arrow/type_fwd.h>

#include <cstdio>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/error.h"

namespace tarn::app {

enum class OutputFormat { kTable, kCsv, kJson };

/// What `print` writes to a file. Errors: kIo with the reason when it cannot be written; fmt throws then.
Status Written(std::FILE* out, const std::function<void()>& print);

/// Prints a result batch by batch. csv: RFC 4180, NULL is empty and an empty text is "". json: one object a
/// line, exact numbers as numbers, decimals and times as text. table: widths by the first 1,000 rows.
class ResultPrinter {
 public:
  ResultPrinter(OutputFormat format, std::FILE* out) : format_(format), out_(out) {}
  /// The first batch gives the columns and may be empty.
  Status Print(const arrow::RecordBatch& batch);
  /// What was held back for widths, and the table's end.
  Status Finish();

 private:
  using Cells = std::vector<std::string>;
  void PrintRows(const arrow::RecordBatch& batch);
  void PrintTableRow(const Cells& cells);
  void FlushTable();

  OutputFormat format_;
  std::FILE* out_;
  std::vector<std::string> names_;
  std::vector<size_t> widths_;
  std::vector<bool> right_;
  std::vector<Cells> held_;
  bool header_done_ = false;
};

/// A value as people read it; NULL gives `null_text`.
std::string CellText(const arrow::Array& column, int64_t row, const std::string& null_text);

/// "12.3 MB".
std::string BytesText(int64_t bytes);

/// One JSON value to standard output, for people and scripts; text that is no UTF-8 is replaced.
void PrintJson(const nlohmann::json& json);

}  // namespace tarn::app
