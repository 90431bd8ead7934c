#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>

#include "base/error.h"
#include "engine/model_analysis.h"
#include "hudi/table.h"
#include "pipeline/gold_bookmark.h"

namespace tarn::pipeline {

/// What a run computes of one model.
struct GoldStep {
  enum class Kind { kNothing, kPartitions, kAll };
  Kind kind = Kind::kNothing;
  std::set<std::string> partitions;  ///< Of kPartitions: values of the partition, as texts; "" is NULL.
  std::string reason;                ///< For people.
};

/// What became of a Silver table since a commit of it.
struct TableMoves {
  bool is_known = true;  ///< Else nobody can tell any more; `reason` says why.
  std::string reason;
  bool any = false;                  ///< Whether there were commits that changed rows.
  std::set<std::string> partitions;  ///< First partition values of what they touched.
};
/// `since` is exclusive, `until` inclusive; both are commits of the table, empty: its beginning.
Result<TableMoves> MovesBetween(hudi::TableReader& reader, const std::string& since,
                                const std::string& until);

/// What makes the content of a bookmark `before` that of `now`, which differ in any way. `moves` answers for
/// a table of both, between their commits. `before`: none: the model was never computed.
Result<GoldStep> DecideStep(const engine::ModelAnalysis& analysis, const std::optional<GoldBookmark>& before,
                            const GoldBookmark& now,
                            const std::function<Result<TableMoves>(const std::string& table)>& moves);

/// Days of all time zones turn at multiples of it, UTC.
inline constexpr int64_t kQuarterHourMicros = 900'000'000;

}  // namespace tarn::pipeline
