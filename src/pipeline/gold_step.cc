#include "pipeline/gold_step.h"

#include <algorithm>

#include "hudi/record_key.h"

namespace tarn::pipeline {
namespace {

GoldStep All(std::string reason) { return {GoldStep::Kind::kAll, {}, std::move(reason)}; }

std::string FirstValue(const std::string& path) {
  const auto values = hudi::PartitionValues(path);
  if (values.empty() || values[0] == hudi::kNullPartition) return "";
  return values[0];
}

std::string Count(size_t count) {
  return count == 1 ? "1 partition was touched" : fmt::format("{} partitions were touched", count);
}

/// Why everything must be computed whatever was touched; empty: it need not.
std::string WhyAll(const engine::ModelAnalysis& analysis, const GoldBookmark& before,
                   const GoldBookmark& now) {
  if (before.sql != now.sql) return "its SQL, key or partition changed, or the engine's version";
  if (before.tables.size() != now.tables.size()) return "it reads other tables than before";
  for (const auto* tables : {&analysis.partitioned, &analysis.unpartitioned}) {
    for (const engine::TableName& table : *tables) {
      if (!now.tables.contains(table.name)) return fmt::format("nobody follows {} for it", table.name);
    }
  }
  for (const auto& [name, table] : now.tables) {
    const auto known = before.tables.find(name);
    if (known == before.tables.end()) return "it reads other tables than before";
    if (known->second.shape != table.shape) return fmt::format("the columns of silver.{} changed", name);
  }
  if (analysis.time == engine::TimeDependence::kMoment && before.as_of_micros != now.as_of_micros) {
    return "it depends on the moment: " + analysis.time_reason;
  }
  if (analysis.time == engine::TimeDependence::kDay &&
      before.as_of_micros / kQuarterHourMicros != now.as_of_micros / kQuarterHourMicros) {
    return "it depends on the day, which may have turned: another quarter of an hour of UTC";
  }
  return "";
}

}  // namespace

Result<TableMoves> MovesBetween(hudi::TableReader& reader, const std::string& since,
                                const std::string& until) {
  TableMoves moves;
  if (since == until) return moves;
  const auto unknown = [&](std::string reason) {
    moves.is_known = false;
    moves.reason = std::move(reason);
    return moves;
  };
  if (since.empty()) return unknown("it had no commit before");
  TARN_ASSIGN(const auto instants, reader.Instants());
  // A table that was made anew has other commits.
  if (std::find(instants.begin(), instants.end(), since) == instants.end()) {
    return unknown(fmt::format("its commit {} is not on its timeline", since));
  }
  const auto commits = reader.CommitsBetween(since, until);
  if (!commits && commits.error().code == ErrorCode::kNotFound) return unknown(commits.error().message);
  if (!commits) return commits.error();
  for (const auto& commit : *commits) {
    moves.any = true;
    for (const auto& [path, files] : commit.groups) moves.partitions.insert(FirstValue(path));
  }
  return moves;
}

Result<GoldStep> DecideStep(const engine::ModelAnalysis& analysis, const std::optional<GoldBookmark>& before,
                            const GoldBookmark& now,
                            const std::function<Result<TableMoves>(const std::string& table)>& moves) {
  if (!before) return All("it was never computed");
  if (std::string why = WhyAll(analysis, *before, now); !why.empty()) return All(std::move(why));
  GoldStep step;
  bool any = false;
  for (const auto& [name, table] : now.tables) {
    TARN_ASSIGN(const TableMoves moved, moves(name));
    if (!moved.is_known)
      return All(fmt::format("what changed in silver.{} is not known: {}", name, moved.reason));
    if (!moved.any) continue;
    any = true;
    if (!analysis.is_partition_local) {
      return All(fmt::format("silver.{} changed, and {}", name, analysis.why_not_local));
    }
    if (analysis.unpartitioned.contains({"silver", name})) {
      return All(fmt::format("silver.{}, which has no partitions, changed", name));
    }
    step.partitions.insert(moved.partitions.begin(), moved.partitions.end());
  }
  if (!any) return GoldStep{GoldStep::Kind::kNothing, {}, "nothing that it reads has changed"};
  step.kind = GoldStep::Kind::kPartitions;
  step.reason = Count(step.partitions.size());
  return step;
}

}  // namespace tarn::pipeline
