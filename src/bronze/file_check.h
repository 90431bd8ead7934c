#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bronze/chain_fault.h"
#include "bronze/manifest.h"
#include "schema/table_schema.h"
#include "storage/storage.h"

namespace tarn::bronze {

/// What a manifest says of one of its files.
struct FileExpectation {
  std::string named_by;  ///< The manifest, below the lake's folder.
  FileEntry file;
  std::shared_ptr<const schema::TableSchema> table;
  int64_t after = 0;  ///< Ordering value that every row's _lsn is beyond.
  int64_t last = 0;   ///< The greatest that one may have.
};

/// Reads a file whole and holds it against its manifest: size and CRC-32, then number of rows and columns,
/// then that (_lsn, _ordinal) rises from row to row and stays in the manifest's range. `newest`: the table's
/// greatest position so far, moved on by this file's rows. A kind of fault is told once a file; bytes that
/// are not the manifest's are not looked into. Memory: one batch of rows. `on_bytes` is told of bytes read.
std::vector<ChainFault> CheckFile(const storage::Storage& storage, const std::string& lake,
                                  const FileExpectation& expected, schema::ChangePosition& newest,
                                  const std::function<void(int64_t)>& on_bytes);

}  // namespace tarn::bronze
