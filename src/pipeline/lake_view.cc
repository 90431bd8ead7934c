#include "pipeline/lake_view.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <optional>
#include <utility>

#include "base/clock.h"
#include "bronze/change_log.h"
#include "catalog/table_registry.h"
#include "pipeline/silver_shape.h"

namespace tarn::pipeline {
namespace {

/// Adds the archive's files to a plan, each once. Flushes come in order, and so do their rows in a file:
/// those of flushes that a version does not have are the last ones.
class ArchiveFiles {
 public:
  ArchiveFiles(hudi::ScanPlan& plan, const std::string& root) : plan_(plan), root_(root) {}

  void Add(const bronze::FileEntry& part) {
    const std::string path = root_ + "/" + part.path;
    if (!open_ || plan_.files[*open_].path != path) {
      Finish();
      open_ = plan_.files.size();
      plan_.files.push_back({path, part.size_bytes, part.file_rows, {}, nullptr});
    }
    end_ = part.first_row + part.rows;
  }
  /// After the last one.
  void Finish() {
    if (!open_) return;
    hudi::ScanFile& file = plan_.files[*std::exchange(open_, std::nullopt)];
    if (end_ == file.rows) return;
    hudi::PositionBitmap behind(static_cast<size_t>(file.rows + 63) / 64);
    for (int64_t row = end_; row < file.rows; row++)
      behind[static_cast<size_t>(row) / 64] |= uint64_t{1} << (row % 64);
    file.deleted = std::make_shared<const hudi::PositionBitmap>(std::move(behind));
  }

 private:
  hudi::ScanPlan& plan_;
  const std::string& root_;
  std::optional<size_t> open_;  ///< The newest file of the archive in the plan.
  int64_t end_ = 0;             ///< Of its rows that are in the version.
};

/// Without Silver's hidden columns.
std::shared_ptr<const hudi::ScanPlan> WithoutHidden(std::shared_ptr<const hudi::ScanPlan> plan) {
  std::vector<int> kept;
  for (int i = 0; i < plan->schema->num_fields(); i++) {
    if (!plan->schema->field(i)->name().starts_with(kHiddenPrefix)) kept.push_back(i);
  }
  if (static_cast<int>(kept.size()) == plan->schema->num_fields()) return plan;
  auto shown = std::make_shared<hudi::ScanPlan>(*plan);
  arrow::FieldVector fields;
  for (const int i : kept) fields.push_back(plan->schema->field(i));
  shown->schema = arrow::schema(std::move(fields), plan->schema->metadata());
  for (hudi::HotRows& hot : shown->hot) hot.rows = *hot.rows->SelectColumns(kept);
  return shown;
}

}  // namespace

class PinnedVersion : public engine::LakeVersion {
 public:
  PinnedVersion(LakeView* view, catalog::LakeVersion version, std::optional<catalog::GoldVersion> gold,
                std::shared_ptr<const TailState> tail, ExternalView::Tables external,
                std::optional<int64_t> as_of_micros)
      : view_(view),
        version_(std::move(version)),
        gold_(std::move(gold)),
        tail_(std::move(tail)),
        external_(std::move(external)),
        as_of_micros_(as_of_micros) {}

  std::vector<engine::TableName> Tables() const override {
    std::vector<engine::TableName> names;
    for (const char* schema : {"silver", "quarantine", "bronze"}) {
      for (const std::string& table : version_.tables) names.push_back({schema, table});
    }
    for (const std::string& table : version_.bronze_alone) names.push_back({"bronze", table});
    // Held tables stand in the list, so that asking for one gives the reason.
    for (const char* schema : {"silver", "quarantine"}) {
      for (const auto& [table, reason] : version_.held) names.push_back({schema, table});
    }
    if (gold_) {
      for (const std::string& model : gold_->models) names.push_back({"gold", model});
    }
    if (external_ != nullptr) {
      for (const auto& [name, table] : external_->tables) names.push_back({"external", name});
    }
    return names;
  }

  Result<std::shared_ptr<const hudi::ScanPlan>> Plan(const engine::TableName& table,
                                                     bool allow_held) override {
    const auto& layout = view_->layout_;
    if (table.schema == "external" && external_ != nullptr)
      return view_->external_.Plan(*external_, table.name, as_of_micros_);
    if (table.schema == "gold") {
      if (!gold_) return MakeError(ErrorCode::kNotFound, "Gold has not been computed yet");
      return view_->PlanHudi(layout.Gold(table.name), layout.Sidecar("gold", table.name), gold_->instant);
    }
    const std::string path =
        table.schema == "silver" ? layout.Silver(table.name) : layout.Quarantine(table.name);
    const auto held = version_.held.find(table.name);
    if (held != version_.held.end()) {
      // One that is being copied for the first time has nothing yet.
      const bool has_any = view_->storage_->Exists(path + "/.hoodie/hoodie.properties");
      if (!allow_held || !has_any)
        return MakeError(ErrorCode::kUnavailable, "the table '{}' is held: {}", table.name, held->second);
    }
    if (table.schema == "bronze") return view_->PlanBronze(table.name, version_.position());
    const std::string sidecar = layout.Sidecar(table.schema, table.name);
    TARN_ASSIGN(auto plan, PlanTable(table, path, sidecar));
    return table.schema == "silver" ? WithoutHidden(std::move(plan)) : plan;
  }

  std::string Describe() const override {
    const std::string version =
        fmt::format("lake version {} (source position {}, committed {})", version_.instant,
                    version_.lsn.ToString(), FormatTimestamp(version_.commit_micros));
    if (tail_ == nullptr || tail_->rows == 0) return version;
    return fmt::format("{} and {} rows newer than it (source position {}, committed {})", version,
                       tail_->rows, tail_->lsn.ToString(), FormatTimestamp(tail_->commit_micros));
  }

 private:
  /// A table of Silver or quarantine.
  Result<std::shared_ptr<const hudi::ScanPlan>> PlanTable(const engine::TableName& table,
                                                          const std::string& path,
                                                          const std::string& sidecar) {
    if (tail_ == nullptr) return view_->PlanHudi(path, sidecar, version_.instant);
    const auto& overlays = table.schema == "silver" ? tail_->silver : tail_->quarantine;
    const auto overlay = overlays.find(table.name);
    return view_->PlanOverlaid(path, sidecar, version_.instant,
                               overlay == overlays.end() ? nullptr : overlay->second);
  }

  LakeView* view_;
  catalog::LakeVersion version_;
  std::optional<catalog::GoldVersion> gold_;
  std::shared_ptr<const TailState> tail_;  ///< Null: the version alone.
  ExternalView::Tables external_;          ///< Null: none are seen.
  std::optional<int64_t> as_of_micros_;    ///< That was asked for.
};

LakeView::~LakeView() = default;

Result<std::shared_ptr<engine::LakeVersion>> LakeView::Pin(std::optional<int64_t> as_of_micros) {
  if (follow_) TARN_RETURN_IF_ERROR(versions_->Refresh());
  if (TailSource* source = tail_.load()) {
    TARN_ASSIGN(auto tail, source->PinTail());
    // A time behind the newest change is the newest state, as a time without one is.
    if (tail != nullptr && (!as_of_micros || *as_of_micros >= tail->commit_micros)) {
      return PinState(tail->base, tail, external_.Now(), as_of_micros);
    }
  }
  TARN_ASSIGN(const catalog::LakeVersion version, versions_->Find(as_of_micros));
  return PinState(version, nullptr, external_.Now(), as_of_micros);
}

Result<std::shared_ptr<engine::LakeVersion>> LakeView::PinState(const catalog::LakeVersion& version,
                                                                std::shared_ptr<const TailState> tail,
                                                                ExternalView::Tables external,
                                                                std::optional<int64_t> as_of_micros) {
  TARN_ASSIGN(auto gold, versions_->FindGold(version));
  return std::shared_ptr<engine::LakeVersion>(std::make_shared<PinnedVersion>(
      this, version, std::move(gold), std::move(tail), std::move(external), as_of_micros));
}

Result<std::shared_ptr<const hudi::ScanPlan>> LakeView::PlanOverlaid(
    const std::string& path, const std::string& sidecar, const std::string& instant,
    const std::shared_ptr<const hudi::Overlay>& overlay) {
  std::shared_ptr<hudi::OverlaidPlan> known;
  {
    const std::lock_guard lock(mutex_);
    const auto found = newest_.find(path);
    if (found != newest_.end() && found->second.instant == instant) known = found->second.plan;
  }
  if (known == nullptr) {
    TARN_ASSIGN(auto plan, PlanHudi(path, sidecar, instant));
    known = std::make_shared<hudi::OverlaidPlan>(std::move(plan));
    const std::lock_guard lock(mutex_);
    newest_[path] = {instant, known};
  }
  return known->Under(overlay);
}

Result<std::shared_ptr<hudi::TableReader>> LakeView::ReaderOf(const std::string& path,
                                                              const std::string& sidecar) {
  const std::lock_guard lock(mutex_);
  auto& known = readers_[path];
  if (known == nullptr) {
    TARN_ASSIGN(known, hudi::TableReader::Open(storage_, path, sidecar));
  }
  return known;
}

Result<std::shared_ptr<const hudi::ScanPlan>> LakeView::PlanHudi(const std::string& path,
                                                                 const std::string& sidecar,
                                                                 const std::string& instant) {
  TARN_ASSIGN(const auto reader, ReaderOf(path, sidecar));
  return reader->PlanSnapshot(instant);
}

Result<std::shared_ptr<const hudi::ScanPlan>> LakeView::PlanBronze(const std::string& table,
                                                                   const SourcePosition& up_to) {
  TARN_ASSIGN(const auto registry, catalog::TableRegistry::Read(*storage_, layout_));
  const auto registered = registry.tables.find(table);
  if (registered == registry.tables.end())
    return MakeError(ErrorCode::kNotFound, "bronze has no table '{}'", table);
  auto plan = std::make_shared<hudi::ScanPlan>();
  plan->schema = schema::ChangeSchema(registered->second.source);
  const auto add = [&](const bronze::FileEntry& file) {
    plan->files.push_back({layout_.bronze_root() + "/" + file.path, file.size_bytes, file.rows, {}, nullptr});
  };
  TARN_ASSIGN(const auto loads, bronze::ChangeLog::ReadLoads(*storage_, layout_.bronze_root()));
  const auto copies = loads.find(table);
  // Files of another shape stay out when a column has another type there: they cannot be read as one table.
  const auto fits = [&](const schema::TableSchema& shape) {
    return std::all_of(shape.columns.begin(), shape.columns.end(), [&](const schema::Column& column) {
      const auto field = plan->schema->GetFieldByName(column.lake_name);
      return field == nullptr || field->type()->Equals(*schema::ArrowType(column.type));
    });
  };
  if (copies != loads.end()) {
    for (const bronze::LoadManifest& load : copies->second) {
      if (!fits(*load.table)) continue;
      for (const auto& file : load.files) add(file);
    }
  }
  ArchiveFiles archived(*plan, layout_.bronze_root());
  TARN_RETURN_IF_ERROR(bronze::ChangeLog::ForEachManifest(
      *storage_, layout_.bronze_root(), SourcePosition{}, [&](const bronze::Manifest& manifest) -> Status {
        if (manifest.position() > up_to) return {};
        for (const auto& event : manifest.events) {
          if (event.at || event.table->lake_name != table || !fits(*event.table)) continue;
          if (event.file.is_part()) {
            archived.Add(event.file);
          } else {
            add(event.file);
          }
        }
        return {};
      }));
  archived.Finish();
  return std::shared_ptr<const hudi::ScanPlan>(std::move(plan));
}

}  // namespace tarn::pipeline
