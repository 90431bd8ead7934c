#pragma once

#include <arrow/io/interfaces.h>
#include <arrow/type_fwd.h>

#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "bronze/manifest.h"
#include "parquet/parquet_reader.h"
#include "schema/table_schema.h"
#include "storage/storage.h"

namespace tarn::bronze {

/// A Bronze file being written: invisible until Publish. Memory: one row group. Threads: one.
class ChangeFile {
 public:
  virtual ~ChangeFile() = default;
  /// `rows` has schema::ChangeSchema.
  virtual Status Append(const arrow::RecordBatch& rows) = 0;
  virtual int64_t rows() const = 0;
  virtual int64_t bytes() const = 0;  ///< Written so far, about.
  /// Durability: on return the file is complete, named and survives a crash.
  virtual Result<FileEntry> Publish() = 0;
};

struct ChangeFileOptions {
  /// About the most that a row group holds of rows as they are in memory; 0: only their number bounds it.
  int64_t group_bytes = 0;
  /// Its rows mostly have one operation and one commit time, as those of a copy do.
  bool is_copy = false;
};

/// `path` is below `lake`.
Result<std::unique_ptr<ChangeFile>> CreateChangeFile(storage::Storage* storage, const std::string& lake,
                                                     const std::string& path,
                                                     const schema::TableSchema& table,
                                                     const ChangeFileOptions& options = {});

/// A file of which `input` has the bytes. Errors: kCorrupt, also when it has other rows than its entry says.
Result<std::unique_ptr<parquet::FileReader>> OpenChangeFile(
    std::shared_ptr<arrow::io::RandomAccessFile> input, const FileEntry& file);

/// Reads a file, or the part that is meant, batch by batch, in its order. Errors: kCorrupt names the file.
Status ReadChangeFile(const storage::Storage& storage, const std::string& lake, const FileEntry& file,
                      const std::function<Status(std::shared_ptr<arrow::RecordBatch>)>& take);

/// Calls for each file in the tables' folders below `root` ("bronze", "bronze_archive"), with its path below
/// the lake.
Status ForEachFile(const storage::Storage& storage, const std::string& lake, const std::string& root,
                   const std::function<Status(const std::string& path, const storage::FileInfo&)>& take);

/// "bronze/<schema>/<table>", with characters that a path cannot hold escaped as %XX.
std::string TableFolder(const schema::TableSchema& table);
/// A path's last part.
std::string FileName(const std::string& path);

}  // namespace tarn::bronze
