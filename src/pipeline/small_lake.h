#pragma once

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "base/clock.h"
#include "catalog/lake_version.h"
#include "pipeline/lake_view.h"
#include "pipeline/silver_layer.h"

namespace tarn::pipeline {

/// What must not grow while a table lives.
struct LakeSize {
  int64_t files = 0, bytes = 0;                    ///< Of the table but for the active timeline.
  int64_t archived_files = 0, archived_bytes = 0;  ///< Those of them that are the archived timeline's.
  int64_t instants = 0;                            ///< Files of the active timeline.
  int64_t versions = 0;                            ///< Of the lake.
  int64_t logs_per_slice = 0;                      ///< The most.
  int64_t sidecars = 0;                            ///< Files of the lake's own, `_tarn`, and of quarantine.
  int64_t plan_micros =
      0;  ///< Of a reader that knows nothing yet; the best: what is more is the machine's noise.
  int64_t plan_requests = 0;  ///< What that asks of the storage: entries of its listings, and files read.
};

/// For tests: a lake with one table of integers, `notes`, written as the pipeline writes it, by random
/// changes on a clock that the test moves; and what must be in it. Threads: one.
class SmallLake {
 public:
  using Rows = std::map<int64_t, int64_t>;  ///< The column `value` by `id`.

  /// Makes the lake in a folder that is not there, or empty, with a first copy of 500 rows.
  static Result<std::unique_ptr<SmallLake>> Make(const std::string& folder,
                                                 const hudi::ServiceOptions& services, unsigned seed);
  ~SmallLake();

  int64_t now() const { return clock_.NowMicros(); }
  void Advance(int64_t micros) { clock_.Advance(micros); }
  const Rows& rows() const { return rows_; }
  /// Of the newest version of the lake.
  Result<std::string> NewestInstant() const;

  /// 20 random changes in a commit.
  Status Commit();
  /// A TRUNCATE and 50 new rows in one transaction.
  Status Truncate();
  /// Another content in the place of this one: a newer copy, as `tarn resync` brings it.
  Status Resync();
  /// What the pipeline does between two commits, and the versions outside the window forgotten.
  Status RunServices();
  /// As if the process had ended and another begun.
  Status Reopen();

  /// What a statement reads as of a time; unset: now. Errors: kCorrupt when an id comes twice.
  Result<Rows> Read(std::optional<int64_t> as_of_micros);
  Result<LakeSize> Look();

 private:
  SmallLake(const std::string& folder, const hudi::ServiceOptions& services, unsigned seed);
  Status Open();
  Status Load();
  void Append(cdc::ChangeBuilder& builder, char op, int64_t id);
  Status Apply(std::vector<bronze::TableRows> events);
  /// Plans the newest state a few times.
  Status Plan(LakeSize* size) const;

  const std::string root_;
  const catalog::LakeLayout layout_;
  PipelineOptions options_;
  std::mt19937 random_;
  ManualClock clock_;
  std::unique_ptr<storage::Storage> storage_;
  std::unique_ptr<catalog::LakeVersions> versions_;
  std::unique_ptr<SilverLayer> silver_;
  std::shared_ptr<const schema::TableSchema> table_;
  int64_t lsn_ = 1, ordinal_ = 0;
  Rows rows_;
};

}  // namespace tarn::pipeline
