#include "hudi/change_view.h"

#include <arrow/api.h>
#include <arrow/compute/api_vector.h>

#include <string_view>
#include <unordered_map>

#include "hudi/avro_schema.h"
#include "hudi/plan_rows.h"

namespace tarn::hudi {
namespace {

using Take = std::function<Status(std::shared_ptr<arrow::RecordBatch>)>;

/// The rows of a file group at one time, in one schema.
struct GroupRows {
  std::shared_ptr<arrow::RecordBatch> rows;
  std::shared_ptr<arrow::StringArray> keys, numbers;
  std::unordered_map<std::string_view, int64_t> by_key;
};

class ChangeScan {
 public:
  ChangeScan(const storage::Storage& storage, TableReader& reader, const Take& take)
      : storage_(storage), reader_(reader), take_(take) {}

  Status Run(const std::string& begin, const std::string& end) {
    TARN_ASSIGN(const auto commits, reader_.CommitsBetween(begin, end));
    TARN_ASSIGN(const auto newest, reader_.PlanUntil(end, TableView::kReadOptimized));
    schema_ = newest->schema;
    if (schema_->GetFieldByName(kRecordKey) == nullptr) {
      return Error{
          ErrorCode::kUnsupported,
          "hoodie.populate.meta.fields is false: rows without _hoodie_ columns do not tell what changed"};
    }
    out_ = arrow::schema({arrow::field("op", arrow::utf8()), arrow::field("commit", arrow::utf8()),
                          arrow::field("before", arrow::struct_(schema_->fields())),
                          arrow::field("after", arrow::struct_(schema_->fields()))});
    auto none = arrow::RecordBatch::MakeEmpty(out_);
    TARN_RETURN_IF_ERROR(FromArrow(none.status(), "an empty batch"));
    TARN_RETURN_IF_ERROR(take_(*std::move(none)));
    for (const TableReader::Commit& commit : commits) {
      for (const auto& [partition, file_ids] : commit.groups) {
        for (const std::string& file_id : file_ids) TARN_RETURN_IF_ERROR(Compare(commit, partition, file_id));
      }
    }
    return {};
  }

 private:
  Result<GroupRows> Read(const TableReader::Commit& commit, bool before, const std::string& partition,
                         const std::string& file_id) {
    TARN_ASSIGN(const auto plan, reader_.PlanGroup(commit.completion, before, partition, file_id));
    std::vector<std::shared_ptr<arrow::RecordBatch>> parts;
    TARN_RETURN_IF_ERROR(ReadRows(storage_, *plan, {}, [&](const auto& rows) -> Status {
      TARN_ASSIGN(auto projected,
                  ProjectTo(rows, schema_,
                            plan->widens_floats_by_text ? FloatWidening::kByText : FloatWidening::kExact));
      parts.push_back(std::move(projected));
      return {};
    }));
    GroupRows group;
    auto whole = arrow::ConcatenateRecordBatches(parts);
    TARN_RETURN_IF_ERROR(FromArrow(whole.status(), file_id));
    group.rows = *std::move(whole);
    group.keys = std::dynamic_pointer_cast<arrow::StringArray>(group.rows->GetColumnByName(kRecordKey));
    group.numbers = std::dynamic_pointer_cast<arrow::StringArray>(group.rows->GetColumnByName(kCommitSeqno));
    if (!group.keys || !group.numbers)
      return MakeError(ErrorCode::kCorrupt, "file group '{}' has no {}", file_id, kRecordKey);
    for (int64_t row = 0; row < group.keys->length(); row++)
      group.by_key.emplace(group.keys->GetView(row), row);
    return group;
  }

  Status Compare(const TableReader::Commit& commit, const std::string& partition,
                 const std::string& file_id) {
    TARN_ASSIGN(const GroupRows before, Read(commit, true, partition, file_id));
    TARN_ASSIGN(const GroupRows after, Read(commit, false, partition, file_id));
    Changes changes;
    for (int64_t row = 0; row < after.keys->length(); row++) {
      const auto was = before.by_key.find(after.keys->GetView(row));
      if (was == before.by_key.end()) {
        changes.Add("i", std::nullopt, row);
      } else if (before.numbers->GetView(was->second) != after.numbers->GetView(row)) {
        changes.Add("u", was->second, row);
      }
    }
    for (int64_t row = 0; row < before.keys->length(); row++) {
      if (!after.by_key.contains(before.keys->GetView(row))) changes.Add("d", row, std::nullopt);
    }
    return Give(commit, changes, before, after);
  }

  struct Changes {
    std::vector<const char*> operations;
    std::vector<std::optional<int64_t>> before, after;
    void Add(const char* operation, std::optional<int64_t> was, std::optional<int64_t> is) {
      operations.push_back(operation);
      before.push_back(was);
      after.push_back(is);
    }
  };

  /// The rows as structs; null where there is none.
  Result<std::shared_ptr<arrow::Array>> Images(const GroupRows& group,
                                               const std::vector<std::optional<int64_t>>& rows) {
    arrow::Int64Builder indices;
    for (const auto& row : rows)
      TARN_RETURN_IF_ERROR(FromArrow(row ? indices.Append(*row) : indices.AppendNull(), "changes"));
    auto structs = group.rows->ToStructArray();
    TARN_RETURN_IF_ERROR(FromArrow(structs.status(), "changes"));
    auto built = indices.Finish();
    TARN_RETURN_IF_ERROR(FromArrow(built.status(), "changes"));
    auto taken = arrow::compute::Take(**structs, **built);
    TARN_RETURN_IF_ERROR(FromArrow(taken.status(), "changes"));
    return *std::move(taken);
  }

  Status Give(const TableReader::Commit& commit, const Changes& changes, const GroupRows& before,
              const GroupRows& after) {
    if (changes.operations.empty()) return {};
    arrow::StringBuilder operations, instants;
    for (const char* operation : changes.operations) {
      TARN_RETURN_IF_ERROR(FromArrow(operations.Append(operation), "changes"));
      TARN_RETURN_IF_ERROR(FromArrow(instants.Append(commit.instant), "changes"));
    }
    arrow::ArrayVector columns(2);
    TARN_RETURN_IF_ERROR(FromArrow(operations.Finish(&columns[0]), "changes"));
    TARN_RETURN_IF_ERROR(FromArrow(instants.Finish(&columns[1]), "changes"));
    TARN_ASSIGN(auto was, Images(before, changes.before));
    TARN_ASSIGN(auto is, Images(after, changes.after));
    columns.push_back(std::move(was));
    columns.push_back(std::move(is));
    return take_(arrow::RecordBatch::Make(out_, static_cast<int64_t>(changes.operations.size()), columns));
  }

  const storage::Storage& storage_;
  TableReader& reader_;
  const Take& take_;
  std::shared_ptr<arrow::Schema> schema_, out_;
};

}  // namespace

Status ReadChanges(const storage::Storage& storage, TableReader& reader, const std::string& begin,
                   const std::string& end, const Take& take) {
  return ChangeScan(storage, reader, take).Run(begin, end);
}

}  // namespace tarn::hudi
