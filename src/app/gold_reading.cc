#include "app/gold_reading.h"

#include "base/clock.h"
#include "catalog/table_registry.h"
#include "pipeline/lake_storage.h"

namespace tarn::app {

Result<std::unique_ptr<GoldReading>> GoldReading::Open(const Config& config) {
  auto reading = std::make_unique<GoldReading>();
  reading->storage = pipeline::OpenLakeStorageReadOnly(config.pipeline);
  const catalog::LakeLayout layout(config.pipeline.lake, config.pipeline.bronze_root());
  TARN_ASSIGN([[maybe_unused]] const auto identity, catalog::ReadIdentity(*reading->storage, layout));
  TARN_ASSIGN(reading->versions, catalog::LakeVersions::Open(reading->storage.get(), layout));
  reading->view =
      std::make_unique<pipeline::LakeView>(reading->storage.get(), layout, reading->versions.get(), true);
  TARN_ASSIGN(const auto registry, catalog::TableRegistry::Read(*reading->storage, layout));
  TARN_ASSIGN(reading->models,
              pipeline::LoadGoldModels(*reading->storage, config.pipeline.models, registry.LakeNames()));
  TARN_ASSIGN(const auto version, reading->versions->Find(std::nullopt));
  engine::SessionOptions options;
  options.memory_limit_bytes = config.pipeline.query_memory_bytes;
  options.threads = 1;
  options.open_file = pipeline::OpenerOf(reading->storage.get(), config.pipeline);
  const int64_t now = Clock::System().NowMicros();
  const int64_t present = std::max(version.commit_micros, now - now % pipeline::kQuarterHourMicros);
  TARN_ASSIGN(reading->snapshot,
              pipeline::GoldSnapshot::Open(reading->view.get(), &reading->models, &reading->analyses, version,
                                           present, std::move(options)));
  return reading;
}

Result<pipeline::GoldStep> GoldReading::Decide(const Config& config, const pipeline::GoldModel& model) {
  const catalog::LakeLayout layout(config.pipeline.lake, config.pipeline.bronze_root());
  TARN_ASSIGN(const auto bookmark, pipeline::ReadBookmark(*storage, layout, model.name));
  return snapshot->Decide(model, bookmark);
}

}  // namespace tarn::app
