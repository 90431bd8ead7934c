#pragma once

#include <arrow/type_fwd.h>

#include <memory>
#include <string>
#include <vector>

#include "catalog/lake_layout.h"
#include "catalog/table_registry.h"
#include "hudi/table.h"
#include "pipeline/silver_shape.h"

namespace tarn::pipeline {

inline constexpr const char* kMonth = "_month";
inline constexpr const char* kRule = "_rule";
inline constexpr const char* kReason = "_reason";
inline constexpr const char* kRefusedOp = "_refused_op";

/// Columns of a table's Silver: those of its shape, then ours (see SilverTable).
arrow::FieldVector SilverFields(const catalog::RegisteredTable& table, const SilverShape& shape);
/// Columns of its quarantine that rows come with: the source's, then ours.
arrow::FieldVector RefusedFields(const catalog::RegisteredTable& table);
/// The two tables of the lake: their columns, keys and partitions.
hudi::TableOptions SilverOptions(const catalog::RegisteredTable& table, const SilverShape& shape,
                                 const catalog::LakeLayout& layout);
hudi::TableOptions QuarantineOptions(const catalog::RegisteredTable& table,
                                     const catalog::LakeLayout& layout);

/// "2026-11" of each time or date; null where there is none.
std::shared_ptr<arrow::Array> Months(const arrow::Array& times);
std::shared_ptr<arrow::Array> Texts(const std::vector<std::string>& values);

}  // namespace tarn::pipeline
