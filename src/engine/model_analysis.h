#pragma once

#include <set>
#include <string>
#include <vector>

#include "engine/lake.h"

namespace tarn::engine {

/// A column of a table of the lake.
struct SourceColumn {
  TableName table;
  std::string column;

  auto operator<=>(const SourceColumn&) const = default;
};

/// How a result depends on as_of().
enum class TimeDependence {
  kNone,
  kDay,     ///< On the day of some time zone alone: it changes at multiples of a quarter of an hour, UTC.
  kMoment,  ///< It may be another one at any moment.
};

/// What the result of a SELECT depends on, read from its bound plan. What is not proven is not claimed.
struct ModelAnalysis {
  struct Column {
    std::string name;
    std::set<SourceColumn> sources;  ///< Columns that its values derive from.
  };
  std::vector<Column> columns;
  /// Columns that decide which rows there are: of filters, joins' conditions, groups, DISTINCT and LIMIT.
  std::set<SourceColumn> row_columns;
  std::set<TableName> partitioned, unpartitioned;  ///< The tables that it reads.

  /// Whether the rows with some values of the partition column are what the same SELECT gives over those
  /// partitions alone (by the first partition field) of `partitioned`, and all of `unpartitioned`. NULL and
  /// the empty text count as one value, as they share a partition.
  bool is_partition_local = false;
  std::string why_not_local;  ///< In the model's own names; empty when it is.

  TimeDependence time = TimeDependence::kNone;
  std::string time_reason;  ///< Where it depends on the moment; empty otherwise.
};

}  // namespace tarn::engine
