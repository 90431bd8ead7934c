#pragma once

#include <arrow/type_fwd.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "catalog/lake_version.h"
#include "pipeline/gold_model.h"
#include "pipeline/instant_clock.h"
#include "pipeline/lake_view.h"
#include "pipeline/options.h"

namespace tarn::pipeline {

/// What the newest run of a model did.
struct GoldRun {
  int64_t rows = 0;
  int64_t partitions_changed = 0;
  double seconds = 0;
  std::string error;  ///< Empty when it succeeded; readers then still have the version before.
};

/// Recomputes the models whose tables changed and publishes a Gold version. Threads: one writer; Runs from
/// any.
class GoldLayer {
 public:
  static Result<std::unique_ptr<GoldLayer>> Open(storage::Storage* storage, const catalog::LakeLayout& layout,
                                                 const PipelineOptions& options,
                                                 const std::vector<std::string>& tables,
                                                 catalog::LakeVersions* versions, LakeView* view,
                                                 InstantClock* clock);

  /// Computes every model that reads one of `touched` (all of them the first time) from `version`.
  /// A model that fails keeps its last content; the others go on. Errors: of the store only.
  Status Run(const catalog::LakeVersion& version, const std::vector<std::string>& touched,
             const CancelToken& cancel);
  Status RunServices(const hudi::ServiceOptions& options);

  const std::vector<GoldModel>& models() const { return models_; }
  std::map<std::string, GoldRun> Runs() const;

 private:
  struct Target;
  GoldLayer(storage::Storage* storage, catalog::LakeLayout layout, const PipelineOptions& options,
            catalog::LakeVersions* versions, LakeView* view, InstantClock* clock);

 public:
  ~GoldLayer();

 private:
  Status RunModel(const GoldModel& model, const catalog::LakeVersion& version, const std::string& instant,
                  GoldRun& run);
  Result<std::shared_ptr<arrow::RecordBatch>> Compute(const GoldModel& model,
                                                      const catalog::LakeVersion& version);
  Result<Target*> OpenTarget(const GoldModel& model, const std::shared_ptr<arrow::Schema>& schema);
  std::string FullSql(const GoldModel& model) const;

  storage::Storage* storage_;
  catalog::LakeLayout layout_;
  const PipelineOptions& options_;
  catalog::LakeVersions* versions_;
  LakeView* view_;
  InstantClock* clock_;
  std::vector<GoldModel> models_;
  std::map<std::string, std::unique_ptr<Target>> targets_;
  bool first_run_ = true;
  mutable std::mutex runs_mutex_;
  std::map<std::string, GoldRun> runs_;
};

}  // namespace tarn::pipeline
