#pragma once

#include <arrow/type_fwd.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "catalog/lake_version.h"
#include "pipeline/gold_model.h"
#include "pipeline/gold_runs.h"
#include "pipeline/gold_snapshot.h"
#include "pipeline/instant_clock.h"
#include "pipeline/lake_view.h"
#include "pipeline/options.h"

namespace tarn::pipeline {

/// Brings the models' tables to a lake version: of each what the changes since its bookmark touch
/// (DecideStep), and publishes a Gold version. Threads: one writer; Runs and Backfill from any.
class GoldLayer {
 public:
  static Result<std::unique_ptr<GoldLayer>> Open(storage::Storage* storage, const catalog::LakeLayout& layout,
                                                 const PipelineOptions& options,
                                                 const std::vector<std::string>& tables,
                                                 catalog::LakeVersions* versions, LakeView* view,
                                                 InstantClock* clock);
  ~GoldLayer();

  /// `as_of_micros`: the present of `version`, not before its newest commit. A model that fails keeps its
  /// last content and is tried again later; the others go on. Errors: of the store only.
  Status Run(const catalog::LakeVersion& version, int64_t as_of_micros, const CancelToken& cancel);
  /// Other tables of Gold that are at the version of the next Run, which publishes them, too; `last_instant`:
  /// of the newest commit of all.
  void PublishBeside(std::vector<std::string> names, std::string last_instant) {
    beside_ = std::move(names);
    beside_instant_ = std::move(last_instant);
  }
  Status RunServices(const hudi::ServiceOptions& options);

  /// Has the next run compute a model again, or some of its partitions (values as texts), whatever changed.
  /// Durability: on return the request survives a crash. Errors: kNotFound when there is no such model.
  Status Backfill(const std::string& model, const std::set<std::string>& partitions);

  const std::vector<GoldModel>& models() const { return models_; }
  /// The newest run of each model.
  std::map<std::string, GoldRun> Runs() const;
  /// Whether some model changes when a day turns.
  bool DependsOnTime() const { return depends_on_time_; }

 private:
  struct Target;
  GoldLayer(storage::Storage* storage, catalog::LakeLayout layout, const PipelineOptions& options,
            catalog::LakeVersions* versions, LakeView* view, InstantClock* clock);
  Result<std::unique_ptr<GoldSnapshot>> OpenSnapshot(const catalog::LakeVersion& version,
                                                     int64_t as_of_micros);
  /// The model's table where it is there, with its bookmark.
  Result<Target*> OpenTarget(const GoldModel& model);
  /// Makes the table, or makes it anew when the result has another shape.
  Status ShapeTarget(const GoldModel& model, const std::shared_ptr<arrow::Schema>& schema, Target* target);
  /// `asked`: a backfill of it.
  Result<GoldStep> Decide(GoldSnapshot& snapshot, const GoldModel& model, const Target& target,
                          const std::optional<std::set<std::string>>& asked);
  /// RunModel, with what is to be known of it, failed or not.
  GoldRun TryModel(GoldSnapshot& snapshot, const GoldModel& model, const catalog::LakeVersion& version,
                   const std::string& instant);
  Status RunModel(GoldSnapshot& snapshot, const GoldModel& model, const std::string& instant, GoldRun* run);
  Status Put(GoldSnapshot& snapshot, const GoldModel& model, const GoldStep& step,
             const std::shared_ptr<arrow::RecordBatch>& rows, const std::string& instant, Target* target,
             GoldRun* run);
  Status Publish(const catalog::LakeVersion& version, const std::string& instant);
  /// Publishes commits of a run that was cut off before it could.
  Status PublishLeftOver(const catalog::LakeVersion& version, const std::string& instant);
  std::optional<std::set<std::string>> BackfillOf(const std::string& model) const;
  Status EndBackfill(const std::string& model, const std::set<std::string>& done);

  storage::Storage* storage_;
  catalog::LakeLayout layout_;
  const PipelineOptions& options_;
  catalog::LakeVersions* versions_;
  LakeView* view_;
  InstantClock* clock_;
  std::vector<GoldModel> models_;
  GoldSnapshot::Analyses analyses_;
  std::map<std::string, std::unique_ptr<Target>> targets_;
  std::vector<std::string> beside_;  ///< Tables that are published with the models'.
  std::string beside_instant_;
  std::map<std::string, std::pair<int, int64_t>> failures_;  ///< How many in a row, and when to try again.
  std::atomic<bool> depends_on_time_{false};
  mutable std::mutex mutex_;
  std::map<std::string, GoldRun> runs_;  ///< Under mutex_.
  Backfills backfills_;                  ///< Under mutex_.
};

}  // namespace tarn::pipeline
