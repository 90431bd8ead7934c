#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "catalog/lake_layout.h"
#include "catalog/lake_version.h"
#include "engine/lake.h"
#include "hudi/table.h"
#include "storage/storage.h"

namespace tarn::pipeline {

/// The lake as SQL sessions see it: schemas silver, quarantine, gold and bronze. Threads: any.
class LakeView : public engine::Lake {
 public:
  /// `versions` and `storage` outlive it. With `follow` other processes' new versions are looked for at each
  /// Pin.
  LakeView(const storage::Storage* storage, catalog::LakeLayout layout, catalog::LakeVersions* versions,
           bool follow)
      : storage_(storage), layout_(std::move(layout)), versions_(versions), follow_(follow) {}
  ~LakeView() override;

  Result<std::shared_ptr<engine::LakeVersion>> Pin(std::optional<int64_t> as_of_micros) override;
  /// One exact version; for models and verification.
  Result<std::shared_ptr<engine::LakeVersion>> PinVersion(const catalog::LakeVersion& version);

 private:
  friend class PinnedVersion;
  Result<std::shared_ptr<const hudi::ScanPlan>> PlanHudi(const std::string& path, const std::string& sidecar,
                                                         const std::string& instant);
  Result<std::shared_ptr<const hudi::ScanPlan>> PlanBronze(const std::string& table, Lsn up_to);

  const storage::Storage* storage_;
  const catalog::LakeLayout layout_;
  catalog::LakeVersions* versions_;
  const bool follow_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<hudi::TableReader>>
      readers_;  ///< By path; shared with running statements.
};

}  // namespace tarn::pipeline
