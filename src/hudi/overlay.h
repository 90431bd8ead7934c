#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <roaring/roaring.hh>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "hudi/record_key.h"
#include "hudi/scan_plan.h"

namespace tarn::hudi {

/// What stands over a table's newest commit and is in no file yet. Immutable.
struct Overlay {
  std::map<std::string, Roaring> hidden_rows;               ///< Base-file positions by ScanFile::path.
  std::map<std::string, std::vector<Hash128>> hidden_keys;  ///< Of log rows' record keys, by partition path.
  std::vector<HotRows> rows;
};

/// One commit's plan, which overlays are laid over. Threads: any.
class OverlaidPlan {
 public:
  explicit OverlaidPlan(std::shared_ptr<const ScanPlan> base) : base_(std::move(base)) {}
  const std::shared_ptr<const ScanPlan>& base() const { return base_; }

  /// The plan without the rows that the overlay hides, with those that it has. Cached for the newest overlay.
  Result<std::shared_ptr<const ScanPlan>> Under(const std::shared_ptr<const Overlay>& overlay);

 private:
  using RowsByKey = std::unordered_map<Hash128, int64_t, HashOfHash>;
  Result<const RowsByKey*> KeysOf(size_t hot);
  Status HideLogRows(const Overlay& overlay, ScanPlan* plan);

  const std::shared_ptr<const ScanPlan> base_;
  std::mutex mutex_;                            ///< Guards all below.
  std::unordered_map<size_t, RowsByKey> keys_;  ///< Of base_->hot, by index, where asked for.
  std::shared_ptr<const Overlay> newest_;
  std::shared_ptr<const ScanPlan> newest_plan_;
};

}  // namespace tarn::hudi
