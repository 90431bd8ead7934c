#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "catalog/lake_layout.h"
#include "catalog/lake_version.h"
#include "engine/lake.h"
#include "hudi/overlay.h"
#include "hudi/table.h"
#include "pipeline/external_view.h"
#include "pipeline/tail.h"
#include "storage/storage.h"

namespace tarn::pipeline {

/// The lake as SQL sessions see it: schemas silver, quarantine, gold, bronze and external. Threads: any.
class LakeView : public engine::Lake {
 public:
  /// `versions` and `storage` outlive it. With `follow` other processes' new versions are looked for at each
  /// Pin.
  LakeView(const storage::Storage* storage, catalog::LakeLayout layout, catalog::LakeVersions* versions,
           bool follow)
      : storage_(storage),
        layout_(std::move(layout)),
        versions_(versions),
        follow_(follow),
        external_(storage, layout_) {}
  ~LakeView() override;

  /// From now on the newest state is the tail's. `tail` outlives the view, or is taken away with null.
  void Follow(TailSource* tail) { tail_ = tail; }

  Result<std::shared_ptr<engine::LakeVersion>> Pin(std::optional<int64_t> as_of_micros) override;
  /// One exact version, without a tail and without the tables of others; for models and verification.
  Result<std::shared_ptr<engine::LakeVersion>> PinVersion(const catalog::LakeVersion& version) {
    return PinState(version, nullptr, nullptr, std::nullopt);
  }
  /// The reader of a Silver table that plans share.
  Result<std::shared_ptr<hudi::TableReader>> SilverReader(const std::string& table) {
    return ReaderOf(layout_.Silver(table), layout_.Sidecar("silver", table));
  }

 private:
  friend class PinnedVersion;
  Result<std::shared_ptr<hudi::TableReader>> ReaderOf(const std::string& path, const std::string& sidecar);
  Result<std::shared_ptr<engine::LakeVersion>> PinState(const catalog::LakeVersion& version,
                                                        std::shared_ptr<const TailState> tail,
                                                        ExternalView::Tables external,
                                                        std::optional<int64_t> as_of_micros);
  Result<std::shared_ptr<const hudi::ScanPlan>> PlanHudi(const std::string& path, const std::string& sidecar,
                                                         const std::string& instant);
  /// The plan as of `instant` with the overlay over it.
  Result<std::shared_ptr<const hudi::ScanPlan>> PlanOverlaid(
      const std::string& path, const std::string& sidecar, const std::string& instant,
      const std::shared_ptr<const hudi::Overlay>& overlay);
  Result<std::shared_ptr<const hudi::ScanPlan>> PlanBronze(const std::string& table,
                                                           const SourcePosition& up_to);

  const storage::Storage* storage_;
  const catalog::LakeLayout layout_;
  catalog::LakeVersions* versions_;
  const bool follow_;
  ExternalView external_;
  std::atomic<TailSource*> tail_{nullptr};
  std::mutex mutex_;
  struct NewestPlan {
    std::string instant;
    std::shared_ptr<hudi::OverlaidPlan> plan;
  };
  std::map<std::string, NewestPlan>
      newest_;  ///< Of tables that overlays were laid over, by path; under mutex_.
  std::map<std::string, std::shared_ptr<hudi::TableReader>>
      readers_;  ///< By path; shared with running statements.
};

}  // namespace tarn::pipeline
