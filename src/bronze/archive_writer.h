#pragma once

#include <arrow/type_fwd.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bronze/archive_manifest.h"
#include "bronze/parquet_files.h"

namespace tarn::bronze {

/// Writes the rows of a day, one table after the other, into large files. Memory: some MB of rows and a row
/// group. Durability: a file is when the next one begins, the last at Finish. Threads: one.
class ArchiveWriter {
 public:
  /// The number that the next file of a folder has: 1 is "20261122-0001.parquet".
  using NextNumber = std::function<Result<int64_t>(const std::string& folder)>;
  ArchiveWriter(storage::Storage* storage, const std::string& lake, std::string day, int64_t max_file_bytes,
                NextNumber next_number)
      : storage_(storage),
        lake_(lake),
        day_(std::move(day)),
        max_file_bytes_(max_file_bytes),
        next_number_(std::move(next_number)) {}

  /// Adds rows to the open file, or to a new one when that is full or has another shape. `table`: of a
  /// SchemaPool. Returns the file's place in files().
  Result<size_t> Append(const std::shared_ptr<const schema::TableSchema>& table,
                        const std::shared_ptr<arrow::RecordBatch>& rows);
  /// Publishes the open file. The next table begins one of its own.
  Status Finish();

  /// With their sizes once they are published.
  const std::vector<ArchivedFile>& files() const { return files_; }

 private:
  Status Begin(const std::shared_ptr<const schema::TableSchema>& table);
  Status WriteHeld();

  storage::Storage* storage_;
  const std::string& lake_;
  const std::string day_;
  const int64_t max_file_bytes_;
  const NextNumber next_number_;
  std::vector<ArchivedFile> files_;
  std::unique_ptr<ChangeFile> open_;                       ///< The last of `files_`; null: none.
  std::vector<std::shared_ptr<arrow::RecordBatch>> held_;  ///< Rows of it that are not written yet.
  int64_t held_bytes_ = 0;
  int64_t group_bytes_ = 0;  ///< Written, as in memory, since the file last grew.
  int64_t seen_bytes_ = 0;   ///< Of the file, when it last grew.
};

}  // namespace tarn::bronze
