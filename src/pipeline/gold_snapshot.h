#pragma once

#include <arrow/type_fwd.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "catalog/lake_version.h"
#include "engine/session.h"
#include "pipeline/computed_models.h"
#include "pipeline/gold_model.h"
#include "pipeline/gold_step.h"
#include "pipeline/lake_view.h"

namespace tarn::pipeline {

/// One lake version as models see it: what they depend on, what changed, and what they give. All models of a
/// run share one engine, and what a model gave is read by those that read it, where it is all they need.
/// Threads: one at a time.
class GoldSnapshot {
 public:
  /// What models depend on, kept from one run to the next. Threads: one at a time.
  using Analyses = std::map<std::string, engine::ModelAnalysis>;

  /// `view`, `models` and `analyses` outlive it. `as_of_micros`: what as_of() gives; `options` tell of
  /// memory, spilling and threads.
  static Result<std::unique_ptr<GoldSnapshot>> Open(LakeView* view, const std::vector<GoldModel>* models,
                                                    Analyses* analyses, const catalog::LakeVersion& version,
                                                    int64_t as_of_micros, engine::SessionOptions options);
  ~GoldSnapshot();

  /// The version's position, as _lsn has it.
  int64_t lsn() const { return lsn_; }
  /// What stands in the commit of a result of this version. Errors: of tables that are held.
  Result<GoldBookmark> BookmarkOf(const GoldModel& model);
  Result<const engine::ModelAnalysis*> Analyze(const GoldModel& model);
  /// What a run at this version computes for a table that has the content of `before`.
  Result<GoldStep> Decide(const GoldModel& model, const std::optional<GoldBookmark>& before);
  /// Rows in the order of the partition and the key. Of kPartitions: those of the step's partitions alone.
  Result<std::shared_ptr<arrow::RecordBatch>> Compute(const GoldModel& model, const GoldStep& step);
  /// What the newest Compute read.
  const engine::ScanStatistics& statistics() const { return statistics_; }

 private:
  class NarrowedLake;
  struct Table {
    std::shared_ptr<hudi::TableReader> reader;
    GoldBookmark::Table state;
  };

  GoldSnapshot(LakeView* view, const std::vector<GoldModel>* models, Analyses* analyses,
               const catalog::LakeVersion& version, int64_t as_of_micros);
  /// The model's SQL with that of the models that it reads, so that all are of one version. `step`: of a run;
  /// models whose rows for it are computed already stand by their names.
  std::string FullSql(const GoldModel& model, const GoldStep* step = nullptr) const;
  /// Whether a model reads it.
  bool IsRead(const GoldModel& model) const;
  Result<const Table*> Describe(const std::string& table);

  LakeView* view_;
  const std::vector<GoldModel>* models_;
  Analyses* analyses_;
  const std::string instant_;
  const int64_t lsn_;
  const int64_t as_of_micros_;
  ComputedModels computed_;
  std::unique_ptr<NarrowedLake> lake_;
  std::unique_ptr<engine::Session> session_;
  std::map<std::string, Table> tables_;
  std::map<std::pair<std::string, std::string>, TableMoves> moves_;  ///< By table and commit of before.
  engine::ScanStatistics statistics_;
};

}  // namespace tarn::pipeline
