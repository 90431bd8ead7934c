#pragma once

#include <arrow/type_fwd.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace tarn::hudi {

/// The five leading columns, in order.
inline constexpr const char* kCommitTime = "_hoodie_commit_time";
inline constexpr const char* kCommitSeqno = "_hoodie_commit_seqno";
inline constexpr const char* kRecordKey = "_hoodie_record_key";
inline constexpr const char* kPartitionPath = "_hoodie_partition_path";
inline constexpr const char* kFileName = "_hoodie_file_name";
inline constexpr int kMetaColumns = 5;

/// The table's Avro schema: record `<table>_record` in namespace `hoodie.<table>`.
Result<std::string> TableAvroSchema(const arrow::Schema& schema, const std::string& table);
/// An Avro schema of a commit or of the properties as Arrow, without _hoodie_ columns.
Result<std::shared_ptr<arrow::Schema>> TableSchemaFromAvro(const std::string& json);
/// The same columns after the five _hoodie_ ones.
std::shared_ptr<arrow::Schema> WithMetaColumns(const arrow::Schema& schema);

/// How a float becomes a double: as the same number, or, as Spark and Hudi do it, as the shortest decimal
/// text that means the float, read as a double.
enum class FloatWidening { kExact, kByText };
inline bool IsMetaColumn(std::string_view name) {
  return name == kCommitTime || name == kCommitSeqno || name == kRecordKey || name == kPartitionPath ||
         name == kFileName;
}

/// The columns of `schema` by name from `batch`: missing ones are null, integers and floats are widened.
/// Errors: kUnsupported names a column whose types do not go together.
Result<std::shared_ptr<arrow::RecordBatch>> ProjectTo(const std::shared_ptr<arrow::RecordBatch>& batch,
                                                      const std::shared_ptr<arrow::Schema>& schema,
                                                      FloatWidening widening = FloatWidening::kExact);
/// Selected rows of a batch.
Result<std::shared_ptr<arrow::RecordBatch>> TakeRows(const arrow::RecordBatch& batch,
                                                     const std::vector<int64_t>& rows);

/// An Arrow failure as ours.
Status FromArrow(const arrow::Status& status, std::string_view what);

}  // namespace tarn::hudi
