#pragma once

#include <arrow/type_fwd.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "hudi/scan_plan.h"
#include "pipeline/gold_model.h"
#include "pipeline/gold_step.h"

namespace tarn::pipeline {

/// Results of models in memory, for models of the same run that read them. Threads: one at a time.
class ComputedModels {
 public:
  /// Keeps what `step` gave, unless it is too large or has a type that a table would not give back.
  /// `is_local`: rows of a partition come from that partition of Silver's tables alone. Errors: kInternal.
  Status Keep(const GoldModel& model, bool is_local, const GoldStep& step, const std::string& instant,
              const std::shared_ptr<arrow::RecordBatch>& rows);
  /// Whether all rows of the model are there that `step` of one that reads it needs.
  bool Has(const std::string& model, const GoldStep& step) const;
  std::vector<std::string> names() const;
  /// Null when it was not kept.
  std::shared_ptr<const hudi::ScanPlan> PlanOf(const std::string& model) const;

 private:
  struct Result {
    bool is_local = false;
    GoldStep step;
    std::shared_ptr<const hudi::ScanPlan> plan;
  };
  std::map<std::string, Result> results_;
};

}  // namespace tarn::pipeline
