#include "hudi/overlay.h"

#include <arrow/api.h>

#include "hudi/avro_schema.h"

namespace tarn::hudi {
namespace {

/// `before` with more rows hidden, of a file of `rows` rows.
std::shared_ptr<const PositionBitmap> With(const std::shared_ptr<const PositionBitmap>& before,
                                           const Roaring& hidden, int64_t rows) {
  auto bitmap = before ? std::make_shared<PositionBitmap>(*before) : std::make_shared<PositionBitmap>();
  bitmap->resize(static_cast<size_t>((rows + 63) / 64), 0);
  for (const uint32_t position : hidden) {
    if (position < rows) (*bitmap)[position / 64] |= 1ULL << (position % 64);
  }
  return bitmap;
}

}  // namespace

Result<const OverlaidPlan::RowsByKey*> OverlaidPlan::KeysOf(size_t hot) {
  const auto [it, is_new] = keys_.try_emplace(hot);
  if (!is_new) return &it->second;
  const auto keys =
      std::dynamic_pointer_cast<arrow::StringArray>(base_->hot[hot].rows->GetColumnByName(kRecordKey));
  if (!keys) return MakeError(ErrorCode::kCorrupt, "log rows have no {}", kRecordKey);
  it->second.reserve(static_cast<size_t>(keys->length()));
  for (int64_t row = 0; row < keys->length(); row++) it->second.emplace(HashText(keys->GetView(row)), row);
  return &it->second;
}

Status OverlaidPlan::HideLogRows(const Overlay& overlay, ScanPlan* plan) {
  for (const auto& [path, hidden] : overlay.hidden_keys) {
    const std::vector<std::string> values = PartitionValues(path);
    for (size_t i = 0; i < base_->hot.size(); i++) {
      HotRows& hot = plan->hot[i];
      if (hot.partition != values || !hot.rows) continue;
      TARN_ASSIGN(const RowsByKey* keys, KeysOf(i));
      Roaring positions;
      for (const Hash128& key : hidden) {
        const auto found = keys->find(key);
        if (found != keys->end()) positions.add(static_cast<uint32_t>(found->second));
      }
      if (!positions.isEmpty()) hot.deleted = With(hot.deleted, positions, hot.rows->num_rows());
    }
  }
  return {};
}

Result<std::shared_ptr<const ScanPlan>> OverlaidPlan::Under(const std::shared_ptr<const Overlay>& overlay) {
  if (!overlay) return base_;
  const std::lock_guard lock(mutex_);
  if (newest_ == overlay) return newest_plan_;
  auto plan = std::make_shared<ScanPlan>(*base_);
  if (!overlay->hidden_rows.empty()) {
    for (ScanFile& file : plan->files) {
      const auto hidden = overlay->hidden_rows.find(file.path);
      if (hidden != overlay->hidden_rows.end()) file.deleted = With(file.deleted, hidden->second, file.rows);
    }
  }
  TARN_RETURN_IF_ERROR(HideLogRows(*overlay, plan.get()));
  for (HotRows rows : overlay->rows) {
    if (!rows.rows->schema()->Equals(*plan->schema)) {
      TARN_ASSIGN(rows.rows, ProjectTo(rows.rows, plan->schema));
    }
    plan->hot.push_back(std::move(rows));
  }
  newest_ = overlay;
  newest_plan_ = plan;
  return newest_plan_;
}

}  // namespace tarn::hudi
