#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/config.h"
#include "pipeline/gold_snapshot.h"
#include "storage/storage.h"

namespace tarn::app {

/// The newest version of a lake as its models see it; whether or not a tarn runs on it. Threads: one.
struct GoldReading {
  std::unique_ptr<storage::Storage> storage;
  std::unique_ptr<catalog::LakeVersions> versions;
  std::unique_ptr<pipeline::LakeView> view;
  std::vector<pipeline::GoldModel> models;
  pipeline::GoldSnapshot::Analyses analyses;
  std::unique_ptr<pipeline::GoldSnapshot> snapshot;

  /// Errors: kNotFound when there is no lake, or no version of it yet; of the models' files.
  static Result<std::unique_ptr<GoldReading>> Open(const Config& config);
  /// What a run would compute now.
  Result<pipeline::GoldStep> Decide(const Config& config, const pipeline::GoldModel& model);
};

}  // namespace tarn::app
