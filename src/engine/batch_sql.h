#pragma once

#include <arrow/type_fwd.h>

#include <map>
#include <memory>
#include <string>

#include "base/error.h"

namespace tarn::engine {

/// SQL over batches in memory, for tarn's own row rules: an engine that can open no file and knows no lake.
/// Threads: one at a time.
class BatchSql {
 public:
  virtual ~BatchSql() = default;

  static Result<std::unique_ptr<BatchSql>> Open();

  /// Runs one SELECT. A name in `tables` is a table; a CTE of the same name comes first.
  /// Shape: one batch, never null; a SELECT over one table keeps the order of its rows.
  /// Errors: kSql, with line and column where they are known; kPermission for anything but a SELECT.
  virtual Result<std::shared_ptr<arrow::RecordBatch>> Run(
      const std::string& sql, const std::map<std::string, std::shared_ptr<arrow::RecordBatch>>& tables) = 0;
};

}  // namespace tarn::engine
