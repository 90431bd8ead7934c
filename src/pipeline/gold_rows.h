#pragma once

#include <arrow/api.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/error.h"
#include "hudi/record_key.h"
#include "pipeline/gold_model.h"

namespace tarn::pipeline {

/// Part of the key of a partitioned model whose key is the partition alone.
inline constexpr const char* kModelColumn = "_model";

/// A model's result in types that a Hudi table holds, with _lsn behind it. Errors: kInvalidArgument names a
/// column of a type that none holds.
Result<std::shared_ptr<arrow::RecordBatch>> ToStorable(const GoldModel& model, const arrow::RecordBatch& rows,
                                                       int64_t lsn);

/// Rows by partition path ("" when unpartitioned), in their order.
Result<std::map<std::string, std::shared_ptr<arrow::RecordBatch>>> SplitByPartition(
    const GoldModel& model, const std::shared_ptr<arrow::RecordBatch>& rows);

/// Of the content in its order, without _lsn, which moves although nothing else does.
Result<hudi::Hash128> ContentHash(const std::shared_ptr<arrow::RecordBatch>& rows);

/// The path of the partition of a value, as a text; NULL is the empty text.
std::string PartitionPath(const GoldModel& model, const std::string& value);

}  // namespace tarn::pipeline
