#include "pipeline/copied_rows.h"

#include <arrow/api.h>
#include <arrow/compute/api_vector.h>

#include <algorithm>

#include "base/log.h"
#include "bronze/change_reader.h"
#include "hudi/identity_marks.h"
#include "pipeline/change_reducer.h"
#include "pipeline/row_identity.h"

namespace tarn::pipeline {
namespace {

std::vector<int64_t> PositionsOf(const arrow::RecordBatch& rows) {
  const auto& column =
      static_cast<const arrow::Int64Array&>(*rows.GetColumnByName(std::string(schema::kLsn)));
  return {column.raw_values(), column.raw_values() + column.length()};
}

/// Tells which rows of a copy's earlier runs still were so at the end.
class Standing {
 public:
  Standing(const CopySource& from, const bronze::LoadManifest& load,
           std::unique_ptr<hudi::IdentityMarks> marks)
      : from_(from), load_(load), marks_(std::move(marks)) {}

  /// A key that changed after an earlier snapshot and lives at the copy's own was read again since.
  Status NoteChanges(const CancelToken& cancel) {
    // What comes after the copy's own snapshot is applied to it later.
    return bronze::ReadChanges(*from_.storage, from_.place, load_.table->lake_name,
                               {load_.epoch, load_.least_snapshot()}, load_.position(),
                               [&](const bronze::TableRows& changes) -> Status {
                                 TARN_RETURN_IF_ERROR(cancel.Check());
                                 return changes.rows == nullptr ? Status{} : NoteChangesOf(changes);
                               });
  }

  Status NoteReadAgain(const CancelToken& cancel) {
    for (const bronze::LoadFile& file : load_.files) {
      if (!file.again) continue;
      TARN_RETURN_IF_ERROR(
          bronze::ReadChangeFile(*from_.storage, from_.place.root, file, [&](auto rows) -> Status {
            TARN_RETURN_IF_ERROR(cancel.Check());
            return marks_->Note(*RowIdentities(*load_.table, *rows), PositionsOf(*rows));
          }));
    }
    return {};
  }

  /// The rows after which nothing was noted of their key.
  Result<std::shared_ptr<arrow::RecordBatch>> Filter(const std::shared_ptr<arrow::RecordBatch>& rows) const {
    TARN_ASSIGN(const auto marks, marks_->Find(*RowIdentities(*load_.table, *rows)));
    const std::vector<int64_t> positions = PositionsOf(*rows);
    arrow::BooleanBuilder stands;
    for (size_t row = 0; row < marks.size(); row++) (void)stands.Append(marks[row] <= positions[row]);
    const auto kept = arrow::compute::Filter(rows, *stands.Finish());
    if (!kept.ok()) return MakeError(ErrorCode::kInternal, "Arrow: {}", kept.status().message());
    return kept->record_batch();
  }

  int64_t keys() const { return marks_->size(); }

 private:
  Status NoteChangesOf(const bronze::TableRows& changes) {
    const auto& rows = changes.rows;
    // Values do not matter, so untouched ones need not be looked up.
    const int unchanged = rows->schema()->GetFieldIndex(std::string(schema::kUnchanged));
    const auto none = arrow::MakeArrayOfNull(arrow::utf8(), rows->num_rows());
    const auto plain = rows->SetColumn(unchanged, rows->schema()->field(unchanged), none.ValueOrDie());
    const auto nowhere = [](const arrow::RecordBatch&) -> Result<BaseRows> { return BaseRows{}; };
    TARN_ASSIGN(const ReducedChanges reduced, ReduceChanges(*changes.table, {*plain}, nowhere));
    TARN_RETURN_IF_ERROR(
        marks_->Note(*RowIdentities(*changes.table, *reduced.rows), PositionsOf(*reduced.rows)));
    return marks_->Note(*reduced.deletes, PositionsOf(*reduced.deletes));
  }

  const CopySource& from_;
  const bronze::LoadManifest& load_;
  std::unique_ptr<hudi::IdentityMarks> marks_;
};

}  // namespace

Result<std::string> WhySpoiled(const CopySource& from, const bronze::LoadManifest& load) {
  if (load.least_snapshot() == load.snapshot) return std::string();
  return bronze::FindCopyMark(*from.storage, from.place, load.table->lake_name,
                              {load.epoch, load.least_snapshot()}, load.position());
}

Status ReadCopy(const CopySource& from, const bronze::LoadManifest& load, const CancelToken& cancel,
                const std::function<Status(std::shared_ptr<arrow::RecordBatch>)>& take) {
  std::unique_ptr<Standing> standing;
  if (load.least_snapshot() < load.snapshot) {
    TARN_ASSIGN(auto marks, hudi::IdentityMarks::Make(from.scratch, FullIdentityFields(*load.table)));
    standing = std::make_unique<Standing>(from, load, std::move(marks));
    TARN_RETURN_IF_ERROR(standing->NoteChanges(cancel));
    TARN_RETURN_IF_ERROR(standing->NoteReadAgain(cancel));
    spdlog::info("{}: {} keys changed between the snapshots of its copy", load.table->lake_name,
                 standing->keys());
  }
  for (const bronze::LoadFile& file : load.files) {
    TARN_RETURN_IF_ERROR(
        bronze::ReadChangeFile(*from.storage, from.place.root, file, [&](auto rows) -> Status {
          TARN_RETURN_IF_ERROR(cancel.Check());
          if (standing == nullptr || file.snapshot == load.snapshot) return take(std::move(rows));
          TARN_ASSIGN(auto kept, standing->Filter(rows));
          return take(std::move(kept));
        }));
  }
  return {};
}

}  // namespace tarn::pipeline
