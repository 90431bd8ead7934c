#pragma once

#include <arrow/type_fwd.h>

#include <memory>
#include <string>
#include <vector>

#include "catalog/lake_layout.h"
#include "catalog/lake_version.h"
#include "catalog/table_registry.h"
#include "engine/session.h"
#include "hudi/table.h"
#include "pipeline/instant_clock.h"
#include "pipeline/lake_view.h"
#include "storage/storage.h"

namespace tarn::pipeline {

/// Every version of every row of a Silver table, as a slowly changing dimension of type 2: Silver's columns,
/// then valid_from and valid_to (commit times on the source of the lake versions since which a row was so,
/// and was so no more; valid_to is null while it is), is_current, and _from_lsn and _changed_lsn (ordering
/// values of the same). The rows with valid_from <= t and not (valid_to <= t) are those of Silver AS OF t,
/// for the versions that were followed. Key: Silver's and _from_lsn. Partitioned by tenant, as Silver is.
/// Threads: one.
class HistoryTable {
 public:
  /// Opens it, or makes it with the first Follow. Errors: kUnsupported for a table without a key.
  static Result<std::unique_ptr<HistoryTable>> Open(storage::Storage* storage,
                                                    const catalog::LakeLayout& layout,
                                                    const catalog::RegisteredTable& table,
                                                    InstantClock* clock);

  static std::string NameOf(const std::string& table) { return table + "_history"; }
  /// Empty before the first commit.
  std::string LastInstant() const { return table_ == nullptr ? "" : table_->LastInstant(); }

  /// Brings it to a lake version in one commit: versions end and begin where Silver's rows have other values
  /// than the open ones. Nothing is written when none has. Reads both tables' keys whole. Memory: bounded by
  /// the options. Errors: of a table that is held or changed its columns' types; then nothing was done.
  Status Follow(LakeView* view, const catalog::LakeVersion& version, const engine::SessionOptions& options);
  Status RunServices(const hudi::ServiceOptions& options);
  Status Close() { return table_ == nullptr ? Status{} : table_->Close(); }

 private:
  HistoryTable(storage::Storage* storage, catalog::LakeLayout layout, catalog::RegisteredTable registered,
               InstantClock* clock)
      : storage_(storage), layout_(std::move(layout)), registered_(std::move(registered)), clock_(clock) {}
  std::string Path() const { return layout_.Gold(NameOf(registered_.source.lake_name)); }
  std::string Sidecar() const { return layout_.Sidecar("gold", NameOf(registered_.source.lake_name)); }
  hudi::TableOptions OptionsFor(std::shared_ptr<arrow::Schema> schema) const;
  /// Gives the table the columns that Silver has now.
  Status Shape(const arrow::FieldVector& silver);
  /// SQL of the versions that are over, and of the rows that begin one. `before`: columns of the history so
  /// far; null: it has no commit.
  std::string EndedSql(const arrow::FieldVector& silver, const arrow::Schema& before) const;
  std::string BegunSql(const arrow::FieldVector& silver, const arrow::Schema* before) const;
  std::string SameKey() const;

  storage::Storage* storage_;
  const catalog::LakeLayout layout_;
  const catalog::RegisteredTable registered_;
  InstantClock* clock_;
  std::unique_ptr<hudi::Table> table_;  ///< Null: not made yet.
};

}  // namespace tarn::pipeline
