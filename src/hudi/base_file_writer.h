#pragma once

#include <arrow/type_fwd.h>

#include <memory>
#include <string>

#include "base/error.h"
#include "hudi/bloom_filter.h"
#include "parquet/parquet_writer.h"
#include "storage/storage.h"

namespace tarn::hudi {

/// What a base file is called and where it goes.
struct BaseFileTarget {
  std::string base_path, partition, file_id, token, instant;
  int ordinal = 0;  ///< Number of the file in its commit; part of _hoodie_commit_seqno.
};

/// Writes one base file with the _hoodie_ columns and Hudi's footer. Invisible until Publish. Threads: one.
class BaseFileWriter {
 public:
  /// `schema`: without the _hoodie_ columns; `avro_schema`: the footer's, with them.
  static Result<std::unique_ptr<BaseFileWriter>> Open(storage::Storage* storage, BaseFileTarget target,
                                                      const arrow::Schema& schema, std::string avro_schema);
  /// New rows of the table's schema, with their record keys.
  Status Append(const arrow::RecordBatch& rows, const arrow::StringArray& keys);
  /// As parquet::FileWriter has it.
  void EndRowGroup(int64_t least) { writer_->EndRowGroup(least); }
  /// Rows with _hoodie_ columns that keep them, apart from the file's name.
  Status AppendKept(const arrow::RecordBatch& rows);
  /// Writes the footer.
  Status Close();
  /// Durability: on return the file survives a crash, and every reader sees it.
  Status Publish();

  const BaseFileTarget& target() const { return target_; }
  const std::string& name() const { return name_; }
  int64_t rows() const { return rows_; }
  int64_t bytes() const { return closed_bytes_ > 0 ? closed_bytes_ : writer_->bytes(); }

 private:
  BaseFileWriter() = default;
  Status Write(const arrow::ArrayVector& meta, const arrow::ArrayVector& columns, int64_t rows);
  void AddKeys(const arrow::StringArray& keys);
  Result<std::shared_ptr<arrow::Array>> Constant(const std::string& value, int64_t rows) const;

  BaseFileTarget target_;
  std::string name_, avro_schema_;
  std::shared_ptr<arrow::Schema> schema_;  ///< With _hoodie_ columns, the constant ones as dictionaries.
  std::unique_ptr<storage::StagedFile> file_;
  std::unique_ptr<parquet::FileWriter> writer_;
  BloomFilter bloom_;
  std::string min_key_, max_key_;
  int64_t rows_ = 0;
  int64_t closed_bytes_ = 0;
};

/// The _hoodie_commit_seqno column for `rows` rows from `first`: `<instant>_<ordinal>_<row>`.
std::shared_ptr<arrow::Array> SeqnoColumn(const std::string& instant, int ordinal, int64_t first,
                                          int64_t rows);
/// One text, `rows` times.
std::shared_ptr<arrow::Array> ConstantColumn(const std::string& value, int64_t rows);

}  // namespace tarn::hudi
