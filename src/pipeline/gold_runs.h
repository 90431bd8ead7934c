#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "catalog/lake_layout.h"
#include "pipeline/gold_step.h"
#include "storage/storage.h"

namespace tarn::pipeline {

/// What one run of a model did.
struct GoldRun {
  std::string model;
  std::string source_instant;  ///< The lake version that it read.
  int64_t started_micros = 0;
  double seconds = 0;
  GoldStep::Kind kind = GoldStep::Kind::kNothing;
  std::string reason;               ///< Why it computed what it computed.
  int64_t partitions_computed = 0;  ///< Of kAll: those of the result.
  int64_t partitions_changed = 0;   ///< 0: no commit was written.
  int64_t rows = 0;                 ///< Of the result.
  int64_t bytes_read = 0;           ///< Sizes of the files that were opened.
  int64_t bytes_written = 0;
  std::string error;  ///< Empty when it succeeded; readers then still have the version before.
};

/// How many files of runs are kept.
inline constexpr size_t kKeptRunFiles = 500;

/// Keeps the runs of models that began together, as one small file in `_tarn/runs`; forgets the oldest.
Status KeepRuns(storage::Storage& storage, const catalog::LakeLayout& layout,
                const std::vector<GoldRun>& runs);
/// Newest first, at most `limit`. `model`: of this alone; empty: of all.
Result<std::vector<GoldRun>> ReadRuns(const storage::Storage& storage, const catalog::LakeLayout& layout,
                                      const std::string& model, size_t limit);

/// Backfills that wait for the next run: by model, the partitions as texts; none: all of it.
using Backfills = std::map<std::string, std::set<std::string>>;
Result<Backfills> ReadBackfills(const storage::Storage& storage, const catalog::LakeLayout& layout);
Status WriteBackfills(storage::Storage& storage, const catalog::LakeLayout& layout,
                      const Backfills& backfills);
/// All of a model stays all of it.
void AddBackfill(const std::string& model, const std::set<std::string>& partitions, Backfills* backfills);

}  // namespace tarn::pipeline
