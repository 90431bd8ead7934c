#include "hudi/plan_rows.h"

#include <arrow/api.h>

#include <algorithm>

#include "hudi/avro_schema.h"
#include "hudi/file_name.h"
#include "parquet/parquet_reader.h"

namespace tarn::hudi {
namespace {

using Take = std::function<Status(std::shared_ptr<arrow::RecordBatch>)>;

class PlanScan {
 public:
  PlanScan(const storage::Storage& storage, const ScanPlan& plan, const PlanRows& wanted, const Take& take)
      : storage_(storage), plan_(plan), wanted_(wanted), take_(take) {}

  Status Run() {
    TARN_RETURN_IF_ERROR(ChooseColumns());
    auto none = arrow::RecordBatch::MakeEmpty(out_);
    TARN_RETURN_IF_ERROR(FromArrow(none.status(), "an empty batch"));
    TARN_RETURN_IF_ERROR(take_(*std::move(none)));
    for (const ScanFile& file : plan_.files) TARN_RETURN_IF_ERROR(ReadFile(file));
    for (const HotRows& hot : plan_.hot) TARN_RETURN_IF_ERROR(Give(hot.rows, hot.deleted.get(), 0));
    return {};
  }

 private:
  Status ChooseColumns() {
    out_ = plan_.schema;
    if (!wanted_.columns.empty()) {
      arrow::FieldVector fields;
      for (const std::string& name : wanted_.columns) {
        auto field = plan_.schema->GetFieldByName(name);
        if (field == nullptr)
          return MakeError(ErrorCode::kNotFound, "the table has no column '{}'; it has {}", name,
                           fmt::join(plan_.schema->field_names(), ", "));
        fields.push_back(std::move(field));
      }
      out_ = arrow::schema(std::move(fields));
    }
    read_ = out_->field_names();
    if (!wanted_.since.empty() && out_->GetFieldByName(kCommitTime) == nullptr) read_.push_back(kCommitTime);
    return {};
  }

  Status ReadFile(const ScanFile& file) {
    const auto name = ParseBaseFileName(file.path.substr(file.path.rfind('/') + 1));
    // Rows keep their commit time when they are rewritten: none is newer than its file.
    if (!wanted_.since.empty() && name && !IsSince(name->instant)) return {};
    TARN_ASSIGN(auto opened, storage_.Open(file.path));
    TARN_ASSIGN(const auto reader, parquet::FileReader::Open(std::move(opened), file.path));
    Status read = reader->Scan(read_, 0, reader->rows(), [&](const auto& rows, int64_t first) {
      return Give(rows, file.deleted.get(), first);
    });
    if (!read) return std::move(read).error().In(file.path);
    return {};
  }

  bool IsSince(const std::string& instant) const {
    if (!plan_.completions) return instant > wanted_.since;
    const auto found = plan_.completions->find(instant);
    return (found == plan_.completions->end() ? instant : found->second) > wanted_.since;
  }

  bool IsWanted(const arrow::StringArray* times, int64_t row, const PositionBitmap* deleted,
                int64_t position) const {
    if (IsDeleted(deleted, static_cast<uint64_t>(position))) return false;
    return times == nullptr || (times->IsValid(row) && IsSince(times->GetString(row)));
  }

  Status Give(const std::shared_ptr<arrow::RecordBatch>& rows, const PositionBitmap* deleted, int64_t first) {
    std::shared_ptr<arrow::StringArray> times;
    if (!wanted_.since.empty()) {
      times = std::dynamic_pointer_cast<arrow::StringArray>(rows->GetColumnByName(kCommitTime));
      if (times == nullptr)
        return MakeError(ErrorCode::kUnsupported, "rows without {} do not tell when they changed",
                         kCommitTime);
    }
    TARN_ASSIGN(
        auto projected,
        ProjectTo(rows, out_, plan_.widens_floats_by_text ? FloatWidening::kByText : FloatWidening::kExact));
    if (times == nullptr && deleted == nullptr) return take_(std::move(projected));
    std::vector<int64_t> kept;
    for (int64_t row = 0; row < rows->num_rows(); row++) {
      if (IsWanted(times.get(), row, deleted, first + row)) kept.push_back(row);
    }
    if (kept.empty()) return {};
    TARN_ASSIGN(projected, TakeRows(*projected, kept));
    return take_(std::move(projected));
  }

  const storage::Storage& storage_;
  const ScanPlan& plan_;
  const PlanRows& wanted_;
  const Take& take_;
  std::shared_ptr<arrow::Schema> out_;
  std::vector<std::string> read_;
};

}  // namespace

Status ReadRows(const storage::Storage& storage, const ScanPlan& plan, const PlanRows& rows,
                const std::function<Status(std::shared_ptr<arrow::RecordBatch>)>& take) {
  return PlanScan(storage, plan, rows, take).Run();
}

}  // namespace tarn::hudi
