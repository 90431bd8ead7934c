#pragma once

#include <arrow/type_fwd.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/lsn.h"
#include "bronze/change_log.h"
#include "bronze/parquet_files.h"

namespace tarn::bronze {

/// Notices a manifest that is missing between others: whoever applies changes must not pass over any.
class UnbrokenChain {
 public:
  /// The next one. Errors: kCorrupt names those that are missing.
  Status Follow(const Manifest& manifest);

 private:
  int64_t sequence_ = 0;  ///< Of the one before; 0: none yet.
};

/// Reads the files that manifests name, one after the other. The parts of an archive's file that follow each
/// other are one way through it, not one each. Memory: a row group and a batch of each archive file that is
/// under way, of some dozen tables at most. Threads: one.
class ChangeReader {
 public:
  /// `storage` and `lake` outlive it.
  ChangeReader(const storage::Storage& storage, const std::string& lake) : storage_(storage), lake_(lake) {}

  /// As ReadChangeFile.
  Status Read(const FileEntry& file, const std::function<Status(std::shared_ptr<arrow::RecordBatch>)>& take);

 private:
  struct Way {
    std::unique_ptr<parquet::RowStream> rows;
    std::shared_ptr<arrow::RecordBatch> rest;  ///< Read, and not yet taken; may be null.
    int64_t at = 0;                            ///< The next row.
  };
  Result<Way*> Find(const FileEntry& file);

  const storage::Storage& storage_;
  const std::string& lake_;
  std::map<std::string, Way> ways_;  ///< By path.
};

/// Hands over one table's changes whose commit is beyond `from` and up to `to`, in order: rows, and between
/// them, at their place, truncations and marks that only a newer copy tells (TableRows). Equal schemas are
/// one object, so another `table` than in the call before is a change of shape. Copies are not among them:
/// ChangeLog::ReadLoads. `table`: its name in the lake. Reads archived days from the archive. Errors:
/// kCorrupt names the file or manifest; those of `take`, which end it.
Status ReadChanges(const storage::Storage& storage, const BronzePlace& place, const std::string& table,
                   const SourcePosition& from, const SourcePosition& to,
                   const std::function<Status(const TableRows&)>& take);

/// Why only a newer copy tells what the table holds at `to`: the newest mark that ReadChanges would hand
/// over. Empty when there is none. Reads manifests only.
Result<std::string> FindCopyMark(const storage::Storage& storage, const BronzePlace& place,
                                 const std::string& table, const SourcePosition& from,
                                 const SourcePosition& to);

/// As ReadChanges, for what needs the shapes before the rows: each once, in order. `take`: a schema.
Status ReadShapes(const storage::Storage& storage, const BronzePlace& place, const std::string& table,
                  const SourcePosition& from, const SourcePosition& to,
                  const std::function<void(const std::shared_ptr<const schema::TableSchema>&)>& take);

}  // namespace tarn::bronze
